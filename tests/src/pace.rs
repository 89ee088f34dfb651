//! Starts tasks at a fixed interval, each on time whatever the outcome of the earlier ones.

use std::{pin::pin, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

/// Starts one task after the other for as long as `other` runs, and waits for all of them. `begin` gets the time at
/// which the task was due. Returns the outcomes of the tasks, in the order in which they ended, and that of `other`.
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
