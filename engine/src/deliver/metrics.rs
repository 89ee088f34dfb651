//! Metrics of deliveries: attempts by destination and outcome, and their durations.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::failure::FailureKind;

/// From a fast neighbour to the longest timeout.
const BUCKETS: [f64; 10] = [0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 600.0];

/// Attempts of a process's dispatchers. Clones share them.
#[derive(Clone, Debug)]
pub struct DeliveryMetrics {
    attempts: Family<AttemptLabels, Counter>,
    seconds: Family<DestinationLabels, Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    destination: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DestinationLabels {
    destination: String,
}

impl Default for DeliveryMetrics {
    fn default() -> Self {
        let seconds = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        Self { attempts: Family::default(), seconds }
    }
}

impl DeliveryMetrics {
    /// Adds these to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("delivery_attempts", "Attempts by destination and outcome", self.attempts.clone());
        let help = "From the beginning of an attempt to its outcome";
        registry.register_with_unit("delivery_duration", help, Unit::Seconds, self.seconds.clone());
    }

    /// Counts an attempt that delivered.
    pub fn delivered(&self, destination: &str, took: Duration) {
        self.ended(destination, "delivered", took);
    }

    /// Counts an attempt that failed.
    pub fn failed(&self, destination: &str, kind: FailureKind, took: Duration) {
        self.ended(destination, kind.label(), took);
    }

    fn ended(&self, destination: &str, outcome: &'static str, took: Duration) {
        let destination = destination.to_owned();
        self.seconds
            .get_or_create(&DestinationLabels { destination: destination.clone() })
            .observe(took.as_secs_f64());
        self.attempts.get_or_create(&AttemptLabels { destination, outcome }).inc();
    }
}
