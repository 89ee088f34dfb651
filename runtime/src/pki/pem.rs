//! PEM texts: the only place that parses certificates and private keys, and writes certificates.

use pem::{EncodeConfig, LineEnding, Pem};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

/// Error for a text that holds no certificate, or a damaged one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("holds no certificate")]
pub struct NoCertificate;

/// Error for a text that holds no usable private key. Shown behind the name of the file that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrivateKeyError {
    /// The text is not PEM, or holds no private key.
    #[error("holds no private key")]
    Missing,
    /// The private key is encrypted with a password.
    #[error("is encrypted, and there is no way to give its password: store it decrypted (openssl pkey)")]
    Encrypted,
}

/// Parses every certificate of a PEM text, in its order; other sections and text around them are skipped.
///
/// # Errors
///
/// There is no certificate, or a section is damaged.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, NoCertificate> {
    match CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(NoCertificate),
    }
}

/// Parses the first certificate of a PEM text. Sections behind it are not looked at.
///
/// # Errors
///
/// There is no certificate, or a section before it is damaged.
pub fn first_certificate(pem: &[u8]) -> Result<CertificateDer<'static>, NoCertificate> {
    CertificateDer::from_pem_slice(pem).map_err(|_| NoCertificate)
}

/// Parses the first private key of a PEM text.
pub fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, PrivateKeyError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        // PKCS #8 says it in its label, the older form in a header.
        let encrypted = ["-----BEGIN ENCRYPTED PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED"];
        let text = String::from_utf8_lossy(pem);
        let is_encrypted = encrypted.iter().any(|mark| text.contains(mark));
        if is_encrypted { PrivateKeyError::Encrypted } else { PrivateKeyError::Missing }
    })
}

/// Writes a certificate as PEM, with lines that end in LF on every system.
pub(super) fn encode(certificate: &[u8]) -> String {
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new("CERTIFICATE", certificate), config)
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

    #[test]
    fn every_certificate_of_a_text_is_read_and_none_of_a_damaged_one() {
        let (one, other) = (encode(b"one"), encode(b"other"));
        let of = |text: String| certificates(text.as_bytes()).map(|list| list.len());
        assert_eq!(of(format!("noise\n{one}# more\n{other}")), Ok(2));
        for text in [String::new(), "noise".into(), format!("{one}{}", other.replace("END CERT", "END"))] {
            assert_eq!(of(text), Err(NoCertificate));
        }
        let damaged_later = format!("{one}{}", other.replace("END CERT", "END"));
        assert_eq!(first_certificate(damaged_later.as_bytes()).unwrap().as_ref(), b"one");
    }
}
