//! Metrics of deliveries: attempts by destination and outcome, their durations, and the limits in flight.

use std::collections::HashMap;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::failure::FailureKind;

/// From a fast neighbour to the longest timeout.
const BUCKETS: [f64; 10] = [0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 600.0];

/// Label of an attempt that delivered.
const DELIVERED: &str = "delivered";

/// Attempts of a process's dispatchers. Clones share them.
#[derive(Clone, Debug)]
pub struct DeliveryMetrics {
    attempts: Family<AttemptLabels, Counter>,
    seconds: Family<DestinationLabels, Histogram>,
    limits: Family<DestinationLabels, Gauge>,
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
        Self { attempts: Family::default(), seconds, limits: Family::default() }
    }
}

impl DeliveryMetrics {
    /// Adds these to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("delivery_attempts", "Attempts by destination and outcome", self.attempts.clone());
        let help = "From the beginning of an attempt to its outcome";
        registry.register_with_unit("delivery_duration", help, Unit::Seconds, self.seconds.clone());
        let help = "Requests that may be in flight to a destination now, of at most its `concurrency`";
        registry.register("destination_concurrency_limit", help, self.limits.clone());
    }

    /// Returns the metrics of one destination.
    pub fn of(&self, destination: &str) -> DestinationMetrics {
        let label = DestinationLabels { destination: destination.to_owned() };
        DestinationMetrics {
            seconds: self.seconds.get_or_create_owned(&label),
            limit: self.limits.get_or_create_owned(&label),
            label,
            attempts: self.attempts.clone(),
            by_outcome: HashMap::new(),
        }
    }

    /// Returns the number of requests that may be in flight to a destination now; `None` if none is delivered to it.
    pub fn concurrency_limit(&self, destination: &str) -> Option<u64> {
        let label = DestinationLabels { destination: destination.to_owned() };
        self.limits.get(&label).map(|limit| limit.get().unsigned_abs())
    }

    /// Forgets the limit of a destination that is not delivered to any more.
    pub fn stopped(&self, destination: &str) {
        self.limits.remove(&DestinationLabels { destination: destination.to_owned() });
    }
}

/// Metrics of one destination. They are looked up once and not with each attempt.
#[derive(Debug)]
pub struct DestinationMetrics {
    label: DestinationLabels,
    attempts: Family<AttemptLabels, Counter>,
    by_outcome: HashMap<&'static str, Counter>,
    seconds: Histogram,
    limit: Gauge,
}

impl DestinationMetrics {
    /// Counts an attempt that delivered.
    pub fn delivered(&mut self, took: Duration) {
        self.ended(DELIVERED, took);
    }

    /// Counts an attempt that failed.
    pub fn failed(&mut self, kind: FailureKind, took: Duration) {
        self.ended(kind.label(), took);
    }

    /// Sets the number of requests that may be in flight.
    pub fn set_concurrency_limit(&self, limit: usize) {
        self.limit.set(i64::try_from(limit).unwrap_or(i64::MAX));
    }

    fn ended(&mut self, outcome: &'static str, took: Duration) {
        self.seconds.observe(took.as_secs_f64());
        let counter = self.by_outcome.entry(outcome).or_insert_with(|| {
            let destination = self.label.destination.clone();
            self.attempts.get_or_create_owned(&AttemptLabels { destination, outcome })
        });
        counter.inc();
    }
}
