//! Check of the Secrets that a listener needs, for the `check` command.

use std::{fs, path::Path};

use jiff::Timestamp;
use visnyk_crds::valid::{Listener, ListenerTls};

use crate::{
    observe::causes::with_causes,
    pki::{CertificateAndKey, Trust},
};

/// Returns what is wrong with the Secrets of a listener in this folder: a line per mistake with its place in the manifest.
pub fn check(listener: &Listener, secrets_dir: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    if let ListenerTls::Secret { name } = &listener.tls {
        let place = format!("spec.listener.tls: secret {name}");
        match CertificateAndKey::read(&secrets_dir.join(name)) {
            Err(error) => lines.push(format!("{place}: {}", with_causes(&error))),
            Ok(pair) if pair.facts().not_after <= Timestamp::now() => {
                let not_after = pair.facts().not_after;
                lines.push(format!("{place}: the certificate in tls.crt has expired at {not_after}"));
            }
            Ok(_) => {}
        }
    }
    if let Some(secret) = &listener.client_ca {
        let read = fs::read(secrets_dir.join(&secret.name).join(&secret.key));
        let problem = match read {
            Err(error) => Some(format!("cannot be read: {error}")),
            Ok(pem) => Trust::in_bundle(&pem).err().map(|error| with_causes(&error)),
        };
        let place = format!("spec.listener.tls.clientCa: secret {}/{}", secret.name, secret.key);
        lines.extend(problem.map(|problem| format!("{place} {problem}")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use visnyk_crds::valid::SecretRef;

    use super::*;

    #[test]
    fn secrets_of_a_listener_that_are_missing_or_of_no_use_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let listener = Listener {
            port: 8443,
            max_body_size: 1 << 20,
            tls: ListenerTls::Secret { name: "front".into() },
            client_ca: Some(SecretRef { name: "partners".into(), key: "ca.crt".into() }),
        };
        let said = || check(&listener, folder.path()).join("\n");
        let missing = said();
        assert!(missing.contains("spec.listener.tls: secret front: "), "{missing}");
        assert!(
            missing.contains("spec.listener.tls.clientCa: secret partners/ca.crt cannot be read"),
            "{missing}"
        );

        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        write("front/tls.crt", &made.cert.pem());
        write("front/tls.key", &rcgen::KeyPair::generate().unwrap().serialize_pem());
        write("partners/ca.crt", "none");
        let useless = said();
        assert!(useless.contains("do not belong together"), "{useless}");
        assert!(useless.contains("partners/ca.crt bundle holds no certificate"), "{useless}");

        write("front/tls.key", &made.signing_key.serialize_pem());
        write("partners/ca.crt", &made.cert.pem());
        assert_eq!(said(), "");
    }
}
