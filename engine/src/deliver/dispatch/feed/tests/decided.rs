//! What feeds get once rules decide: nothing before its decision is synced, and what was decided stands.

use std::sync::atomic::AtomicU64;

use super::*;
use crate::event::Event;
use crate::journal::Disk;
use crate::journal::sim::{Operation, SimDisk};
use crate::triage::Fate;
use crate::triage::decisions::{Addressee, Decision, Tables, Verdict};
use crate::triage::policy::{Judgement, Policy};
use crate::triage::testing::Function;

const ALL: u64 = 0b11;

fn addressees(names: &[&str]) -> Vec<Addressee> {
    let addressee = |name: &&str| Addressee { name: (*name).into(), when: None, dead_letters_errors: false };
    names.iter().map(addressee).collect()
}

/// Returns a policy for the destinations `a` and `b`, with a rule `calm`, and the number of its judgements.
fn policy(decide: impl Fn(u64) -> Decision + Send + Sync + 'static) -> (Policy, Arc<AtomicU64>) {
    let tables = Arc::new(Tables { destinations: addressees(&["a", "b"]), rules: vec!["calm".into()] });
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    let judge = Function(move |_: &Event| {
        let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
        Judgement { decision: decide(number), errors: vec![] }
    });
    (Policy { tables, judge: Some(Box::new(judge)) }, count)
}

fn selects(selected: u64) -> Decision {
    Decision { verdict: Verdict::Decided, lane: 2, key: 0, dead: 0, selected }
}

impl World {
    /// Starts a process on this disk whose journal has so many events, and decides by this policy.
    fn start(disk: &SimDisk, events: u64, policy: Policy) -> Self {
        let world = Self::with(1 << 20, testing::triage(disk));
        world.list.accept(events);
        world.decide_by(policy);
        world
    }

    fn decide_by(&self, policy: Policy) {
        self.triage.set_policy(policy);
        let start = self.triage.begins_after(0);
        if self.triage.decides(start) {
            self.tail.decide_from(start);
        }
    }

    fn fates(&self, name: &str, items: &[Item]) -> Vec<Fate> {
        let fate = |item: &Item| self.triage.fate(name, item);
        items.iter().map(fate).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn no_destination_gets_an_event_whose_decision_is_not_synced() {
    let disk = SimDisk::new();
    disk.fail(Operation::Sync, 0, 3, io::ErrorKind::StorageFull);
    let world = World::start(&disk, 5, policy(|_| selects(ALL)).0);
    let mut feed = world.feed(0);
    while world.triage.report().counts().problem.is_none() {
        assert!(feed.fill().now_or_never().is_none());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    // It is tried again, and accepting goes on meanwhile.
    world.list.accept(5);
    assert_eq!(take(&mut feed, 10).await.len(), 10);
    assert_eq!(world.triage.report().counts().problem, None);
}

#[tokio::test]
async fn decisions_stand_after_a_crash_although_the_rules_are_others() {
    let disk = SimDisk::new();
    let world = World::start(&disk, 10, policy(|number| selects(number % 4)).0);
    let before = world.fates("a", &take(&mut world.feed(0), 10).await);
    drop(world);

    let (other, count) = policy(|_| selects(0));
    let world = World::start(&disk, 12, other);
    let after = world.fates("a", &take(&mut world.feed(0), 12).await);
    assert_eq!(after[..10], before);
    assert_eq!(after[10..], [Fate::Filtered, Fate::Filtered], "decided by the rules in force at the start");
    assert_eq!(count.load(Ordering::SeqCst), 2);
    drop(world);

    // Nor does it matter that there are no rules any more.
    let world = World::start(&disk, 12, Policy::without_rules());
    assert_eq!(world.fates("a", &take(&mut world.feed(0), 12).await), after);
}

#[tokio::test]
async fn without_rules_nothing_is_written() {
    let disk = SimDisk::new();
    let world = World::start(&disk, 10, Policy::without_rules());
    assert_eq!(world.fates("a", &take(&mut world.feed(0), 10).await), vec![Fate::Deliver; 10]);
    assert!(disk.list().unwrap().is_empty());
}

#[tokio::test]
async fn each_event_is_decided_once_also_for_a_destination_that_lags() {
    let disk = SimDisk::new();
    let (policy, count) = policy(|number| selects(number % 4));
    let world = World::with(100_000, testing::triage(&disk));
    world.decide_by(policy);
    world.list.accept(2_000);
    let fast = world.fates("b", &take(&mut world.feed(0), 2_000).await);
    let slow = take(&mut world.feed(0), 2_000).await;
    assert_eq!(world.fates("b", &slow), fast);
    assert_eq!(count.load(Ordering::SeqCst), 2_000);
}

#[tokio::test]
async fn entry_that_cannot_be_read_is_decided_again_and_not_for_everybody() {
    let disk = SimDisk::new();
    let world = World::with(100_000, testing::triage(&disk));
    world.decide_by(policy(|_| selects(0b10)).0);
    world.list.accept(2_000);
    take(&mut world.feed(0), 2_000).await;
    let name = disk.list().unwrap().remove(0);
    for seq in [3, 4] {
        disk.rot(&name, 4096 + (seq - 1) * 32 + 24, 0xff);
    }
    let fates = world.fates("a", &take(&mut world.feed(0), 2_000).await);
    assert_eq!(fates, vec![Fate::Filtered; 2_000]);
}

#[tokio::test]
async fn rules_that_panic_are_left_out_for_that_event_only() {
    // It is to panic.
    std::panic::set_hook(Box::new(|_| ()));
    let broken = |number| if number == 2 { panic!("a poison event") } else { selects(0b10) };
    let world = World::start(&SimDisk::new(), 3, policy(broken).0);
    let fates = world.fates("a", &take(&mut world.feed(0), 3).await);
    let _ = std::panic::take_hook();
    assert_eq!(fates, [Fate::Filtered, Fate::Deliver, Fate::Filtered]);
    assert_eq!(world.triage.report().counts().without_rules, 1);
}

#[tokio::test]
async fn each_verdict_has_its_fate_and_its_count() {
    let decide = |number| match number {
        1 => selects(0b01),
        2 => Decision { verdict: Verdict::Dropped(0), ..selects(ALL) },
        3 => Decision { dead: 0b01, ..selects(0b10) },
        _ => selects(0),
    };
    let world = World::start(&SimDisk::new(), 4, policy(decide).0);
    let items = take(&mut world.feed(0), 4).await;
    assert_eq!(world.fates("a", &items), [Fate::Deliver, Fate::Dropped, Fate::DeadLetter, Fate::Filtered]);
    assert_eq!(world.fates("b", &items), [Fate::Filtered, Fate::Dropped, Fate::Deliver, Fate::Filtered]);
    let counts = world.triage.report().counts();
    assert_eq!((counts.dropped, counts.unmatched), ([("calm".into(), 1)].into(), 1));
}

#[tokio::test]
async fn destination_that_is_newer_than_the_decision_is_asked_by_its_own_when() {
    let disk = SimDisk::new();
    let world = World::start(&disk, 2, policy(|_| selects(ALL)).0);
    let items = take(&mut world.feed(0), 2).await;
    let tables = Arc::new(Tables { destinations: addressees(&["a", "b", "c", "d"]), rules: vec![] });
    let judge = Function(|_: &Event| Judgement { decision: selects(0b0100), errors: vec![] });
    world.decide_by(Policy { tables, judge: Some(Box::new(judge)) });
    assert_eq!(world.fates("a", &items), [Fate::Deliver, Fate::Deliver], "as it was decided");
    assert_eq!(world.fates("c", &items), [Fate::Deliver, Fate::Deliver]);
    assert_eq!(world.fates("d", &items), [Fate::Filtered, Fate::Filtered]);
}

#[tokio::test]
async fn no_destination_is_ahead_of_the_decisions() {
    let world = World::start(&SimDisk::new(), 0, policy(|_| selects(ALL)).0);
    let mut ahead = world.feed(7);
    assert!(ahead.fill().now_or_never().is_none());
    world.list.accept(9);
    assert_eq!(seqs(&take(&mut ahead, 9).await), [8, 9]);
    assert_eq!(world.tail.decided_to(), Some(9));
}

#[tokio::test]
async fn event_at_which_the_process_died_twice_is_decided_without_rules() {
    let disk = SimDisk::new();
    let before = testing::triage(&disk);
    // As two starts that began at it and died.
    for deaths in 0..2 {
        assert_eq!(before.decisions().begin_attempt(1).unwrap(), deaths);
    }
    let world = World::start(&disk, 4, policy(|_| selects(0)).0);
    let fates = world.fates("a", &take(&mut world.feed(0), 4).await);
    assert_eq!(fates, [Fate::Deliver, Fate::Filtered, Fate::Filtered, Fate::Filtered]);
    assert_eq!(world.triage.report().counts().without_rules, 1);
}
