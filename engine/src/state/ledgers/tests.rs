use super::super::fake::{FakeFile, FakeJournal, postponed, record, wanted};
use super::super::{
    Admission, Death, DestinationStatus, Ending, EventAt, Lifecycle, Loaded, LostDestination, MAX_RUNS,
    Record, Repairs, RoomFull, Select, StoredEvent, Wanted,
};
use super::*;

fn death() -> Death {
    Death { attempts: 10, died_at_ms: 9_000, reason: "status 500".into() }
}

/// Makes ledgers with these destinations, over this many events.
fn ledgers(names: &[&str], events: usize) -> (Ledgers, FakeFile, FakeJournal, Vec<DestinationId>) {
    let journal = FakeJournal::with_events(0);
    let mut file = FakeFile::default();
    let (mut ledgers, _) = file.open(&journal);
    let names: Vec<_> = names.iter().map(|name| wanted(name)).collect();
    let ids = ledgers.configure(&names, 0, &journal).ids;
    file.commit(&mut ledgers, &journal);
    (ledgers, file, FakeJournal::with_events(events), ids)
}

fn sum(ledgers: &Ledgers, name: &str, journal: &FakeJournal) -> [u64; 6] {
    let status = ledgers.find(name).unwrap().status(journal);
    assert!(status.adds_up(), "{status:?}");
    let DestinationStatus { accepted, delivered, dead_lettered, dropped, damaged, pending, .. } = status;
    [accepted, delivered, dead_lettered, dropped, damaged, pending]
}

#[test]
fn stuck_event_stops_none_behind_it_until_there_are_4096_runs() {
    let (mut ledgers, _, _, ids) = ledgers(&["archive"], 30_000);
    let ledger = ledgers.get_mut(ids[0]).unwrap();
    assert_eq!(ledger.begin(1, 0), Admission::Yes);
    for seq in 2..=20_000 {
        assert_eq!(ledger.begin(seq, 0), Admission::Yes);
        assert!(ledger.finish_fresh(seq, Ending::Delivered));
    }
    // Each event that is never finished ends a run: so many, and no more, are ever under way.
    let begun = (20_001..=30_000).filter(|seq| ledger.begin(*seq, 0) == Admission::Yes);
    assert_eq!(begun.count(), MAX_RUNS - 2, "less the stuck one, and the run above it");
    assert!(ledger.finish_fresh(1, Ending::Delivered));
    assert_eq!((ledger.read_from(), ledger.begin(29_999, 0)), (20_000, Admission::Yes));
}

#[test]
fn waiting_room_and_dead_letters_end_at_10000_events() {
    let (mut ledgers, ..) = ledgers(&["archive"], 0);
    let ledger = ledgers.by_id.values_mut().next().unwrap();
    for seq in 1..=10_000 {
        assert_eq!(ledger.postpone_fresh(seq, record(seq), &postponed(1)), Ok(true));
    }
    assert_eq!(ledger.postpone_fresh(10_001, record(10_001), &postponed(1)), Err(RoomFull));
    assert!(ledger.window.needs(10_001));
    for seq in 1..=10_000 {
        assert_eq!(ledger.dead_letter_waiting(seq, &death()), Ok(true));
    }
    assert_eq!(ledger.postpone_fresh(10_001, record(10_001), &postponed(1)), Ok(true));
    assert_eq!(ledger.dead_letter_waiting(10_001, &death()), Err(RoomFull));
    // Only as many come back as there is room for.
    for seq in 10_002..=19_999 {
        assert_eq!(ledger.postpone_fresh(seq, record(seq), &postponed(1)), Ok(true));
    }
    let redriven = ledger.redrive(Select::All, 0);
    assert_eq!((redriven.seqs, redriven.no_room), (vec![1], 9_999));
}

#[test]
fn removed_destination_keeps_events_until_it_returns_or_expires() {
    let none = BTreeSet::new();
    let (mut ledgers, mut file, mut journal, ids) = ledgers(&["archive", "pager"], 5);
    ledgers.get_mut(ids[1]).unwrap().finish_fresh(1, Ending::Delivered);
    ledgers.get_mut(ids[1]).unwrap().postpone_fresh(2, record(2), &postponed(1)).unwrap();
    assert_eq!(ledgers.configure(&[wanted("archive")], 100, &journal).removed, ["pager"]);
    journal.push(true);
    assert_eq!(sum(&ledgers, "pager", &journal), [6, 1, 0, 0, 0, 5]);
    assert_eq!(ledgers.expire(50, 49, &none, &journal), []);

    file.commit(&mut ledgers, &journal);
    let (mut ledgers, _) = file.open(&journal);
    let back = ledgers.configure(&[wanted("archive"), wanted("pager")], 149, &journal);
    assert_eq!((back.ids, back.resumed), (ids.clone(), vec!["pager".to_owned()]));
    assert_eq!(sum(&ledgers, "pager", &journal), [6, 1, 0, 0, 0, 5]);

    ledgers.configure(&[wanted("archive")], 200, &journal);
    file.commit(&mut ledgers, &journal);
    ledgers.get_mut(ids[0]).unwrap().discard(Seq::MAX, &journal);
    file.commit(&mut ledgers, &journal);
    let expired = Expired { id: ids[1], name: "pager".into(), dropped: 5, dead_letters: 0 };
    assert_eq!(ledgers.expire(50, 50, &none, &journal), [expired]);
    assert_eq!(ledgers.get(ids[1]), None);
    // Until that is in the file, a crash brings it back: the journal must still have its events.
    assert_eq!(ledgers.lowest_committed_cursor(), Some(2));
    let batch = ledgers.take_batch().unwrap();
    ledgers.failed(batch);
    assert!(ledgers.changed());
    file.commit(&mut ledgers, &journal);
    assert_eq!((ledgers.lowest_committed_cursor(), file.held.len()), (Some(6), 0));
    // By the same name it is a new one.
    let (mut ledgers, _) = file.open(&journal);
    ledgers.configure(&[wanted("archive"), wanted("pager")], 300, &journal);
    assert_eq!(sum(&ledgers, "pager", &journal), [0; 6]);
}

#[test]
fn journal_is_held_by_the_destination_that_is_farthest_behind() {
    let (mut ledgers, _, journal, ids) = ledgers(&["archive", "pager", "tickets"], 4);
    let holder = |ledgers: &Ledgers| ledgers.holder_of_oldest(&journal).map(|one| one.name().to_owned());
    let finish = |ledgers: &mut Ledgers, index: usize, seqs: &[Seq]| {
        let ledger = ledgers.get_mut(ids[index]).unwrap();
        assert!(seqs.iter().all(|seq| ledger.finish_fresh(*seq, Ending::Delivered)));
    };
    finish(&mut ledgers, 0, &[2, 3, 4]);
    finish(&mut ledgers, 1, &[1, 3]);
    finish(&mut ledgers, 2, &[1]);
    assert_eq!(holder(&ledgers).as_deref(), Some("archive"), "others have more, but no older ones");
    finish(&mut ledgers, 0, &[1]);
    assert_eq!(holder(&ledgers).as_deref(), Some("tickets"), "of two at the same event it has more");
    finish(&mut ledgers, 2, &[2]);
    assert_eq!(holder(&ledgers).as_deref(), Some("pager"));
    finish(&mut ledgers, 1, &[2]);
    // An event of the waiting room is in the state file, and holds no segment.
    for seq in [3, 4] {
        ledgers.get_mut(ids[2]).unwrap().postpone_fresh(seq, record(seq), &postponed(1)).unwrap();
    }
    assert_eq!(holder(&ledgers).as_deref(), Some("pager"));
    finish(&mut ledgers, 1, &[4]);
    assert_eq!(holder(&ledgers), None);
}

#[test]
fn oldest_of_the_waiting_is_the_first_that_came_whatever_the_clock_did() {
    let (mut ledgers, _, journal, ids) = ledgers(&["archive"], 2);
    let ledger = ledgers.get_mut(ids[0]).unwrap();
    for (seq, received_at_ms) in [(1, 9_000), (2, 1_000)] {
        let record = Record { received_at_ms, ..record(seq) };
        assert_eq!(ledger.postpone_fresh(seq, record, &postponed(1)), Ok(true));
    }
    assert_eq!(ledger.status(&journal).oldest_pending_ms, Some(9_000));
}

#[test]
fn abandoned_plan_changes_nothing_and_keeps_events_that_came() {
    let (mut ledgers, mut file, mut journal, ids) = ledgers(&["archive", "pager"], 5);
    let before = ledgers.clone();
    let plan = ledgers.plan(&[wanted("archive"), wanted("tickets")], 100, &journal);
    let batch = ledgers.take_batch_of(&plan).unwrap();
    let rows: Vec<_> = batch.destinations.iter().map(|row| (&*row.name, row.lifecycle)).collect();
    let removed = Lifecycle::Removed { at_ms: 100 };
    let active = Lifecycle::Active;
    assert_eq!(rows, [("archive", active), ("pager", removed), ("tickets", active)]);
    // What happens while the batch is on its way.
    journal.push(true);
    assert!(ledgers.get_mut(ids[1]).unwrap().finish_fresh(1, Ending::Delivered));
    assert_eq!(ledgers.expire(0, u64::MAX, &BTreeSet::new(), &journal), []);
    ledgers.abandon();
    ledgers.failed(batch);
    assert_eq!(sum(&ledgers, "pager", &journal), [6, 1, 0, 0, 0, 5]);
    assert_eq!(ledgers.find("pager").unwrap().lifecycle(), Lifecycle::Active);
    assert_eq!((ledgers.find("tickets"), ledgers.next_id), (None, before.next_id));
    assert_eq!(ledgers.expire(0, u64::MAX, &BTreeSet::new(), &journal), []);

    // The same plan, made anew, is installed; an event that ended while it was on its way stays ended.
    let plan = ledgers.plan(&[wanted("archive"), wanted("tickets")], 200, &journal);
    let batch = ledgers.take_batch_of(&plan).unwrap();
    journal.push(true);
    assert!(ledgers.get_mut(ids[1]).unwrap().finish_fresh(2, Ending::Delivered));
    file.apply(&batch);
    let configured = ledgers.install(plan);
    // New destinations hold the journal from their beginning on.
    assert_eq!(ledgers.committed(&batch), Some(0));
    assert_eq!(configured.added, [("tickets".to_owned(), 7)]);
    assert_eq!(configured.removed, ["pager"]);
    assert_eq!(sum(&ledgers, "pager", &journal), [7, 2, 0, 0, 0, 5]);
    assert_eq!(sum(&ledgers, "tickets", &journal), [1, 0, 0, 0, 0, 1]);
    // While a plan that brings a removed destination back is on its way, nothing of it is dropped.
    let plan = ledgers.plan(&["archive", "pager", "tickets"].map(wanted), 300, &journal);
    let batch = ledgers.take_batch_of(&plan).unwrap();
    assert_eq!(ledgers.expire(0, 0, &BTreeSet::new(), &journal), []);
    ledgers.abandon();
    ledgers.failed(batch);
    // One that the configuration in force names is kept, whatever its ledger says.
    assert_eq!(ledgers.expire(0, 0, &BTreeSet::from(["pager"]), &journal), []);
    assert_eq!(ledgers.expire(0, 0, &BTreeSet::new(), &journal).len(), 1);
}

#[test]
fn destination_disabled_while_its_new_target_is_committed_is_enabled() {
    let (mut ledgers, mut file, journal, ids) = ledgers(&["archive"], 1);
    let moved = Wanted { fingerprint: "elsewhere".into(), ..wanted("archive") };
    let plan = ledgers.plan(&[moved], 0, &journal);
    let batch = ledgers.take_batch_of(&plan).unwrap();
    ledgers.get_mut(ids[0]).unwrap().disable();
    file.apply(&batch);
    assert_eq!(ledgers.install(plan).enabled, ["archive"]);
    ledgers.committed(&batch);
    file.commit(&mut ledgers, &journal);
    let (ledgers, _) = file.open(&journal);
    assert_eq!(ledgers.find("archive").unwrap().lifecycle(), Lifecycle::Active);
}

#[test]
fn removed_destination_ages_while_a_process_runs_and_by_no_wall_clock() {
    const HOUR: u64 = 3_600_000;
    let none = BTreeSet::new();
    let (mut ledgers, mut file, journal, _) = ledgers(&["archive", "pager"], 5);
    // Whatever the wall clock says when it is removed and when the process starts again.
    ledgers.configure(&[wanted("archive")], i64::MIN, &journal);
    assert_eq!(ledgers.expire(24 * HOUR, 20 * HOUR, &none, &journal), []);
    assert!(ledgers.changed(), "its age is kept");
    file.commit(&mut ledgers, &journal);
    let (mut ledgers, _) = Ledgers::open(file.load(), 1 << 30, journal.oldest(), i64::MAX, &journal);
    ledgers.configure(&[wanted("archive")], i64::MAX, &journal);
    assert_eq!(ledgers.expire(24 * HOUR, HOUR, &none, &journal), []);
    file.commit(&mut ledgers, &journal);
    // A few seconds are not worth a write.
    assert_eq!(ledgers.expire(24 * HOUR, 5_000, &none, &journal), []);
    assert!(!ledgers.changed());
    // Back and removed again, it begins anew.
    ledgers.configure(&[wanted("archive"), wanted("pager")], 0, &journal);
    ledgers.configure(&[wanted("archive")], 0, &journal);
    assert_eq!(ledgers.expire(24 * HOUR, 23 * HOUR, &none, &journal), []);
    assert_eq!(ledgers.expire(24 * HOUR, HOUR, &none, &journal).len(), 1);
}

#[test]
fn disabled_destination_keeps_its_events_until_its_target_changes() {
    let (mut ledgers, mut file, journal, ids) = ledgers(&["archive"], 3);
    ledgers.get_mut(ids[0]).unwrap().disable();
    file.commit(&mut ledgers, &journal);
    let (mut ledgers, _) = file.open(&journal);
    assert_eq!(ledgers.configure(&[wanted("archive")], 0, &journal).enabled, Vec::<String>::new());
    assert_eq!(ledgers.find("archive").unwrap().lifecycle(), Lifecycle::Disabled);
    let moved = Wanted { fingerprint: "elsewhere".into(), ..wanted("archive") };
    assert_eq!(ledgers.configure(&[moved], 0, &journal).enabled, ["archive"]);
    assert_eq!(sum(&ledgers, "archive", &journal), [3, 0, 0, 0, 0, 3]);
}

#[test]
fn new_destination_begins_now_or_at_the_oldest_event_if_forgotten() {
    let (mut known, ..) = ledgers(&["archive"], 0);
    let journal = FakeJournal::with_events(7);
    journal.free_through(2);
    known.configure(&[wanted("archive"), wanted("pager")], 0, &FakeJournal::with_events(7));
    assert_eq!(known.find("pager").unwrap().read_from(), 7);

    // The file is gone, and the process dies once more before anything is committed.
    for _ in 0..2 {
        let (mut fresh, _) = FakeFile::default().open(&journal);
        let added = fresh.configure(&[wanted("archive")], 0, &journal).added;
        assert_eq!(added, [("archive".to_owned(), 3)]);
        // Whether it took the two that are gone, or held them, nobody knows.
        assert_eq!(sum(&fresh, "archive", &journal), [7, 0, 0, 0, 2, 5]);
    }
}

#[test]
fn forgotten_destination_loses_at_most_what_its_rooms_held() {
    let journal = FakeJournal::with_events(30_000);
    journal.free_through(29_990);
    let forgetful = |held_forgotten| {
        let loaded = Loaded { fresh: true, held_forgotten, ..Loaded::default() };
        let (mut ledgers, repairs) = Ledgers::open(loaded, 1 << 30, journal.oldest(), 0, &journal);
        assert_eq!(repairs, Repairs { forgot: true, ..Repairs::default() });
        ledgers.configure(&[wanted("archive"), wanted("pager")], 0, &journal);
        ledgers
    };
    let ledgers = forgetful(true);
    assert_eq!(sum(&ledgers, "archive", &journal), [20_010, 0, 0, 0, 20_000, 10]);
    assert_eq!(sum(&ledgers, "pager", &journal), [20_010, 0, 0, 0, 20_000, 10]);
    assert_eq!(sum(&forgetful(false), "archive", &journal), [10, 0, 0, 0, 0, 10]);

    // A destination that comes later has lost nothing.
    let (mut ledgers, mut file) = (ledgers, FakeFile::default());
    file.commit(&mut ledgers, &journal);
    let (mut ledgers, repairs) = file.open(&journal);
    assert_eq!(repairs, Repairs::default());
    ledgers.configure(&[wanted("archive"), wanted("tickets")], 0, &journal);
    assert_eq!(sum(&ledgers, "archive", &journal), [20_010, 0, 0, 0, 20_000, 10]);
    assert_eq!(sum(&ledgers, "tickets", &journal), [0; 6]);
}

#[test]
fn nothing_was_forgotten_where_nothing_was_accepted() {
    let (_, repairs) = FakeFile::default().open(&FakeJournal::with_events(0));
    assert_eq!(repairs, Repairs::default());
}

#[test]
fn missing_waiting_event_or_dead_letter_is_damaged_exactly_once() {
    let (mut ledgers, mut file, journal, ids) = ledgers(&["archive"], 4);
    let ledger = ledgers.get_mut(ids[0]).unwrap();
    ledger.postpone_fresh(1, record(1), &postponed(1)).unwrap();
    ledger.postpone_fresh(2, record(2), &postponed(1)).unwrap();
    ledger.dead_letter_fresh(3, record(3), &death()).unwrap();
    file.commit(&mut ledgers, &journal);
    file.held.retain(|_, row| row.seq == 2);
    let (mut ledgers, repairs) = file.open(&journal);
    assert_eq!(repairs, Repairs { damaged: vec![("archive".into(), 2)], ..Repairs::default() });
    assert_eq!(sum(&ledgers, "archive", &journal), [4, 0, 0, 0, 2, 2]);
    file.commit(&mut ledgers, &journal);
    let (ledgers, repairs) = file.open(&journal);
    assert_eq!(repairs, Repairs::default());
    assert_eq!(sum(&ledgers, "archive", &journal), [4, 0, 0, 0, 2, 2]);
}

#[test]
fn lost_destination_is_known_by_name_or_target_and_repeats_the_rest() {
    for (name, fingerprint) in [("pager", "garbled"), ("garbled", "https://pager.example.org")] {
        let (mut ledgers, mut file, journal, ids) = ledgers(&["archive", "pager"], 9);
        for id in &ids {
            let ledger = ledgers.get_mut(*id).unwrap();
            (1..=6).filter(|seq| *seq != 2 && *seq != 5).for_each(|seq| {
                assert!(ledger.finish_fresh(seq, Ending::Delivered));
            });
            ledger.postpone_fresh(2, record(2), &postponed(1)).unwrap();
            ledger.dead_letter_fresh(5, record(5), &death()).unwrap();
        }
        file.commit(&mut ledgers, &journal);
        let journal = FakeJournal::with_events(9);
        journal.free_through(3);
        let mut loaded = file.load();
        loaded.destinations.retain(|(row, _)| row.id == ids[0]);
        loaded.lost =
            vec![LostDestination { id: ids[1], name: name.into(), fingerprint: fingerprint.into() }];
        let (mut ledgers, repairs) = Ledgers::open(loaded, 1 << 30, journal.oldest(), 0, &journal);
        assert_eq!(repairs, Repairs { restarted: vec![name.into()], ..Repairs::default() });
        let configured = ledgers.configure(&[wanted("archive"), wanted("pager")], 0, &journal);
        assert_eq!((configured.ids, configured.resumed), (ids.clone(), vec!["pager".to_owned()]));
        // One waits from before the oldest, one is dead, and five come again.
        assert_eq!(sum(&ledgers, "pager", &journal), [7, 0, 1, 0, 0, 6]);
        assert_eq!(sum(&ledgers, "archive", &journal), [9, 4, 1, 0, 0, 4]);
        assert_eq!(ledgers.get_mut(ids[1]).unwrap().begin(5, 0), Admission::AlreadyFinished);
        assert_eq!(ledgers.lowest_committed_cursor(), Some(3));
    }
}

#[test]
fn events_freed_before_an_older_state_came_back_are_damaged() {
    let (mut ledgers, mut file, mut journal, ids) = ledgers(&["archive"], 4);
    ledgers.get_mut(ids[0]).unwrap().finish_fresh(1, Ending::Delivered);
    ledgers.get_mut(ids[0]).unwrap().finish_fresh(3, Ending::Delivered);
    file.commit(&mut ledgers, &journal);
    journal.push(false);
    journal.push(true);
    journal.push(true);
    journal.free_through(6);
    let (ledgers, repairs) = file.open(&journal);
    // 2, 4 and 6; 5 was no event.
    assert_eq!(repairs, Repairs { damaged: vec![("archive".into(), 3)], ..Repairs::default() });
    assert_eq!(sum(&ledgers, "archive", &journal), [6, 2, 0, 0, 3, 1]);
}

#[test]
fn sum_holds_after_the_journal_was_lost_and_counts_anew() {
    let (mut ledgers, mut file, journal, ids) = ledgers(&["archive"], 4);
    ledgers.get_mut(ids[0]).unwrap().finish_fresh(1, Ending::Delivered);
    ledgers.get_mut(ids[0]).unwrap().finish_fresh(2, Ending::Delivered);
    file.commit(&mut ledgers, &journal);
    let mut anew = FakeJournal::default();
    (0..file.load().max_seq()).for_each(|_| _ = anew.push(false));
    anew.free_through(2);
    anew.push(true);
    let (ledgers, _) = file.open(&anew);
    assert_eq!(sum(&ledgers, "archive", &anew), [3, 2, 0, 0, 0, 1]);
}

#[test]
fn oldest_pending_event_is_begun_waiting_or_behind_the_cursor() {
    let (mut ledgers, _, journal, ids) = ledgers(&["archive"], 9);
    let oldest = |ledgers: &Ledgers| ledgers.snapshot(&journal)[0].oldest_pending_ms;
    assert_eq!(oldest(&ledgers), Some(0), "not read yet, it is no older than its destination");
    ledgers.get_mut(ids[0]).unwrap().begin(1, 1000);
    ledgers.get_mut(ids[0]).unwrap().begin(2, 2000);
    assert_eq!(oldest(&ledgers), Some(1000));
    ledgers.get_mut(ids[0]).unwrap().postpone_fresh(1, record(1), &postponed(1)).unwrap();
    assert_eq!(oldest(&ledgers), Some(1000));
    ledgers.get_mut(ids[0]).unwrap().finish_waiting(1, Ending::Delivered);
    assert_eq!(oldest(&ledgers), Some(2000));
    ledgers.get_mut(ids[0]).unwrap().finish_fresh(2, Ending::Delivered);
    assert_eq!(oldest(&ledgers), Some(2000), "what is behind it and cannot be read is no older");
    ledgers.get_mut(ids[0]).unwrap().damaged(3, 9);
    assert_eq!(oldest(&ledgers), None, "nothing is pending");
}

#[test]
fn unrecognizable_destination_restarts_only_unknown_ones() {
    for (name, pager_begins_at) in [("garbled", 1), ("pager", 1), ("archive", 9)] {
        let journal = FakeJournal::with_events(8);
        let mut loaded = FakeFile { committed: true, ..FakeFile::default() }.load();
        let fingerprint = "garbled".into();
        loaded.lost = vec![LostDestination { id: DestinationId(1), name: name.into(), fingerprint }];
        let (mut ledgers, _) = Ledgers::open(loaded, 1 << 30, 1, 0, &journal);
        ledgers.configure(&[wanted("archive"), wanted("pager")], 0, &journal);
        assert_eq!(ledgers.find("pager").unwrap().read_from() + 1, pager_begins_at, "{name}");
        assert_eq!(
            ledgers.find("archive").unwrap().read_from(),
            if name == "pager" { 8 } else { 0 },
            "{name}"
        );
    }
}

#[test]
fn bytes_leave_memory_once_they_are_in_the_file() {
    let (mut ledgers, mut file, journal, ids) = ledgers(&["archive"], 1);
    ledgers.get_mut(ids[0]).unwrap().postpone_fresh(1, record(1), &postponed(1)).unwrap();
    let at = |ledgers: &Ledgers| ledgers.get(ids[0]).unwrap().event(1);
    assert_eq!(at(&ledgers), Some(EventAt::Memory(record(1).bytes)));
    file.commit(&mut ledgers, &journal);
    let checksum = crc32c::crc32c(&record(1).bytes);
    assert_eq!(at(&ledgers), Some(EventAt::Stored(StoredEvent { row: 1, checksum })));
}
