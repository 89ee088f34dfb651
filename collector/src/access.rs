//! Decides which senders may send: relays of the collector's own namespace and of those that its manifest lists, as
//! their certificates prove, and everyone where the manifest allows it explicitly.

use std::borrow::Cow;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use visnyk_crds::valid::ValidatedCollector;
use visnyk_runtime::{pki::SenderName, server::problem::Problem};

/// Reason for which a sender may not send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It presents no certificate of a relay, or an expired one.
    NoCertificate,
    /// It is a relay of a namespace that may not send.
    Namespace(String),
}

impl Refusal {
    fn reason(&self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::Namespace(_) => "namespace",
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::forbidden(match refusal {
            Refusal::NoCertificate => Cow::from("Only relays that show a valid certificate may send"),
            Refusal::Namespace(namespace) => format!("Relays of namespace {namespace} may not send").into(),
        })
    }
}

/// Checks that `sender`, as its certificate proves, may send.
pub fn admit(collector: &ValidatedCollector, sender: Option<SenderName>) -> Result<(), Refusal> {
    if collector.access.anonymous {
        return Ok(());
    }
    let SenderName { namespace, .. } = sender.ok_or(Refusal::NoCertificate)?;
    if namespace == collector.identity.namespace || collector.access.namespaces.contains(&namespace) {
        return Ok(());
    }
    Err(Refusal::Namespace(namespace))
}

/// Counter of senders that may not send. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct AccessMetrics {
    refused: Family<Label, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    reason: &'static str,
}

impl AccessMetrics {
    /// Adds these to a registry.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Requests of senders that may not send";
        registry.register("access_refused", help, self.refused.clone());
    }

    /// Counts a sender that may not send.
    pub fn refused(&self, refusal: &Refusal) {
        self.refused.get_or_create(&Label { reason: refusal.reason() }).inc();
    }
}

#[cfg(test)]
mod tests {
    use visnyk_crds::manifest;
    use visnyk_runtime::observe::metrics::{Metrics, lint};

    use super::*;

    fn collector(access: &str) -> ValidatedCollector {
        let text = format!(
            "{{apiVersion: visnyk.dev/v1alpha1, kind: Collector, metadata: {{name: logbook, namespace: ships}}, \
             spec: {{listener: {{tls: {{selfSigned: {{}}}}}}, log: {{}}, access: {access}}}}}"
        );
        manifest::load_collector(&text, None).unwrap()
    }

    fn relay_of(namespace: &str) -> SenderName {
        SenderName { namespace: namespace.into(), name: "quay".into() }
    }

    #[test]
    fn closed_collector_takes_from_its_own_namespace() {
        let closed = collector("{}");
        assert_eq!(admit(&closed, Some(relay_of("ships"))), Ok(()));
        assert_eq!(admit(&closed, Some(relay_of("shipsx"))), Err(Refusal::Namespace("shipsx".into())));
        assert_eq!(admit(&closed, None), Err(Refusal::NoCertificate));
    }

    #[test]
    fn named_namespaces_are_let_in_beside_its_own() {
        let collector = collector("{namespaces: [docks, piers]}");
        for namespace in ["ships", "docks", "piers"] {
            assert_eq!(admit(&collector, Some(relay_of(namespace))), Ok(()), "{namespace}");
        }
        assert_eq!(admit(&collector, Some(relay_of("sea"))), Err(Refusal::Namespace("sea".into())));
    }

    #[test]
    fn open_collector_takes_from_everyone() {
        let open = collector("{anonymousIngest: {}}");
        for sender in [None, Some(relay_of("ships")), Some(relay_of("sea"))] {
            assert_eq!(admit(&open, sender), Ok(()));
        }
    }

    #[test]
    fn refusals_are_counted_by_reason() {
        let (metrics, access) = (Metrics::new("visnyk-collector", "0.1.0"), AccessMetrics::default());
        metrics.register(|registry| access.register(registry));
        access.refused(&Refusal::NoCertificate);
        access.refused(&Refusal::Namespace("sea".into()));
        let page = metrics.encode();
        assert_eq!(lint(&page), Vec::<String>::new(), "{page}");
        for reason in ["no_certificate", "namespace"] {
            assert!(
                page.contains(&format!("visnyk_access_refused_total{{reason=\"{reason}\"}} 1\n")),
                "{page}"
            );
        }
    }
}
