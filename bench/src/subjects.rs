//! What is measured, as rows of tables.

mod tables;

use std::time::Duration;

use clap::ValueEnum;
use visnyk_sinks::counter::Pace;

pub use tables::{Peers, Table, accept, deliver, paced};

/// Size of a body like those of the old system's senders, in bytes.
pub const USUAL_BODY: usize = 480;
/// Wait for each answer of [`SinkKind::Late`].
const LATE: Duration = Duration::from_millis(50);
/// Wait for one answer of a hundred of [`SinkKind::LateAtTimes`].
const VERY_LATE: Duration = Duration::from_secs(1);

/// Row of a table: a server, the load that it gets, and its destinations.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Name in the table.
    pub title: String,
    /// Server that takes the load.
    pub server: Server,
    /// Bytes of each body.
    pub body: usize,
    /// Destinations that answer, in the order of their ports.
    pub sinks: Vec<SinkKind>,
}

/// Server that is measured.
#[derive(Clone, Copy, Debug)]
pub enum Server {
    Bare,
    Relay(Relay),
    Webhook,
    Benthos,
}

/// Relay and the parts of its manifest that differ between rows.
#[derive(Clone, Copy, Debug)]
pub struct Relay {
    pub release: Release,
    pub source: Source,
    /// Number of destinations that nothing listens for.
    pub dead: u16,
    pub cores: Cores,
    pub rules: Rules,
}

/// Rules that the relay decides by.
#[derive(Clone, Copy, Debug)]
pub enum Rules {
    Without,
    /// 50 rules, of which the event matches two, and a `when` that is true on each destination.
    Fifty,
}

/// Binary of the relay that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Built from this tree.
    This,
    /// Built from the commit that bench/baseline names.
    Before,
}

/// Checks of a source.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// Admits every sender without a check.
    Open,
    /// Verifies signatures and suppresses repeats.
    Verifying,
}

/// Cores that the relay may use.
#[derive(Clone, Copy, Debug)]
pub enum Cores {
    All,
    First,
}

/// Behaviour of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SinkKind {
    /// Plain HTTP, answers at once.
    Plain,
    /// HTTPS, answers at once.
    Tls,
    /// Plain HTTP, each answer after 50 ms.
    Late,
    /// Plain HTTP, one answer of a hundred after a second.
    LateAtTimes,
}

impl SinkKind {
    /// Returns the time that it takes for its answers.
    pub fn pace(self) -> Pace {
        match self {
            Self::Plain | Self::Tls => Pace::AtOnce,
            Self::Late => Pace::Late(LATE),
            Self::LateAtTimes => Pace::LateOnceIn(100, VERY_LATE),
        }
    }

    /// Returns whether a measurement waits until it has had every event. One that is late by design shows what
    /// becomes of the others.
    pub fn is_waited_for(self) -> bool {
        self != Self::Late
    }

    /// Returns the scheme of its URL.
    pub fn scheme(self) -> &'static str {
        if self == Self::Tls { "https" } else { "http" }
    }
}
