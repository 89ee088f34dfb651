//! Senders that prove themselves by the certificate that they showed when they connected.

use visnyk_crds::valid::SecretRef;
use visnyk_runtime::pki::{Distrust, Facts, Trust};
use visnyk_runtime::server::client_certificate;

use super::secrets::Secrets;
use super::{Provider, Rejection, Request};

/// Provider that verifies senders by the subjects of their certificates.
pub struct ClientCertificate {
    subjects: Vec<Subject>,
    /// Returns whether there is a bundle of CAs for client certificates. The listener reads it too, to ask for
    /// certificates.
    is_vouched_for: bool,
}

enum Subject {
    Distinguished(String),
    Dns(String),
    Uri(String),
}

impl ClientCertificate {
    /// Makes the provider for these subjects, with the CA certificates of this bundle.
    pub fn new(subjects: &[String], authorities: &SecretRef, secrets: &mut Secrets<'_>) -> Self {
        let bundle = secrets.read_as(authorities, |pem| Trust::in_bundle(&pem));
        Self {
            subjects: subjects.iter().map(|text| Subject::parse(text)).collect(),
            is_vouched_for: bundle.is_some(),
        }
    }
}

impl Subject {
    fn parse(text: &str) -> Self {
        if let Some(name) = text.strip_prefix("DNS:") {
            Self::Dns(name.to_owned())
        } else if let Some(uri) = text.strip_prefix("URI:") {
            Self::Uri(uri.to_owned())
        } else {
            Self::Distinguished(text.to_owned())
        }
    }

    fn is_of(&self, facts: &Facts) -> bool {
        match self {
            Self::Distinguished(name) => facts.subject == *name,
            Self::Dns(name) => facts.dns_names.iter().any(|other| other.eq_ignore_ascii_case(name)),
            Self::Uri(uri) => facts.uris.contains(uri),
        }
    }
}

impl Provider for ClientCertificate {
    fn verify(&self, request: &Request<'_>) -> Result<(), Rejection> {
        if !self.is_vouched_for {
            return Err(Rejection::NoSecret);
        }
        let shown = request.head.extensions.get::<client_certificate::ClientCertificate>();
        let facts =
            shown.ok_or(Rejection::Missing)?.proven(request.now).map_err(|distrust| match distrust {
                Distrust::Time => Rejection::Time,
                Distrust::Authority => Rejection::NoCertificate,
            })?;
        let is_listed = self.subjects.iter().any(|subject| subject.is_of(facts));
        if is_listed { Ok(()) } else { Err(Rejection::Wrong) }
    }

    fn signs_body(&self) -> bool {
        false
    }

    fn takes_any_body(&self) -> bool {
        false
    }
}
