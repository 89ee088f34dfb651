//! Limits of sizes and durations, each declared once. A limit becomes a CEL rule in the schema and a check in
//! [`mod@crate::validate`], with the same message.

use std::time::Duration;

use serde_json::{Value, json};

use crate::text::{GoDuration, Quantity};

/// Size of a request body.
pub const MAX_BODY_SIZE: Sizes = Sizes { min: "1Ki", max: "32Mi" };
/// Size of journal and state together.
pub const SPOOL_SIZE: Sizes = Sizes { min: "32Mi", max: "16Ti" };
/// Size of the undelivered events of one destination.
pub const BACKLOG_SIZE: Sizes = Sizes { min: "1Mi", max: "16Ti" };
/// Size of one file of the log.
pub const LOG_SIZE: Sizes = Sizes { min: "64Ki", max: "1Ti" };

/// Duration for which a removed destination keeps its events.
pub const RETAIN_REMOVED: Spans = Spans { min: "0s", max: "8760h" };
/// Duration for which an unused spool is drained.
pub const DRAIN_TIMEOUT: Spans = Spans { min: "1s", max: "168h" };
/// Duration of one wait of the retry schedule.
pub const RETRY_WAIT: Spans = Spans { min: "0s", max: "168h" };
/// Duration of one attempt.
pub const TIMEOUT: Spans = Spans { min: "100ms", max: "10m" };
/// Length of the span of a rate limit.
pub const RATE_PER: Spans = Spans { min: "100ms", max: "24h" };
/// Scrape interval of the metrics.
pub const SCRAPE_EVERY: Spans = Spans { min: "1s", max: "1h" };
/// Difference between a signed time and now.
pub const TOLERANCE: Spans = Spans { min: "1s", max: "24h" };
/// Difference between a signed time and now, for a sender that signs once and retries for days.
pub const PAYPAL_TOLERANCE: Spans = Spans { min: "1s", max: "168h" };
/// Duration for which an event's id is remembered.
pub const DEDUPLICATE_WINDOW: Spans = Spans { min: "1s", max: "168h" };
/// Minimum and maximum interval between heartbeats.
pub const HEARTBEAT_EVERY: Spans = Spans { min: "1s", max: "24h" };

/// Limits of a size, both included.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    min: &'static str,
    max: &'static str,
}

impl Sizes {
    /// Returns the limits as `x-kubernetes-validations`.
    pub fn rules(&self) -> Value {
        json!([{
            "rule": format!(
                "quantity(self).compareTo(quantity('{}')) >= 0 && quantity(self).compareTo(quantity('{}')) <= 0",
                self.min, self.max
            ),
            "message": self.error_text(),
        }])
    }

    /// Returns the limits, and the rule that the size never decreases, as `x-kubernetes-validations`.
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

    /// Returns the size in bytes.
    ///
    /// # Errors
    /// The text for a size that cannot be read or is out of bounds.
    pub fn check(&self, size: &Quantity) -> Result<u64, String> {
        let bytes = size.bytes().ok_or(Quantity::FORMAT.error_text)?;
        let within = |limit: &str| Quantity::from(limit).bytes().ok_or(Quantity::FORMAT.error_text);
        if (within(self.min)?..=within(self.max)?).contains(&bytes) {
            Ok(bytes)
        } else {
            Err(self.error_text())
        }
    }

    fn error_text(&self) -> String {
        format!("must be from {} to {}", self.min, self.max)
    }
}

/// Limits of a duration, both included.
#[derive(Clone, Copy, Debug)]
pub struct Spans {
    min: &'static str,
    max: &'static str,
}

impl Spans {
    /// Returns the limits as `x-kubernetes-validations`.
    pub fn rules(&self) -> Value {
        json!([{
            "rule": format!(
                "duration(self) >= duration('{}') && duration(self) <= duration('{}')",
                self.min, self.max
            ),
            "message": self.error_text(),
        }])
    }

    /// Returns the duration.
    ///
    /// # Errors
    /// The text for a duration that cannot be read or is out of bounds.
    pub fn check(&self, span: &GoDuration) -> Result<Duration, String> {
        let length = span.length().ok_or(GoDuration::FORMAT.error_text)?;
        let within = |limit: &str| GoDuration::from(limit).length().ok_or(GoDuration::FORMAT.error_text);
        if (within(self.min)?..=within(self.max)?).contains(&length) {
            Ok(length)
        } else {
            Err(self.error_text())
        }
    }

    fn error_text(&self) -> String {
        format!("must be from {} to {}", self.min, self.max)
    }
}
