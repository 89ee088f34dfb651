//! The limits of sizes and durations, declared once: each becomes a CEL rule in the schema and a check in
//! [`mod@crate::validate`], with the same message.

use std::time::Duration;

use serde_json::{Value, json};

use crate::text::{GoDuration, Quantity};

/// Largest request body.
pub const MAX_BODY_SIZE: Sizes = Sizes { least: "1Ki", most: "32Mi" };
/// Journal and state together.
pub const SPOOL_SIZE: Sizes = Sizes { least: "32Mi", most: "16Ti" };
/// Undelivered events of one destination.
pub const BACKLOG_SIZE: Sizes = Sizes { least: "1Mi", most: "16Ti" };
/// One file of the log.
pub const LOG_SIZE: Sizes = Sizes { least: "64Ki", most: "1Ti" };

/// How long a removed destination keeps its events.
pub const RETAIN_REMOVED: Spans = Spans { least: "0s", most: "8760h" };
/// How long a spool is drained that no pod uses any more.
pub const DRAIN_TIMEOUT: Spans = Spans { least: "1s", most: "168h" };
/// One wait of the retry schedule.
pub const RETRY_WAIT: Spans = Spans { least: "0s", most: "168h" };
/// One attempt.
pub const TIMEOUT: Spans = Spans { least: "100ms", most: "10m" };
/// The span of a rate.
pub const RATE_PER: Spans = Spans { least: "100ms", most: "24h" };
/// Between two looks at the metrics.
pub const SCRAPE_EVERY: Spans = Spans { least: "1s", most: "1h" };
/// How far a signed time may be from now.
pub const TOLERANCE: Spans = Spans { least: "1s", most: "24h" };
/// The same for a sender that signs once and tries for days.
pub const PAYPAL_TOLERANCE: Spans = Spans { least: "1s", most: "168h" };
/// How long an event's id is remembered.
pub const DEDUPLICATE_WINDOW: Spans = Spans { least: "1s", most: "168h" };
/// Between two heartbeats.
pub const HEARTBEAT_EVERY: Spans = Spans { least: "1s", most: "24h" };

/// Limits of a size, both included.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    least: &'static str,
    most: &'static str,
}

impl Sizes {
    /// As `x-kubernetes-validations`.
    pub fn rules(&self) -> Value {
        json!([{
            "rule": format!(
                "quantity(self).compareTo(quantity('{}')) >= 0 && quantity(self).compareTo(quantity('{}')) <= 0",
                self.least, self.most
            ),
            "message": self.says(),
        }])
    }

    /// The same, and that it never becomes less.
    pub fn growing_rules(&self) -> Value {
        let mut rules = self.rules();
        if let Some(rules) = rules.as_array_mut() {
            rules.push(json!({
                "rule": "quantity(self).compareTo(quantity(oldSelf)) >= 0",
                "message": "can be increased but not decreased: a volume cannot shrink",
            }));
        }
        rules
    }

    /// The size in bytes, or what is wrong with it.
    pub fn check(&self, size: &Quantity) -> Result<u64, String> {
        let bytes = size.bytes().ok_or(Quantity::FORMAT.says)?;
        let within = |limit: &str| Quantity::from(limit).bytes().ok_or(Quantity::FORMAT.says);
        if (within(self.least)?..=within(self.most)?).contains(&bytes) { Ok(bytes) } else { Err(self.says()) }
    }

    fn says(&self) -> String {
        format!("must be from {} to {}", self.least, self.most)
    }
}

/// Limits of a duration, both included.
#[derive(Clone, Copy, Debug)]
pub struct Spans {
    least: &'static str,
    most: &'static str,
}

impl Spans {
    /// As `x-kubernetes-validations`.
    pub fn rules(&self) -> Value {
        json!([{
            "rule": format!(
                "duration(self) >= duration('{}') && duration(self) <= duration('{}')",
                self.least, self.most
            ),
            "message": self.says(),
        }])
    }

    /// The duration, or what is wrong with it.
    pub fn check(&self, span: &GoDuration) -> Result<Duration, String> {
        let length = span.length().ok_or(GoDuration::FORMAT.says)?;
        let within = |limit: &str| GoDuration::from(limit).length().ok_or(GoDuration::FORMAT.says);
        if (within(self.least)?..=within(self.most)?).contains(&length) {
            Ok(length)
        } else {
            Err(self.says())
        }
    }

    fn says(&self) -> String {
        format!("must be from {} to {}", self.least, self.most)
    }
}
