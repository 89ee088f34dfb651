//! One load after another: against each row in turn, round by round, so that a machine that changes its speed changes
//! it for all.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::arena::{self, Arena, Sinks};
use crate::subjects::{Subject, Table};
use crate::wrk;

/// Length and number of the measurements of each row.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Length of one load.
    pub seconds: u64,
    /// Measurements of each row.
    pub rounds: usize,
}

/// Figures of one load.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Answers with 2xx per second.
    pub accepted: f64,
    /// 99th percentile of the latency, in milliseconds.
    pub p99: f64,
    /// Answers other than 2xx.
    pub refused: f64,
    /// Figures of the destinations; absent without any.
    pub delivered: Option<Delivered>,
    /// Microseconds of the server's processor time per accepted event.
    pub cpu: f64,
    /// Resident memory after the load, in MiB.
    pub memory: f64,
}

/// Figures of the destinations, until each of them had every event.
#[derive(Clone, Copy, Debug)]
pub struct Delivered {
    /// Events per second that the slowest of them took.
    pub slowest: f64,
    /// Deliveries per second to all of them together.
    pub together: f64,
}

/// Samples by number of connections and row.
pub type Measured = BTreeMap<(u32, usize), Vec<Sample>>;

/// Time after which events that are still undelivered are not waited for.
const DRAIN: Duration = Duration::from_mins(1);

/// Measures every row in every round.
pub fn measure(arena: &Arena, table: &Table, plan: Plan) -> anyhow::Result<Measured> {
    let mut measured = Measured::new();
    for round in 1..=plan.rounds {
        for &connections in &table.connections {
            for (row, subject) in table.subjects.iter().enumerate() {
                let sample = sample(arena, subject, connections, plan.seconds)?;
                eprintln!("round {round}, {connections} connections, {}: {sample:?}", subject.title);
                measured.entry((connections, row)).or_default().push(sample);
            }
        }
    }
    Ok(measured)
}

fn sample(arena: &Arena, subject: &Subject, connections: u32, seconds: u64) -> anyhow::Result<Sample> {
    let sinks = arena.start_sinks(subject)?;
    let running = arena.start(subject)?;
    let began = Instant::now();
    let answers = wrk::run(arena.folder(), &arena::url(subject), connections, seconds, subject.body)?;
    let delivered = delivered(&sinks, answers.accepted, began)?;
    Ok(Sample {
        accepted: answers.accepted / answers.seconds,
        p99: answers.p99,
        refused: answers.refused,
        delivered,
        cpu: running.cpu_seconds()? * 1e6 / answers.accepted.max(1.0),
        memory: running.memory()?.resident,
    })
}

/// Waits until every destination has had as many events as were accepted.
fn delivered(sinks: &Sinks, accepted: f64, began: Instant) -> anyhow::Result<Option<Delivered>> {
    let loaded = Instant::now();
    loop {
        let taken = sinks.taken()?;
        let Some(slowest) = taken.iter().copied().reduce(f64::min) else { return Ok(None) };
        if slowest >= accepted || loaded.elapsed() > DRAIN {
            let seconds = began.elapsed().as_secs_f64();
            let together = taken.iter().sum::<f64>() / seconds;
            return Ok(Some(Delivered { slowest: slowest / seconds, together }));
        }
        sleep(Duration::from_millis(5));
    }
}
