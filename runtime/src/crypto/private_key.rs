//! Private keys, as PEM.

use rustls_pki_types::{PrivateKeyDer, pem::PemObject};

/// A text that gives no private key. Shown behind the name of the file that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrivateKeyError {
    /// There is none, or it is not PEM.
    #[error("holds no private key")]
    Missing,
    /// There is one that only a password opens.
    #[error("is encrypted, and there is no way to give its password: store it decrypted (openssl pkey)")]
    Encrypted,
}

/// Reads the first private key of a PEM text.
pub fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, PrivateKeyError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        // PKCS #8 says it in its label, the older form in a header.
        let encrypted = ["-----BEGIN ENCRYPTED PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED"];
        let text = String::from_utf8_lossy(pem);
        let is_encrypted = encrypted.iter().any(|mark| text.contains(mark));
        if is_encrypted { PrivateKeyError::Encrypted } else { PrivateKeyError::Missing }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encrypted_key_is_said_to_be_encrypted() {
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        assert!(private_key(key.as_bytes()).is_ok());
        let pkcs8 = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n\
                   -----END RSA PRIVATE KEY-----\n";
        for (pem, error) in [
            (&pkcs8[..], PrivateKeyError::Encrypted),
            (old, PrivateKeyError::Encrypted),
            ("", PrivateKeyError::Missing),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", PrivateKeyError::Missing),
        ] {
            assert_eq!(private_key(pem.as_bytes()).unwrap_err(), error, "{pem}");
        }
    }
}
