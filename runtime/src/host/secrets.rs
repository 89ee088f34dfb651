//! The secrets that senders prove themselves with to sources, and deliveries to destinations: read from their
//! files, never shown.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use visnyk_crds::valid::SecretRef;

use crate::crypto::Token;

/// Reads the secrets of one source, and keeps what is wrong with them.
pub struct Secrets<'a> {
    dir: &'a Path,
    problems: Vec<SecretProblem>,
}

/// Error of a secret that cannot be used.
#[derive(Debug)]
pub struct SecretProblem {
    /// Name and key of the secret.
    secret: SecretRef,
    /// Error of the operation that failed.
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    Unreadable(io::Error),
    Empty,
    Malformed(String),
}

impl<'a> Secrets<'a> {
    /// Makes a reader of the files `<secret>/<key>` in this folder.
    pub fn of(dir: &'a Path) -> Self {
        Self { dir, problems: Vec::new() }
    }

    /// Returns the problems of the Secrets that were read.
    pub fn into_problems(self) -> Vec<SecretProblem> {
        self.problems
    }

    /// Reads one secret's bytes, without the newline, or carriage return and newline, that editors leave at the end.
    pub fn read(&mut self, secret: &SecretRef) -> Option<Vec<u8>> {
        self.read_as(secret, Ok::<_, String>)
    }

    /// Reads and parses one secret.
    pub fn read_as<T, E: fmt::Display>(
        &mut self,
        secret: &SecretRef,
        parse: impl FnOnce(Vec<u8>) -> Result<T, E>,
    ) -> Option<T> {
        let parsed = self
            .bytes(secret)
            .and_then(|bytes| parse(bytes).map_err(|error| Reason::Malformed(error.to_string())));
        parsed.map_err(|reason| self.problems.push(SecretProblem { secret: secret.clone(), reason })).ok()
    }

    /// Reads and parses these secrets, and returns those that can be used.
    pub fn all<T>(&mut self, secrets: &[SecretRef], parse: impl Fn(&[u8]) -> T) -> Vec<T> {
        secrets.iter().filter_map(|secret| self.read(secret)).map(|bytes| parse(&bytes)).collect()
    }

    /// Reads tokens that senders present as they are.
    pub fn tokens(&mut self, secrets: &[SecretRef]) -> Vec<Token> {
        self.all(secrets, Token::new)
    }

    fn bytes(&self, secret: &SecretRef) -> Result<Vec<u8>, Reason> {
        let path = self.dir.join(&secret.name).join(&secret.key);
        let mut bytes = fs::read(path).map_err(Reason::Unreadable)?;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        if bytes.is_empty() { Err(Reason::Empty) } else { Ok(bytes) }
    }
}

impl fmt::Display for SecretProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "secret {}/{} ", self.secret.name, self.secret.key)?;
        match &self.reason {
            Reason::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Reason::Empty => f.write_str("is empty"),
            Reason::Malformed(reason) => f.write_str(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_final_newline_is_no_part_of_a_secret_and_an_empty_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("hook")).unwrap();
        let files: [(&str, &[u8]); 8] = [
            ("plain", b"one"),
            ("newline", b"one\n"),
            ("windows", b"one\r\n"),
            ("return", b"one\r"),
            ("two", b"one\n\n"),
            ("raw", b"\x00\xff"),
            ("empty", b""),
            ("blank", b"\n"),
        ];
        for (key, bytes) in files {
            fs::write(folder.path().join("hook").join(key), bytes).unwrap();
        }
        let mut secrets = Secrets::of(folder.path());
        let mut read = |key: &str| secrets.read(&SecretRef { name: "hook".into(), key: key.into() });
        assert_eq!(read("plain").unwrap(), b"one");
        assert_eq!(read("newline").unwrap(), b"one");
        assert_eq!(read("windows").unwrap(), b"one");
        assert_eq!(read("return").unwrap(), b"one\r");
        assert_eq!(read("two").unwrap(), b"one\n");
        assert_eq!(read("raw").unwrap(), b"\x00\xff");
        assert_eq!((read("empty"), read("blank"), read("none")), (None, None, None));
        let problems: Vec<String> = secrets.into_problems().iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "secret hook/empty is empty",
                "secret hook/blank is empty",
                "secret hook/none cannot be read: No such file or directory (os error 2)",
            ]
        );
    }
}
