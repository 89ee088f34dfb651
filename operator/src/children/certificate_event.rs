//! Events about certificates that a user should know.

use std::fmt;

/// Content of a Kubernetes Event about certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateEvent {
    /// An authority was made, the first of this resource.
    FirstAuthority,
    /// The next authority was made, beside the one in use.
    NextAuthority,
    /// A published authority is gone, and a new one replaced it: clients must fetch the new one.
    LostAuthority,
    /// The server has a new certificate.
    ServerCertificate(Why),
}

/// Reason that a certificate was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The stored certificate was missing or could not be read.
    Missing,
    /// The stored certificate was for other names.
    Names,
    /// An authority that is not trusted issued the stored certificate, or it had expired.
    Distrusted,
    /// Two thirds of the stored certificate's validity were over.
    Age,
}

impl CertificateEvent {
    /// Returns whether a user has to do something.
    pub fn is_warning(self) -> bool {
        self == Self::LostAuthority
    }

    /// Returns the reason of the Event.
    pub fn reason(self) -> &'static str {
        match self {
            Self::FirstAuthority => "AuthorityMade",
            Self::NextAuthority => "AuthorityRotated",
            Self::LostAuthority => "AuthorityLost",
            Self::ServerCertificate(_) => "CertificateIssued",
        }
    }
}

impl fmt::Display for CertificateEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstAuthority => "made a certificate authority",
            Self::NextAuthority => {
                "made the next certificate authority; it is trusted from now on and signs once the old one is too old"
            }
            Self::LostAuthority => {
                "the certificate authority was missing, damaged or not made by the operator; a new one replaces it: \
                 fetch ca.crt again wherever the old one is trusted"
            }
            Self::ServerCertificate(Why::Missing) => "issued a certificate, there was none",
            Self::ServerCertificate(Why::Names) => "issued a certificate for other names",
            Self::ServerCertificate(Why::Distrusted) => {
                "issued a certificate: no trusted authority had signed the one before it"
            }
            Self::ServerCertificate(Why::Age) => "renewed the certificate",
        })
    }
}
