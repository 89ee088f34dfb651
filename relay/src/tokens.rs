//! The secrets that senders prove themselves with: read from their files, compared in constant time, never shown.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use subtle::{Choice, ConstantTimeEq};
use tracing::warn;
use visnyk_crds::valid::{SecretRef, Source, Verify};

/// The bearer tokens in force, by source.
pub struct Tokens {
    secrets_dir: PathBuf,
    by_source: ArcSwap<HashMap<String, Vec<Vec<u8>>>>,
}

impl Tokens {
    /// Tokens of Secrets in this folder; none until [`Tokens::load`].
    pub fn new(secrets_dir: &Path) -> Self {
        Self { secrets_dir: secrets_dir.to_owned(), by_source: ArcSwap::default() }
    }

    /// Reads every token of these sources anew. One whose file is missing or empty lets nobody in.
    pub fn load(&self, sources: &[Source]) {
        let tokens = sources.iter().map(|source| (source.name.clone(), self.of(source))).collect();
        self.by_source.store(Arc::new(tokens));
    }

    /// Whether a sender may use this source. Compares with every token, whichever matches first.
    pub fn admit(&self, source: &Source, authorization: Option<&[u8]>) -> bool {
        if source.verify == Verify::None {
            return true;
        }
        let presented = authorization.and_then(bearer).unwrap_or_default();
        let tokens = self.by_source.load();
        let tokens = tokens.get(&source.name).map(Vec::as_slice).unwrap_or_default();
        let matches =
            tokens.iter().fold(Choice::from(0), |any, token| any | token.as_slice().ct_eq(presented));
        bool::from(matches)
    }

    fn of(&self, source: &Source) -> Vec<Vec<u8>> {
        match &source.verify {
            Verify::None => Vec::new(),
            Verify::Bearer { secrets } => {
                secrets.iter().filter_map(|secret| self.read(&source.name, secret)).collect()
            }
        }
    }

    fn read(&self, source: &str, secret: &SecretRef) -> Option<Vec<u8>> {
        let path = self.secrets_dir.join(&secret.name).join(&secret.key);
        let mut token = match std::fs::read(&path) {
            Ok(token) => token,
            Err(error) => {
                warn!(source, path = %path.display(), %error, "secret cannot be read: it lets nobody in");
                return None;
            }
        };
        // Editors and `kubectl create --from-file` leave one.
        if token.last() == Some(&b'\n') {
            token.pop();
        }
        if token.is_empty() {
            warn!(source, path = %path.display(), "secret is empty: it lets nobody in");
            return None;
        }
        Some(token)
    }
}

/// The token of an `Authorization` header (RFC 6750 section 2.1).
fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = authorization.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Source {
        let secret = |key: &str| SecretRef { name: "hook".into(), key: key.into() };
        let secrets = vec![secret("current"), secret("next"), secret("empty"), secret("missing")];
        Source { name: "front".into(), path: "/".into(), verify: Verify::Bearer { secrets } }
    }

    #[test]
    fn each_token_lets_in_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("hook")).unwrap();
        for (key, token) in [("current", "one\n"), ("next", "two"), ("empty", "\n")] {
            std::fs::write(folder.path().join("hook").join(key), token).unwrap();
        }
        let tokens = Tokens::new(folder.path());
        let admit = |header: Option<&str>| tokens.admit(&source(), header.map(str::as_bytes));
        assert!(!admit(Some("Bearer one")), "before anything was read");
        tokens.load(&[source()]);
        for header in ["Bearer one", "bearer two"] {
            assert!(admit(Some(header)), "{header}");
        }
        for header in ["Bearer ", "Bearer on", "Bearer one\n", "Bearer one ", "Basic one", "one", ""] {
            assert!(!admit(Some(header)), "{header:?}");
        }
        assert!(!admit(None));
    }
}
