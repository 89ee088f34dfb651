//! The operator's metrics. Names of resources label only the certificates' expiry, which alerts have to name.

use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram};
use prometheus_client::registry::{Registry, Unit};

/// Metrics of the reconciles. Clones share it.
#[derive(Clone, Debug)]
pub struct OperatorMetrics {
    reconciles: Family<Reconciles, Counter>,
    durations: Family<OfKind, Histogram, fn() -> Histogram>,
    errors: Family<Errors, Counter>,
    certificates: Family<Certificate, Gauge>,
    leading: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reconciles {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Errors {
    kind: &'static str,
    category: &'static str,
}

/// Resource that a certificate belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Certificate {
    /// Kind of the resource: `WebhookRelay` or `Collector`.
    pub kind: &'static str,
    /// Namespace of the resource.
    pub namespace: String,
    /// Name of the resource.
    pub name: String,
}

/// Bounds in seconds, from a reconcile that finds nothing to do to one that waits for a busy API server.
const BUCKETS: [f64; 9] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

impl Default for OperatorMetrics {
    fn default() -> Self {
        Self {
            reconciles: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            errors: Family::default(),
            certificates: Family::default(),
            leading: Gauge::default(),
        }
    }
}

impl OperatorMetrics {
    /// Adds these to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("reconciles", "Reconciles by kind and outcome", self.reconciles.clone());
        let help = "Time that reconciles took";
        registry.register_with_unit("reconcile_duration", help, Unit::Seconds, self.durations.clone());
        let help = "Reconciles that failed, by category of error";
        registry.register("reconcile_errors", help, self.errors.clone());
        let help = "When the serving certificate of a resource expires, as seconds since 1970";
        registry.register_with_unit(
            "certificate_expiry_timestamp",
            help,
            Unit::Seconds,
            self.certificates.clone(),
        );
        registry.register("leading", "Whether this operator holds the lease", self.leading.clone());
    }

    /// Counts a reconcile that came to its end.
    pub fn succeeded(&self, kind: &'static str, took: Duration) {
        self.ended(kind, "success", took);
    }

    /// Counts a reconcile that failed.
    pub fn failed(&self, kind: &'static str, category: &'static str, took: Duration) {
        self.errors.get_or_create(&Errors { kind, category }).inc();
        self.ended(kind, "error", took);
    }

    /// Sets the time at which a certificate in use expires.
    pub fn certificate_expires(&self, certificate: &Certificate, at: Timestamp) {
        self.certificates.get_or_create(certificate).set(at.as_second());
    }

    /// Removes a certificate that is no longer in use: its resource is gone, or the operator did not issue it.
    pub fn certificate_gone(&self, certificate: &Certificate) {
        self.certificates.remove(certificate);
    }

    /// Records that this operator leads from now on.
    pub fn term_began(&self) {
        self.leading.set(1);
    }

    /// Records that this operator does not lead any more. Another operator reports the certificates from now on.
    pub fn term_ended(&self) {
        self.leading.set(0);
        self.certificates.clear();
    }

    fn ended(&self, kind: &'static str, outcome: &'static str, took: Duration) {
        self.reconciles.get_or_create(&Reconciles { kind, outcome }).inc();
        self.durations.get_or_create(&OfKind { kind }).observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use visnyk_runtime::observe::metrics::{Metrics, lint};

    use super::*;

    #[test]
    fn page_tells_reconciles_errors_and_certificates_under_conventional_names() {
        let (page, metrics) = (Metrics::new("visnyk-operator", "0.1.0"), OperatorMetrics::default());
        page.register(|registry| metrics.register(registry));
        metrics.succeeded("WebhookRelay", Duration::from_millis(30));
        metrics.failed("Collector", "Api", Duration::from_secs(2));
        let of = |name: &str| Certificate { kind: "Collector", namespace: "it".into(), name: name.into() };
        metrics.certificate_expires(&of("earlier"), Timestamp::from_second(1_700_000_000).unwrap());
        metrics.term_ended();
        metrics.term_began();
        metrics.certificate_expires(&of("archive"), Timestamp::from_second(1_800_000_000).unwrap());
        metrics.certificate_expires(&of("gone"), Timestamp::from_second(1_800_000_000).unwrap());
        metrics.certificate_gone(&of("gone"));

        let page = page.encode();
        assert_eq!(lint(&page), Vec::<String>::new(), "{page}");
        let figures: Vec<_> = page
            .lines()
            .filter(|line| {
                line.starts_with("visnyk_") && !line.contains("_bucket") && !line.contains("build_info")
            })
            .collect();
        let mut expected = [
            "visnyk_reconciles_total{kind=\"WebhookRelay\",outcome=\"success\"} 1",
            "visnyk_reconciles_total{kind=\"Collector\",outcome=\"error\"} 1",
            "visnyk_reconcile_duration_seconds_sum{kind=\"WebhookRelay\"} 0.03",
            "visnyk_reconcile_duration_seconds_count{kind=\"WebhookRelay\"} 1",
            "visnyk_reconcile_duration_seconds_sum{kind=\"Collector\"} 2.0",
            "visnyk_reconcile_duration_seconds_count{kind=\"Collector\"} 1",
            "visnyk_reconcile_errors_total{kind=\"Collector\",category=\"Api\"} 1",
            "visnyk_certificate_expiry_timestamp_seconds{kind=\"Collector\",namespace=\"it\",name=\"archive\"} 1800000000",
            "visnyk_leading 1",
            "visnyk_log_lines_dropped_total 0",
        ];
        let mut figures = figures;
        figures.sort_unstable();
        expected.sort_unstable();
        assert_eq!(figures, expected);
    }
}
