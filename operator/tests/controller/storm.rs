//! An API server that is overrun, slow and cut off at random: once that is over, all is as if it had never been.

use std::time::Duration;

use http::{Method, Request, StatusCode};
use kube::client::Body;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::life::{Life, PHASES};
use crate::line::{Fate, Line};
use crate::world::in_world;

/// Duration of each storm.
const STORM: Duration = Duration::from_secs(5);
/// Most requests a second for three resources, all watches included: in calm weather a reconcile makes some twenty at
/// once, and a failed one waits half a second at first, then longer.
const MAX: usize = 120;

/// Returns a fate for requests: two of five meet with something.
fn storm(seed: u64) -> impl FnMut(&Request<Body>) -> Fate + Send {
    let mut random = StdRng::seed_from_u64(seed);
    move |request| match random.random_range(0..20) {
        0 | 1 if request.method() != Method::GET => Fate::Answered(StatusCode::CONFLICT),
        2 => Fate::Answered(StatusCode::TOO_MANY_REQUESTS),
        3 => Fate::Answered(StatusCode::INTERNAL_SERVER_ERROR),
        4 => Fate::Answered(StatusCode::GATEWAY_TIMEOUT),
        5 => Fate::Lost,
        6 => Fate::TimesOut(Duration::from_secs(1)),
        7 => Fate::Slow(Duration::from_secs(1)),
        _ => Fate::Passes,
    }
}

#[tokio::test]
async fn storm_of_errors_leaves_no_trace() {
    let seed = std::env::var("VISNYK_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("VISNYK_SEED={seed}");
    in_world(async move |mut world| {
        let mut life = Life::new(&mut world).await;
        let calm = life.calm().await;
        for (phase, (_, end)) in PHASES.into_iter().zip(calm) {
            let stormy = Line::new(storm(seed));
            life.world.start_on(&stormy).await;
            life.begin(phase).await;
            tokio::time::sleep(STORM).await;
            let requests = stormy.requests();
            let count: usize = requests.values().sum();
            let most = MAX * usize::try_from(STORM.as_secs()).unwrap();
            assert!(count < most, "{phase:?}: {count} requests: {requests:#?}");
            stormy.decide(|_| Fate::Passes);
            life.comes_to(&end, &format!("{phase:?} in a storm")).await;
            life.world.stop().await;
        }
        life.end().await;
    })
    .await;
}
