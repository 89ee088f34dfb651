//! The active configuration and the endpoints of its sources: one snapshot, replaced as a whole, so that no request sees
//! half of a change.

use std::sync::Arc;

use visnyk_crds::valid::ValidatedRelay;

use crate::sources::{SourceEndpoint, SourceLoader};

/// Configuration and source endpoints that the relay runs at one moment.
pub struct Active {
    /// The manifest after its validation.
    pub valid: ValidatedRelay,
    /// The endpoint of each source, in the manifest's order, with the secrets as they were read last.
    pub endpoints: Vec<Arc<SourceEndpoint>>,
}

impl Active {
    /// Reads the secrets of all sources. A source whose secret is missing or empty verifies no sender.
    pub fn load(valid: ValidatedRelay, sources: &SourceLoader) -> Self {
        let endpoints = sources.load(&valid.sources);
        Self { valid, endpoints }
    }

    /// Returns the endpoint of this path.
    pub fn endpoint(&self, path: &str) -> Option<Arc<SourceEndpoint>> {
        self.endpoints.iter().find(|endpoint| endpoint.source.path == path).cloned()
    }
}
