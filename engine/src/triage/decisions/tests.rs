//! Decision files on a simulated disk beside the plain list of what was recorded, and the comparison of both.

mod crash_states;
mod rot;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::journal::sim::{Operation, SimDisk};
use crate::journal::{SegmentUse, Seq};

/// The segments of a journal that is a list: each use owns the sequences up to the next one's first.
#[derive(Clone, Debug)]
struct List(Vec<SegmentUse>);

impl List {
    fn new() -> Self {
        Self(vec![SegmentUse { number: 1, salt: 0xa1, first_seq: 1 }])
    }

    fn roll(&mut self, first_seq: Seq) {
        let number = self.0.last().unwrap().number + 1;
        self.0.push(SegmentUse { number, salt: 0xa0 + number, first_seq });
    }

    fn last(&self) -> SegmentUse {
        *self.0.last().unwrap()
    }
}

impl Segments for List {
    fn owner(&self, seq: Seq) -> Option<SegmentUse> {
        self.0.iter().rev().find(|segment| segment.first_seq <= seq).copied()
    }

    fn oldest(&self) -> Option<SegmentUse> {
        self.0.first().copied()
    }
}

fn tables(number: usize) -> Arc<Tables> {
    let name = format!("destination-{number}");
    let when = (number % 2 == 1).then(|| "priority == 'Critical'".to_owned());
    let destinations = vec![Addressee { name, when, dead_letters_errors: false }];
    Arc::new(Tables { destinations, rules: vec!["calm".into()] })
}

fn decision(number: u64) -> Decision {
    let verdict = [Verdict::Decided, Verdict::Dropped(0), Verdict::WithoutRules][(number % 3) as usize];
    Decision { verdict, lane: (number % 4) as u8, key: number, dead: number << 1, selected: !number }
}

/// Decision files and reference.
struct World {
    disk: SimDisk,
    segments: List,
    decisions: Decisions,
    tables: usize,
    /// The next sequence to be decided.
    next: Seq,
    /// Everything that was recorded and may have had an effect.
    recorded: BTreeMap<Seq, (Decision, Arc<Tables>)>,
    /// Everything that was ever to be recorded.
    attempted: BTreeMap<Seq, Vec<(Decision, Arc<Tables>)>>,
    attempts: u64,
}

impl World {
    fn on(disk: SimDisk) -> Self {
        let segments = List::new();
        let decisions = Decisions::open(Arc::new(disk.clone()), &segments).unwrap();
        let (recorded, attempted) = (BTreeMap::new(), BTreeMap::new());
        Self { disk, segments, decisions, tables: 0, next: 1, recorded, attempted, attempts: 0 }
    }

    /// Records decisions about the next events.
    fn record(&mut self, count: u64) -> bool {
        let tables = tables(self.tables);
        let decided: Vec<_> = (self.next..self.next + count)
            .map(|seq| {
                self.attempts += 1;
                (seq, decision(self.attempts))
            })
            .collect();
        for (seq, decision) in &decided {
            self.attempted.entry(*seq).or_default().push((*decision, Arc::clone(&tables)));
        }
        let is_recorded = self.decisions.record(&self.segments.last(), &tables, &decided).is_ok();
        if is_recorded {
            self.next += count;
            for (seq, one) in decided {
                // What is missing among others is recorded by the names of its file.
                let Some(Decided::Decision(found, names)) = self.found(seq) else {
                    panic!("{seq} is not recorded")
                };
                assert_eq!(found, one.translated(&tables, &names), "decision of {seq}");
                self.attempted.entry(seq).or_default().push((found, Arc::clone(&names)));
                self.recorded.insert(seq, (found, names));
            }
        }
        is_recorded
    }

    fn roll(&mut self) {
        if self.segments.last().first_seq < self.next {
            self.segments.roll(self.next);
        }
    }

    /// Frees the oldest segment, unless it is the last.
    fn free(&mut self) {
        if self.segments.0.len() > 1 {
            self.segments.0.remove(0);
            let oldest = self.segments.0[0];
            self.decisions.free_before(oldest.number);
            self.recorded = self.recorded.split_off(&oldest.first_seq);
        }
    }

    fn try_open(&self) -> Result<Decisions, OpenError> {
        Decisions::open(Arc::new(self.disk.clone()), &self.segments)
    }

    fn reopen(&mut self) {
        self.decisions = self.try_open().unwrap();
        self.check();
    }

    fn kill_while_there_is_power(&mut self) {
        self.disk.heal();
        if let Ok(decisions) = self.try_open() {
            self.decisions = decisions;
            self.check();
        }
    }

    fn cut_power(&mut self, seed: u64) {
        self.disk = self.disk.after_power_cut(&mut StdRng::seed_from_u64(seed));
        self.reopen();
    }

    fn found(&self, seq: Seq) -> Option<Decided> {
        let segment = self.segments.owner(seq).unwrap();
        self.decisions.recorded(&segment, seq, seq, true).unwrap().remove(0)
    }

    /// Compares everything that is not freed, and takes up what is found beyond that, as triage would.
    fn check(&mut self) {
        let oldest = self.segments.0[0].first_seq;
        // Where triage goes on, or before: nothing in front of it is decided again.
        let resumes = self.decisions.newest().map_or(1, |(first, _)| first);
        for seq in oldest..self.next + 4 {
            let found = self.found(seq);
            if let Some((decision, tables)) = self.recorded.get(&seq) {
                assert_eq!(
                    found,
                    Some(Decided::Decision(*decision, Arc::clone(tables))),
                    "decision of {seq}"
                );
                continue;
            }
            match found {
                Some(Decided::Decision(decision, tables)) => {
                    let was_attempted = self
                        .attempted
                        .get(&seq)
                        .is_some_and(|all| all.iter().any(|one| *one == (decision, Arc::clone(&tables))));
                    assert!(was_attempted, "{seq} was never to be decided so: {decision:?}");
                    assert!(seq >= resumes, "{seq} is not looked at again");
                    self.recorded.insert(seq, (decision, tables));
                }
                None | Some(Decided::Default) => assert!(seq >= resumes, "{seq} is never decided"),
            }
        }
        while self.recorded.contains_key(&self.next) {
            self.next += 1;
        }
    }

    /// Decides again what has no entry, as triage does after a start, with other names.
    fn decide_again(&mut self) {
        let resumes = self.decisions.newest().map_or(1, |(first, _)| first);
        let oldest = self.segments.0[0].first_seq.max(resumes);
        let is_missing = |seq: &Seq| !self.recorded.contains_key(seq);
        let missing: Vec<_> = (oldest..self.next).filter(is_missing).collect();
        for seq in missing {
            let decided = [(seq, decision(seq))];
            let segment = self.segments.owner(seq).unwrap();
            self.decisions.record(&segment, &tables(2), &decided).unwrap();
            assert!(matches!(self.found(seq), Some(Decided::Decision(..))), "{seq} is decided");
            let Some(Decided::Decision(decision, tables)) = self.found(seq) else { continue };
            self.attempted.entry(seq).or_default().push((decision, Arc::clone(&tables)));
            self.recorded.insert(seq, (decision, tables));
        }
        self.check();
    }

    fn fail(&self, operation: Operation, skip: u32, times: u32) {
        self.disk.fail(operation, skip, times, ErrorKind::Other);
    }

    fn files(&self) -> Vec<String> {
        use crate::journal::Disk;
        let mut names = self.disk.list().unwrap();
        names.sort();
        names
    }
}

#[test]
fn segment_without_a_file_is_all_default() {
    let mut world = World::on(SimDisk::new());
    assert!(world.decisions.is_empty() && world.files().is_empty());
    assert_eq!(world.found(1), Some(Decided::Default));
    world.next = 5;
    assert!(world.record(2));
    assert_eq!((world.found(4), world.found(7)), (Some(Decided::Default), None));
    world.segments.roll(9);
    assert_eq!(world.found(9), Some(Decided::Default));
}

#[test]
fn changed_names_begin_another_file_of_the_segment() {
    let mut world = World::on(SimDisk::new());
    assert!(world.record(3));
    world.tables = 1;
    assert!(world.record(3) && world.record(1));
    assert_eq!(world.files(), ["000000000001-000000000000001.dec", "000000000001-000000000000004.dec"]);
    world.reopen();
    assert_eq!(world.decisions.newest().unwrap().1, tables(1));
}

#[test]
fn entry_that_is_missing_among_others_is_recorded_in_its_place() {
    let mut world = World::on(SimDisk::new());
    assert!(world.record(10));
    let name = world.files().remove(0);
    world.disk.rot(&name, 4096 + 4 * 32, 0xee);
    world.recorded.remove(&5);
    world.reopen();
    // By rules that know the same destination among others.
    let mut more = Tables::clone(&tables(0));
    more.destinations.insert(0, Addressee { name: "first".into(), when: None, dead_letters_errors: false });
    let decided =
        |seq| (seq, Decision { verdict: Verdict::Decided, lane: 1, key: 0, dead: 0b01, selected: 0b10 });
    world
        .decisions
        .record(&world.segments.last(), &Arc::new(more.clone()), &[decided(5), decided(11)])
        .unwrap();
    let translated = Decision { dead: 0, selected: 0b1, ..decided(5).1 };
    world.recorded.insert(5, (translated, tables(0)));
    world.recorded.insert(11, (decided(11).1, Arc::new(more)));
    world.check();
    assert_eq!(world.files().len(), 2);
}

#[test]
fn entry_that_is_missing_in_an_older_file_begins_no_file() {
    let mut world = World::on(SimDisk::new());
    assert!(world.record(3));
    let old = world.segments.last();
    world.roll();
    assert!(world.record(3));
    world.decisions.record(&old, &tables(1), &[(2, decision(9))]).unwrap();
    world.check();
    assert_eq!(world.files().len(), 2);
}

#[test]
fn failed_record_has_no_effect_and_the_next_goes_to_another_file() {
    for operation in [Operation::Write, Operation::Sync, Operation::SyncDir, Operation::Create] {
        for begun in [false, true] {
            let mut world = World::on(SimDisk::new());
            assert!(!begun || world.record(2));
            if operation == Operation::Create || operation == Operation::SyncDir {
                world.tables = 1;
            }
            world.fail(operation, 0, 1);
            assert!(!world.record(2), "{operation:?}");
            assert!(world.record(2), "{operation:?}");
            world.check();
            world.cut_power(7);
        }
    }
}

#[test]
fn file_is_freed_with_its_segment_but_for_the_newest() {
    let mut world = World::on(SimDisk::new());
    for _ in 0..3 {
        assert!(world.record(2));
        world.roll();
    }
    let bytes = world.decisions.bytes();
    let before = bytes.load(std::sync::atomic::Ordering::Relaxed);
    world.free();
    assert_eq!(world.files().len(), 2);
    assert_eq!(bytes.load(std::sync::atomic::Ordering::Relaxed), before / 3 * 2);
    world.free();
    world.free();
    assert_eq!(world.files(), ["000000000003-000000000000005.dec"]);
    world.reopen();
    assert_eq!(world.files().len(), 1, "it says how the last events were decided");
    assert_eq!(world.decisions.newest().unwrap().0, 5);
}

#[test]
fn file_of_another_use_or_another_journal_is_never_believed() {
    let mut world = World::on(SimDisk::new());
    assert!(world.record(3));
    let recycled = List(vec![SegmentUse { salt: 0xff, ..world.segments.last() }]);
    let foreign = List(vec![SegmentUse { number: 1, salt: 0xa1, first_seq: 900 }]);
    for segments in [recycled, foreign] {
        let disk = world.disk.after_power_cut(&mut StdRng::seed_from_u64(1));
        let opened = Decisions::open(Arc::new(disk), &segments).unwrap();
        assert!(opened.is_empty());
    }
    // Nor one whose name says something else.
    let content = world.disk.content(&world.files()[0]).unwrap();
    world.disk.set_content("000000000001-000000000000009.dec", Some(content));
    world.reopen();
    assert_eq!(world.files().len(), 1);
}

#[test]
fn file_of_a_newer_version_is_left_as_it_is() {
    let mut world = World::on(SimDisk::new());
    assert!(world.record(3));
    let name = world.files().remove(0);
    world.disk.rot(&name, 8, 2);
    let error = world.try_open().err().unwrap();
    assert!(error.to_string().contains("version 2"), "{error}");
    assert_eq!(world.files(), [name]);
}
