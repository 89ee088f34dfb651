//! Identity of a relay for a Collector: the URI in its client certificate.

/// A relay, by namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SenderName {
    /// Namespace of the relay.
    pub namespace: String,
    /// Name of the relay.
    pub name: String,
}

const SCHEME: &str = "visnyk://";

impl SenderName {
    /// Returns the URI `visnyk://<namespace>/<name>` of the relay.
    pub fn uri(&self) -> String {
        format!("{SCHEME}{}/{}", self.namespace, self.name)
    }

    /// Parses such a URI; none for any other.
    pub fn parse(uri: &str) -> Option<Self> {
        let (namespace, name) = uri.strip_prefix(SCHEME)?.split_once('/')?;
        let is_plain = |part: &str| !part.is_empty() && !part.contains(['/', '?', '#', '@', ':']);
        (is_plain(namespace) && is_plain(name))
            .then(|| Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}
