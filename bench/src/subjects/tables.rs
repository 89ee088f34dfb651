//! The rows of each table. The first row of a table is what the others are compared with.

use super::{Cores, Relay, Release, Rules, Server, SinkKind, Source, Subject, USUAL_BODY};

/// Rows that are measured in turn, and the numbers of connections of their load.
#[derive(Clone, Debug)]
pub struct Table {
    pub title: &'static str,
    pub connections: Vec<u32>,
    pub subjects: Vec<Subject>,
}

impl Table {
    /// Keeps the first row and those whose title contains one of these texts; without texts all.
    pub fn with_rows(mut self, texts: &[String]) -> Self {
        let mut is_first = true;
        self.subjects.retain(|subject| {
            let named = texts.is_empty() || texts.iter().any(|text| subject.title.contains(text.as_str()));
            std::mem::take(&mut is_first) || named
        });
        self
    }
}

/// Servers that a machine has besides those of this tree.
#[derive(Clone, Copy, Debug)]
pub struct Peers {
    pub webhook: bool,
    pub benthos: bool,
    pub before: bool,
}

const RELAY: Relay =
    Relay { release: Release::This, source: Source::Open, dead: 0, cores: Cores::All, rules: Rules::Without };
/// The relay without a destination that answers: what it costs to accept.
const ALONE: Relay = Relay { dead: 2, ..RELAY };
/// Connections of the load in the table of deliveries.
const DELIVERING: u32 = 64;

/// Accepting, beside a server that stores nothing and beside peers.
pub fn accept(connections: &[u32], peers: Peers) -> Table {
    let verifying = Relay { source: Source::Verifying, ..ALONE };
    let mut subjects = vec![
        bare("bare axum + rustls, stores nothing (A)"),
        relay("relay, durable, two destinations", RELAY, plain(2)),
        relay("relay, durable, one of two down", Relay { dead: 1, ..RELAY }, plain(1)),
        relay("relay, durable accept alone: both down", ALONE, plain(0)),
        relay("the same, verifies HMAC and deduplicates", verifying, plain(0)),
    ];
    if peers.before {
        let before = Relay { release: Release::Before, ..ALONE };
        subjects.push(relay("the release before, accept alone", before, plain(0)));
    }
    subjects.push(bare("bare again (A')"));
    if peers.webhook {
        subjects.push(subject("webhook (Debian), runs /bin/true", Server::Webhook, plain(0)));
    }
    if peers.benthos {
        subjects.push(subject("Benthos, two destinations, stores nothing", Server::Benthos, plain(2)));
    }
    Table { title: "Accepting", connections: connections.to_vec(), subjects }
}

/// Delivering, to destinations of several numbers and kinds.
pub fn deliver(peers: Peers) -> Table {
    let one_core = Relay { cores: Cores::First, ..RELAY };
    let mut subjects = vec![relay("two destinations", RELAY, plain(2))];
    if peers.before {
        let before = Relay { release: Release::Before, ..RELAY };
        subjects.push(relay("the release before, two destinations", before, plain(2)));
    }
    subjects.extend([
        relay("one destination", RELAY, plain(1)),
        relay("8 destinations", RELAY, plain(8)),
        relay(
            "8 destinations, 50 rules, and a true `when` on each",
            Relay { rules: Rules::Fifty, ..RELAY },
            plain(8),
        ),
        relay("64 destinations", RELAY, plain(64)),
        relay("two destinations over TLS", RELAY, vec![SinkKind::Tls; 2]),
        relay("two, another one is down", Relay { dead: 1, ..RELAY }, plain(2)),
        relay("two, another one answers after 50 ms", RELAY, [plain(2), vec![SinkKind::Late]].concat()),
        relay("two, 1 % of answers after 1 s", RELAY, vec![SinkKind::LateAtTimes; 2]),
        Subject { body: 8 << 10, ..relay("two, events of 8 KiB", RELAY, plain(2)) },
        Subject { body: 256 << 10, ..relay("two, events of 256 KiB", RELAY, plain(2)) },
        relay("two, the relay on one core", one_core, plain(2)),
        relay("accept alone, the relay on one core", Relay { dead: 2, ..one_core }, plain(0)),
        relay("two destinations again", RELAY, plain(2)),
    ]);
    Table { title: "Delivering", connections: vec![DELIVERING], subjects }
}

/// Those whose latency at half of the peak is worth a comparison.
pub fn paced() -> Vec<Subject> {
    vec![
        bare("bare axum + rustls, stores nothing"),
        relay("relay, durable, two destinations", RELAY, plain(2)),
        relay("relay, durable accept alone: both down", ALONE, plain(0)),
    ]
}

fn bare(title: &str) -> Subject {
    subject(title, Server::Bare, plain(0))
}

fn relay(title: &str, relay: Relay, sinks: Vec<SinkKind>) -> Subject {
    subject(title, Server::Relay(relay), sinks)
}

fn subject(title: &str, server: Server, sinks: Vec<SinkKind>) -> Subject {
    Subject { title: title.to_owned(), server, body: USUAL_BODY, sinks }
}

fn plain(count: usize) -> Vec<SinkKind> {
    vec![SinkKind::Plain; count]
}
