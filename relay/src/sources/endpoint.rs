//! The endpoint of each source: its provider, with the present secrets.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use tracing::warn;
use visnyk_crds::valid::{IdAt, Source};
use visnyk_engine::event::Attributes;

use crate::kept_headers::KeptHeaders;
use crate::metrics::IntakeMetrics;

use super::json::Json;
use super::pay_pal::PayPalCertificates;
use super::providers::provider;
use super::secrets::Secrets;
use super::{Provider, Rejection, Request};

/// One source, with the verification of its senders.
pub struct SourceEndpoint {
    /// The source as the manifest has it.
    pub source: Source,
    /// Provider that verifies the source's senders.
    pub provider: Box<dyn Provider>,
    /// Selection of the headers that are stored with its events.
    pub headers: KeptHeaders,
    /// Returns the problems of its secrets.
    pub problems: Vec<String>,
    /// Counter of its accepted events.
    pub accepted: Counter,
}

impl SourceEndpoint {
    /// Checks that a sender's address is allowed.
    pub fn admit(&self, address: Option<IpAddr>) -> Result<(), Rejection> {
        let ranges = &self.source.allow_from;
        let is_within = |address| ranges.iter().any(|range| range.contains(&address));
        if ranges.is_empty() || address.is_some_and(is_within) { Ok(()) } else { Err(Rejection::Address) }
    }
}

impl SourceEndpoint {
    /// Returns the description of an event, with the id from the place that the manifest names.
    pub fn identify(&self, request: &Request<'_>, said: Attributes) -> Attributes {
        let Some(at) = self.source.deduplicate.as_ref().and_then(|deduplicate| deduplicate.id.as_ref())
        else {
            return said;
        };
        let id = match at {
            IdAt::Header(name) => {
                let value = request.head.headers.get(name).and_then(|value| value.to_str().ok());
                value.filter(|id| !id.is_empty()).map(str::to_owned)
            }
            IdAt::Body(path) => Json::of(request.body).text_at(path),
        };
        Attributes { id, origin: None, ..said }
    }
}

/// Makes the endpoints of sources. It does IO: it reads their secrets.
pub struct SourceLoader {
    secrets_dir: PathBuf,
    certificates: PayPalCertificates,
    metrics: IntakeMetrics,
}

impl SourceLoader {
    /// Returns a loader that reads Secrets in this folder.
    pub fn new(secrets_dir: &Path, certificates: PayPalCertificates, metrics: IntakeMetrics) -> Self {
        Self { secrets_dir: secrets_dir.to_owned(), certificates, metrics }
    }

    /// Returns an endpoint for each source, with its secrets as they are now.
    pub fn load(&self, sources: &[Source]) -> Vec<Arc<SourceEndpoint>> {
        sources.iter().map(|source| Arc::new(self.endpoint(source))).collect()
    }

    fn endpoint(&self, source: &Source) -> SourceEndpoint {
        let mut secrets = Secrets::of(&self.secrets_dir);
        let provider = provider(&source.verify, &mut secrets, &self.certificates);
        let problems: Vec<String> = secrets.into_problems().iter().map(ToString::to_string).collect();
        for problem in &problems {
            warn!(source = source.name, problem, "secret cannot be used: the source accepts no request");
        }
        SourceEndpoint {
            source: source.clone(),
            provider,
            headers: KeptHeaders::of(source),
            problems,
            accepted: self.metrics.accepted(&source.name),
        }
    }
}
