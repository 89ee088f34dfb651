//! Many events at once, or at a steady pace. Each body follows from its number, so that neither their sender nor
//! the sinks ([`visnyk_sinks::tally`]) have to keep any to see that none was changed.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use reqwest::Client;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};

use crate::{relay::Relay, wait::eventually};

pub use visnyk_sinks::numbered::{body, small_body};

/// Senders that go on through every failure, until they are paused or dropped.
#[derive(Debug)]
pub struct Flood {
    shared: Arc<Shared>,
    running: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    url: String,
    client: Client,
    pace: Pace,
    body: fn(u64) -> Bytes,
    next: AtomicU64,
    /// Number of requests that have begun and are not recorded yet.
    in_flight: AtomicUsize,
    answers: Mutex<Answers>,
}

/// Rate of each sender.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// The next event follows the answer at once.
    AsItCan,
    /// One event in this time, if the last one was answered.
    Every(Duration),
}

/// Answers that the senders got.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// Events answered with 2xx, with the time at which each was sent.
    pub accepted: BTreeMap<u64, Instant>,
    /// Number of requests that were answered with 503 and Retry-After.
    pub unavailable: u64,
    /// Anything else that no sender should ever see, a line each.
    pub strange: Vec<String>,
}

impl Flood {
    /// Sends to a relay, so many at once. Paused until [`Flood::resume`].
    pub fn of(relay: &Relay, senders: usize) -> Self {
        Self::start(relay, senders, Pace::AsItCan, body)
    }

    /// Sends so many small events per second, one by one from each sender. Paused until [`Flood::resume`].
    pub fn steady(relay: &Relay, senders: u32, per_second: u32) -> Self {
        let every = Duration::from_secs(1) * senders / per_second;
        Self::start(relay, senders as usize, Pace::Every(every), small_body)
    }

    fn start(relay: &Relay, senders: usize, pace: Pace, body: fn(u64) -> Bytes) -> Self {
        let (url, client) = (relay.url(), relay.client());
        let (next, in_flight, answers) = (AtomicU64::new(1), AtomicUsize::new(0), Mutex::default());
        let shared = Arc::new(Shared { url, client, pace, body, next, in_flight, answers });
        let (running, waiting) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for _ in 0..senders {
            tasks.spawn(send(shared.clone(), waiting.clone()));
        }
        Self { shared, running, _tasks: tasks }
    }

    /// Sends from now on.
    pub fn resume(&self) {
        self.running.send_replace(true);
    }

    /// Sends nothing new from now on; what is on its way may still be answered.
    pub fn pause(&self) {
        self.running.send_replace(false);
    }

    /// Sends nothing new, and waits until everything that was sent is answered: [`Flood::answers`] changes no more.
    pub async fn finish(&self) {
        self.pause();
        let in_flight = async || self.shared.in_flight.load(Ordering::SeqCst);
        eventually("all requests answered", in_flight, |in_flight| *in_flight == 0).await;
    }

    /// Returns the answers so far.
    pub fn answers(&self) -> Answers {
        self.shared.answers.lock().unwrap().clone()
    }

    /// Returns the number of accepted events so far.
    pub fn accepted(&self) -> usize {
        self.shared.answers.lock().unwrap().accepted.len()
    }
}

async fn send(shared: Arc<Shared>, mut running: watch::Receiver<bool>) {
    let mut ticks = match shared.pace {
        Pace::AsItCan => None,
        Pace::Every(time) => Some(interval(time)),
    };
    if let Some(ticks) = &mut ticks {
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    while running.wait_for(|running| *running).await.is_ok() {
        if let Some(ticks) = &mut ticks {
            ticks.tick().await;
        }
        // Counted first: whoever pauses after the look that follows waits for this one.
        shared.in_flight.fetch_add(1, Ordering::SeqCst);
        if !*running.borrow() {
            shared.in_flight.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        let began = Instant::now();
        let answer = shared.client.post(&shared.url).body((shared.body)(number)).send().await;
        let refused = !matches!(&answer, Ok(answer) if answer.status().is_success());
        shared.answers.lock().unwrap().note(number, began, answer);
        shared.in_flight.fetch_sub(1, Ordering::SeqCst);
        if refused {
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Answers {
    fn note(&mut self, number: u64, began: Instant, answer: reqwest::Result<reqwest::Response>) {
        match answer {
            Ok(answer) if answer.status().is_success() => drop(self.accepted.insert(number, began)),
            Ok(answer) if answer.status() == 503 && answer.headers().contains_key("retry-after") => {
                self.unavailable += 1;
            }
            Ok(answer) => self.strange.push(format!("{number}: {}", answer.status())),
            // A relay that is stopped or gone answers nothing: the event is then nobody's.
            Err(_) => {}
        }
    }
}
