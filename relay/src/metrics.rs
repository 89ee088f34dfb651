//! Metrics of the relay besides those of listener and dispatchers: answers to senders, and the conservation sum.

use std::collections::BTreeMap;

use http::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use visnyk_engine::deliver::report::DeliveryReport;
use visnyk_engine::spool::Spool;
use visnyk_engine::state::DestinationStatus;
use visnyk_engine::triage::TriageCounts;

use crate::rejection::Rejection;

/// Counters of answers to senders. Clones share them.
#[derive(Clone, Debug)]
pub struct IntakeMetrics {
    answers: Family<Answer, Counter>,
    /// Member of `answers` with the status 200, which is counted for each event.
    ok: Counter,
    refused: Family<Refused, Counter>,
    accepted: Family<OfSource, Counter>,
    greetings: Family<OfSource, Counter>,
    repeats: Family<OfSource, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    source: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSource {
    source: String,
}

/// Results of the requests of one source.
#[derive(Debug, PartialEq, Eq)]
pub struct Counts {
    /// Number of events, each counted once however often it was sent.
    pub accepted: u64,
    /// Number of requests with an event that was accepted before.
    pub repeats: u64,
    /// Number of greetings that were answered.
    pub greetings: u64,
    /// Number of requests without a valid proof, by reason; only reasons that occurred.
    pub refused: BTreeMap<&'static str, u64>,
}

impl Default for IntakeMetrics {
    fn default() -> Self {
        let answers = Family::default();
        Self {
            ok: answers.get_or_create_owned(&Answer { status: StatusCode::OK.as_u16() }),
            answers,
            refused: Family::default(),
            accepted: Family::default(),
            greetings: Family::default(),
            repeats: Family::default(),
        }
    }
}

impl IntakeMetrics {
    /// Adds these to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("requests", "Answers to senders by status", self.answers.clone());
        let help = "Requests whose sender did not prove who it is, by source and reason";
        registry.register("unverified_requests", help, self.refused.clone());
        let help = "Events accepted, by source, since the process started";
        registry.register("source_events", help, self.accepted.clone());
        let help = "Requests that were a sender's greeting, which is answered and not stored";
        registry.register("greetings", help, self.greetings.clone());
        let help = "Requests with an event that was accepted before, which are not delivered again";
        registry.register("repeats", help, self.repeats.clone());
    }

    /// Counts a request without a valid proof.
    pub fn refused(&self, source: &str, refusal: Rejection) {
        self.refused.get_or_create(&Refused { source: source.to_owned(), reason: refusal.label() }).inc();
    }

    /// Counts the events of a source.
    pub fn accepted(&self, source: &str) -> Counter {
        self.accepted.get_or_create_owned(&OfSource { source: source.to_owned() })
    }

    /// Returns the counts of a source.
    pub fn of(&self, source: &str) -> Counts {
        let label = OfSource { source: source.to_owned() };
        let count =
            |family: &Family<OfSource, Counter>| family.get(&label).map_or(0, |counter| counter.get());
        let refused = |refusal: &Rejection| {
            let reason = refusal.label();
            let counter = self.refused.get(&Refused { source: source.to_owned(), reason })?;
            Some((reason, counter.get()))
        };
        Counts {
            accepted: count(&self.accepted),
            repeats: count(&self.repeats),
            greetings: count(&self.greetings),
            refused: Rejection::ALL.iter().filter_map(refused).collect(),
        }
    }

    /// Counts a repeat of an event.
    pub fn repeated(&self, source: &str) {
        self.repeats.get_or_create(&OfSource { source: source.to_owned() }).inc();
    }

    /// Counts a greeting that was answered.
    pub fn greeted(&self, source: &str) {
        self.greetings.get_or_create(&OfSource { source: source.to_owned() }).inc();
    }

    /// Counts an answer to a sender.
    pub fn answered(&self, status: StatusCode) {
        if status == StatusCode::OK {
            self.ok.inc();
        } else {
            self.answers.get_or_create(&Answer { status: status.as_u16() }).inc();
        }
    }
}

/// The conservation sum of each destination, read when metrics are collected.
pub struct SpoolMetrics {
    spool: Spool,
    deliveries: DeliveryReport,
}

impl SpoolMetrics {
    /// Returns a collector for this spool and what is delivered from it.
    pub fn new(spool: &Spool, deliveries: &DeliveryReport) -> Self {
        Self { spool: spool.clone(), deliveries: deliveries.clone() }
    }
}

impl std::fmt::Debug for SpoolMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SpoolMetrics")
    }
}

impl Collector for SpoolMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let snapshot = self.spool.snapshot();
        let accepted = ConstCounter::new(snapshot.accepted);
        let help = "Events accepted since the spool began";
        accepted.encode(encoder.encode_descriptor(
            "events_accepted",
            help,
            None,
            accepted.metric_type(),
        )?)?;
        let (remembered, forgotten) = self.spool.remembered();
        let remembered = ConstGauge::new(i64::try_from(remembered).unwrap_or(i64::MAX));
        let help = "Ids of accepted events that are remembered, so that none is accepted again";
        let kind = remembered.metric_type();
        remembered.encode(encoder.encode_descriptor("remembered_ids", help, None, kind)?)?;
        let forgotten = ConstCounter::new(forgotten);
        let help = "Ids that were forgotten before their time, since there are too many";
        let kind = forgotten.metric_type();
        forgotten.encode(encoder.encode_descriptor("forgotten_ids", help, None, kind)?)?;
        for (name, help, value) in ENDINGS {
            let kind = ConstCounter::new(0_u64).metric_type();
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for destination in &snapshot.destinations {
                let labels = [("destination", destination.name.as_str())];
                ConstCounter::new(value(destination)).encode(family.encode_family(&labels)?)?;
            }
        }
        for (name, help, value) in LEVELS {
            let kind = ConstGauge::new(0_u64).metric_type();
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for destination in &snapshot.destinations {
                let labels = [("destination", destination.name.as_str())];
                ConstGauge::new(value(destination)).encode(family.encode_family(&labels)?)?;
            }
        }
        let help = "1 while deliveries wait for a Secret or a peer's file that is missing or cannot be used";
        let kind = ConstGauge::new(0_u64).metric_type();
        let mut family = encoder.encode_descriptor("destination_waiting", help, None, kind)?;
        for destination in &snapshot.destinations {
            let labels = [("destination", destination.name.as_str())];
            let waits = self.deliveries.blocked.of(&destination.name).is_some();
            ConstGauge::new(u64::from(waits)).encode(family.encode_family(&labels)?)?;
        }
        rules(&self.deliveries.triage.counts(), &mut encoder)
    }
}

/// Encodes what the rules did since the process started.
fn rules(counts: &TriageCounts, encoder: &mut DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
    let kind = ConstCounter::new(0_u64).metric_type();
    for (name, help, by_rule) in [
        ("rule_dropped", "Events that a rule dropped", &counts.dropped),
        (
            "rule_errors",
            "Events for which an expression of a rule or of a destination failed",
            &counts.errors,
        ),
    ] {
        let mut family = encoder.encode_descriptor(name, help, None, kind)?;
        for (rule, count) in by_rule {
            ConstCounter::new(*count).encode(family.encode_family(&[("rule", rule.as_str())])?)?;
        }
    }
    for (name, help, count) in [
        ("events_unmatched", "Events that no destination selected", counts.unmatched),
        (
            "events_without_rules",
            "Events decided without rules, because these broke down",
            counts.without_rules,
        ),
    ] {
        ConstCounter::new(count).encode(encoder.encode_descriptor(name, help, None, kind)?)?;
    }
    Ok(())
}

type Figure = (&'static str, &'static str, fn(&DestinationStatus) -> u64);

const ENDINGS: [Figure; 4] = [
    ("events_delivered", "Events a destination took", |status| status.delivered),
    ("events_dropped", "Events dropped by a named rule or command", |status| status.dropped),
    ("events_filtered", "Events that a destination's `when` did not select", |status| status.filtered),
    ("events_damaged", "Events that were on disk and cannot be read", |status| status.damaged),
];

/// Terms of the sum that can decrease: a redrive takes dead letters back.
const LEVELS: [Figure; 3] = [
    ("events_pending", "Events still to be delivered", |status| status.pending),
    ("events_undecided", "Pending events about which the rules have not decided", |status| status.undecided),
    ("dead_letters", "Events that are tried no more, and kept", |status| status.dead_lettered),
];
