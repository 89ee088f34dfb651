//! Begins things at even distances, each on time whatever became of those before it.

use std::{pin::pin, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

/// Begins one thing after the other for as long as something else takes, and waits for all of them. `begin` is told when
/// it was due. Returns what came of each, in the order in which they ended, and of the other.
pub async fn beside<Outcome, Begun, Ended>(
    every: Duration,
    other: impl Future<Output = Ended>,
    mut begin: impl FnMut(Instant) -> Begun,
) -> (Vec<Outcome>, Ended)
where
    Outcome: Send + 'static,
    Begun: Future<Output = Outcome> + Send + 'static,
{
    let mut other = pin!(other);
    let mut running = JoinSet::new();
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let ended = loop {
        let due = tokio::select! {
            due = ticks.tick() => due,
            ended = &mut other => break ended,
        };
        running.spawn(begin(due));
    };
    (running.join_all().await, ended)
}
