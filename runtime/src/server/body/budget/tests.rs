use std::net::Ipv4Addr;

use futures::FutureExt;
use tokio::time::advance;

use super::*;

/// Maximum size of a body, which is a client's share: a quarter of the budget.
const LIMIT: u64 = 100;

fn budget() -> Arc<Budget> {
    Budget::new(4 * LIMIT)
}

fn client(number: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, number).into()
}

/// Makes an incomplete body of which this many bytes have come.
fn begun(budget: &Arc<Budget>, number: u8, bytes: u64) -> Share {
    let mut share = budget.share(client(number), LIMIT);
    share.grow(bytes, false).unwrap();
    share
}

fn is_displaced(share: &Share) -> bool {
    share.displaced().now_or_never().is_some()
}

#[tokio::test(start_paused = true)]
async fn longest_stalled_body_makes_room_for_a_newcomer() {
    let budget = budget();
    let mut stalled = Vec::new();
    for number in 1..=4 {
        stalled.push(begun(&budget, number, LIMIT));
        advance(Duration::from_secs(1)).await;
    }
    let mut newcomer = budget.share(client(5), LIMIT);
    newcomer.grow(LIMIT, true).unwrap();
    assert_eq!(stalled.iter().map(is_displaced).collect::<Vec<_>>(), [true, false, false, false]);
    assert_eq!(budget.used(), 4 * LIMIT, "its bytes are free at once");
    stalled[0].grow(1, false).unwrap_err();
    drop((stalled, newcomer));
    assert_eq!(budget.used(), 0);
    assert!(budget.lock().clients.is_empty(), "nothing is kept of who is gone");
}

#[tokio::test(start_paused = true)]
async fn dripping_does_not_make_a_body_look_busy() {
    let budget = Budget::new(4_000);
    let share = |number| {
        let mut share = budget.share(client(number), 1_000);
        share.grow(900, false).unwrap();
        share
    };
    let (mut dripping, mut steady, _others) = (share(1), share(2), [share(3), share(4)]);
    for _ in 0..10 {
        // The one that drips has bytes more recently, and yet is further behind than the one that is on time.
        advance(Duration::from_millis(1)).await;
        steady.grow(9, false).unwrap();
        dripping.grow(1, false).unwrap();
    }
    for share in [&mut steady, &mut dripping] {
        assert!(!is_displaced(share));
    }
    let mut newcomer = budget.share(client(5), 1_000);
    newcomer.grow(1_000, true).unwrap();
    let mut another = budget.share(client(6), 1_000);
    another.grow(1_000, true).unwrap();
    let mut third = budget.share(client(7), 1_000);
    third.grow(1_000, true).unwrap();
    assert!(is_displaced(&dripping));
    assert!(!is_displaced(&steady));
}

#[tokio::test(start_paused = true)]
async fn client_beyond_its_share_loses_its_own_bodies_alone() {
    let budget = budget();
    let other = begun(&budget, 1, 10);
    advance(Duration::from_secs(1)).await;
    let first = begun(&budget, 2, LIMIT / 2);
    advance(Duration::from_secs(1)).await;
    let second = begun(&budget, 2, LIMIT / 2);
    let third = begun(&budget, 2, LIMIT / 2);
    assert_eq!([&other, &first, &second, &third].map(is_displaced), [false, true, false, false]);
    assert_eq!(budget.used(), 10 + LIMIT);
}

#[tokio::test(start_paused = true)]
async fn body_that_has_come_whole_keeps_its_room() {
    let budget = budget();
    let whole: Vec<_> = (1..=4)
        .map(|number| {
            let mut share = begun(&budget, number, LIMIT);
            share.complete().unwrap();
            share
        })
        .collect();
    advance(Duration::from_secs(9)).await;
    budget.share(client(5), LIMIT).grow(1, true).unwrap_err();
    assert!(!whole.iter().any(is_displaced));
    assert_eq!(budget.used(), 4 * LIMIT);
}

#[tokio::test(start_paused = true)]
async fn body_that_is_itself_the_furthest_behind_gets_no_room() {
    let budget = budget();
    let mut slow = begun(&budget, 1, 1);
    advance(Duration::from_secs(1)).await;
    let others: Vec<_> = (2..=5).map(|number| begun(&budget, number, LIMIT - 1)).collect();
    slow.grow(LIMIT - 1, false).unwrap_err();
    assert!(!others.iter().any(is_displaced));
}
