//! Leader election among operators: the holder of a Lease works, renews it while it works and gives it back when it
//! ends.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, PostParams};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use visnyk_runtime::observe::watchdog::Ticker;

use crate::process::fence::Fence;

/// The spans of an election. A leader that cannot renew has stopped writing for `lease - renew` when another
/// may begin; clocks are never compared between machines, only spans.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Time for which others leave a silent holder alone. Whole seconds.
    pub lease: Duration,
    /// Time after the last renewal at which the holder itself stops.
    pub renew: Duration,
    /// Time between two tries.
    pub retry: Duration,
}

impl Default for Timing {
    /// Returns the times that the controllers of Kubernetes use.
    fn default() -> Self {
        Self { lease: Duration::from_secs(15), renew: Duration::from_secs(10), retry: Duration::from_secs(2) }
    }
}

/// Candidate for a Lease.
#[derive(Debug)]
pub struct Election {
    leases: Api<Lease>,
    name: String,
    identity: String,
    timing: Timing,
    /// The last state of the Lease that differed from the one before, and when it was seen.
    seen: Option<(LeaseSpec, Instant)>,
}

/// End of a term as leader. The lease is given back where it was still held.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended<T> {
    /// The process was told to stop.
    Stopped,
    /// The work ended with this result.
    Finished(T),
    /// The lease went to another, or could not be renewed in time.
    Lost,
}

impl Election {
    /// Returns a candidate for the Lease of that name, which is created if need be. The identity is unique among the
    /// candidates; one that starts anew under its own takes its lease back at once.
    pub fn new(leases: Api<Lease>, name: &str, identity: &str, timing: Timing) -> Self {
        Self { leases, name: name.to_owned(), identity: identity.to_owned(), timing, seen: None }
    }

    /// Waits to lead, then works until the work ends, the lease is lost or `stop` comes. The fence is open only
    /// while the lease is surely ours; `ticker` ticks on every try. Who lost it may stand again.
    ///
    /// # Cancel safety
    /// Dropped, it leaves the lease to expire, and the fence to close by itself.
    pub async fn lead<T>(
        &mut self,
        fence: &Fence,
        stop: &CancellationToken,
        ticker: &Ticker,
        work: impl Future<Output = T>,
    ) -> Ended<T> {
        let until = tokio::select! {
            biased;
            () = stop.cancelled() => return Ended::Stopped,
            until = self.acquire(ticker) => until,
        };
        fence.open_until(until);
        info!(identity = self.identity, lease = self.name, "leading");
        let ended = tokio::select! {
            biased;
            () = self.keep(until, fence, ticker) => Ended::Lost,
            () = stop.cancelled() => Ended::Stopped,
            done = work => Ended::Finished(done),
        };
        fence.close();
        if matches!(ended, Ended::Lost) {
            warn!(identity = self.identity, lease = self.name, "lease lost: not writing any more");
            return ended;
        }
        self.release().await;
        ended
    }

    async fn acquire(&mut self, ticker: &Ticker) -> Instant {
        loop {
            ticker.tick();
            let deadline = Instant::now() + self.timing.renew;
            match timeout_at(deadline, self.try_hold()).await {
                Ok(Ok(Some(until))) => return until,
                Ok(Ok(None)) => {}
                Ok(Err(error)) => warn!(%error, "lease cannot be taken"),
                Err(_) => warn!("lease cannot be taken: no answer"),
            }
            sleep(self.timing.retry).await;
        }
    }

    /// Renews the lease until that fails for too long, or another operator holds it.
    async fn keep(&mut self, mut until: Instant, fence: &Fence, ticker: &Ticker) {
        loop {
            let next = Instant::now() + self.timing.retry;
            sleep_until(next.min(until)).await;
            ticker.tick();
            match timeout_at(until, self.try_hold()).await {
                Ok(Ok(Some(renewed))) => {
                    until = renewed;
                    fence.open_until(until);
                }
                Ok(Ok(None)) | Err(_) => return,
                Ok(Err(error)) => warn!(%error, "lease cannot be renewed"),
            }
        }
    }

    /// Takes or renews the lease, if it is free, expired or held by this operator. Returns the time until which this
    /// operator surely holds it, counted from before the request.
    async fn try_hold(&mut self) -> kube::Result<Option<Instant>> {
        let until = Instant::now() + self.timing.renew;
        let Some(mut lease) = self.leases.get_opt(&self.name).await? else {
            let name = Some(self.name.clone());
            let lease = Lease {
                metadata: ObjectMeta { name, ..Default::default() },
                spec: Some(self.held(&LeaseSpec::default())),
            };
            self.leases.create(&PostParams::default(), &lease).await?;
            return Ok(Some(until));
        };
        let spec = lease.spec.unwrap_or_default();
        if self.is_anothers(&spec) {
            return Ok(None);
        }
        lease.spec = Some(self.held(&spec));
        // With the resource version that was read: of several who try, one succeeds, the others get a conflict.
        self.leases.replace(&self.name, &PostParams::default(), &lease).await?;
        Ok(Some(until))
    }

    /// Returns whether another holds it and has renewed it within the duration that it names.
    fn is_anothers(&mut self, spec: &LeaseSpec) -> bool {
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if holder.is_empty() || holder == self.identity {
            return false;
        }
        let now = Instant::now();
        let since = match &self.seen {
            Some((seen, since)) if seen == spec => *since,
            _ => {
                self.seen = Some((spec.clone(), now));
                now
            }
        };
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        now < since + seconds.map_or(self.timing.lease, Duration::from_secs)
    }

    fn held(&self, before: &LeaseSpec) -> LeaseSpec {
        let now = Some(MicroTime(Timestamp::now()));
        let ours = before.holder_identity.as_ref() == Some(&self.identity);
        let transitions = before.lease_transitions.unwrap_or_default();
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.timing.lease.as_secs()).ok(),
            acquire_time: if ours { before.acquire_time.clone() } else { now.clone() },
            renew_time: now,
            lease_transitions: Some(if ours { transitions } else { transitions.saturating_add(1) }),
            ..before.clone()
        }
    }

    /// Gives the lease back, so that the next leader does not wait for it to expire.
    async fn release(&self) {
        let released = async {
            let Some(mut lease) = self.leases.get_opt(&self.name).await? else { return Ok(()) };
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_ref() == Some(&self.identity) {
                spec.holder_identity = None;
                self.leases.replace(&self.name, &PostParams::default(), &lease).await?;
            }
            Ok::<_, kube::Error>(())
        };
        match tokio::time::timeout(self.timing.retry, released).await {
            Ok(Ok(())) => info!(identity = self.identity, lease = self.name, "lease given back"),
            Ok(Err(error)) => warn!(%error, "lease cannot be given back; it will expire"),
            Err(_) => warn!("lease cannot be given back, no answer; it will expire"),
        }
    }
}
