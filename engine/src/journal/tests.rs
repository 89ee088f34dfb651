//! Tests of the whole journal: with its thread on a real file system here, without it on a simulated disk
//! in the modules below.

mod beside;
mod crash_states;
mod damage;
mod decoders;
mod disk_faults;
mod model;
mod rot;
mod slow_disk;
mod surgery;
mod unreadable;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn options() -> Options {
    Options { segment_size: 64 << 10, max_size: 1 << 20, min_next_seq: 1 }
}

fn read_all(journal: &Journal) -> Vec<Entry> {
    let mut reader = journal.reader(0);
    std::iter::from_fn(|| reader.next().unwrap()).collect()
}

#[tokio::test]
async fn what_was_appended_is_read_in_order_and_again_after_opening_anew() {
    let folder = tempfile::tempdir().unwrap();
    let disk = || Arc::new(Folder::open(&folder.path().join("journal")).unwrap());
    let (journal, _) = Journal::open(disk(), &options(), || ()).unwrap();
    let records: Vec<_> = (0..500_usize).map(|at| Bytes::from(vec![b'a'; at])).collect();
    for (at, record) in records.iter().enumerate() {
        assert_eq!(journal.append(record.clone()).await, Ok(at as u64 + 1));
    }
    let expected: Vec<_> =
        (1..).zip(&records).map(|(seq, record)| Entry::Record { seq, bytes: record.clone() }).collect();
    assert_eq!(read_all(&journal), expected);
    assert_eq!(*journal.watermark().borrow(), 500);
    journal.close().await;

    let (journal, recovery) = Journal::open(disk(), &options(), || ()).unwrap();
    let segments = recovery.segments;
    let clean = Recovery { oldest_seq: 1, next_seq: 501, torn_tail: 0, segments, notes: vec![] };
    assert_eq!(recovery, clean);
    assert_eq!(read_all(&journal), expected);
    assert_eq!(journal.append(Bytes::from_static(b"next")).await, Ok(501));
    assert_eq!(journal.accepted_through(501), 501);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_appenders_get_own_sequences_and_readers_see_all() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(Folder::open(folder.path()).unwrap());
    let (journal, _) = Journal::open(disk, &options(), || ()).unwrap();
    let appenders: Vec<_> = (0..32_u32)
        .map(|appender| {
            let journal = journal.clone();
            tokio::spawn(async move {
                let mut seqs = Vec::new();
                for count in 0..50_u32 {
                    let record = Bytes::from(format!("{appender} {count}"));
                    seqs.push((journal.append(record.clone()).await.unwrap(), record));
                }
                seqs
            })
        })
        .collect();
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (mut reader, mut watermark) = (journal.reader(0), journal.watermark());
            tokio::spawn(async move {
                let mut entries = Vec::new();
                while entries.len() < 32 * 50 {
                    match reader.next().unwrap() {
                        Some(entry) => entries.push(entry),
                        None => watermark.changed().await.unwrap(),
                    }
                }
                entries
            })
        })
        .collect();
    let mut accepted = Vec::new();
    for appender in appenders {
        accepted.extend(appender.await.unwrap());
    }
    accepted.sort();
    let expected: Vec<_> = accepted.into_iter().map(|(seq, bytes)| Entry::Record { seq, bytes }).collect();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), expected);
    }
}

#[tokio::test]
async fn closed_journal_refuses_and_lets_readers_go_on() {
    let disk = Arc::new(sim::SimDisk::new());
    let (journal, _) = Journal::open(disk, &options(), || ()).unwrap();
    journal.append(Bytes::from_static(b"one")).await.unwrap();
    let other = journal.clone();
    journal.close().await;
    assert_eq!(other.append(Bytes::from_static(b"two")).await, Err(AppendError::Unavailable));
    assert_eq!(read_all(&other), [Entry::Record { seq: 1, bytes: Bytes::from_static(b"one") }]);
}

#[tokio::test]
async fn record_longer_than_a_segment_is_refused_and_the_longest_is_kept() {
    let disk = Arc::new(sim::SimDisk::new());
    let (journal, _) = Journal::open(disk, &options(), || ()).unwrap();
    let longest = Bytes::from(vec![7; options().max_record()]);
    let longer = Bytes::from(vec![7; options().max_record() + 1]);
    assert_eq!(journal.append(longer).await, Err(AppendError::TooLarge));
    assert_eq!(journal.append(longest.clone()).await, Ok(1));
    assert_eq!(read_all(&journal), [Entry::Record { seq: 1, bytes: longest }]);
}

#[tokio::test]
async fn idle_journal_ticks_and_writes_nothing() {
    let disk = sim::SimDisk::new();
    let ticks = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ticks);
    let count = move || {
        counted.fetch_add(1, Ordering::Relaxed);
    };
    let (journal, _) = Journal::open(Arc::new(disk.clone()), &options(), count).unwrap();
    journal.append(Bytes::from_static(b"one")).await.unwrap();
    while !journal.inner.view.has_next() {
        tokio::task::yield_now().await;
    }
    let (before, ticked) = (disk.operations(), ticks.load(Ordering::Relaxed));
    while ticks.load(Ordering::Relaxed) < ticked + 2 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(disk.operations(), before);
}

#[tokio::test]
async fn failing_disk_refuses_at_once_and_recovers_when_it_works_again() {
    let disk = sim::SimDisk::new();
    let (journal, _) = Journal::open(Arc::new(disk.clone()), &options(), || ()).unwrap();
    journal.append(Bytes::from_static(b"kept")).await.unwrap();
    disk.fail(sim::Operation::Sync, 0, u32::MAX, io::ErrorKind::Other);
    assert_eq!(journal.append(Bytes::from_static(b"refused")).await, Err(AppendError::Unavailable));
    assert!(matches!(journal.write_state(), WriteState::Failing { .. }));
    disk.heal();
    while journal.write_state() != WriteState::Writable {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(journal.append(Bytes::from_static(b"again")).await, Ok(2));
    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    let expected =
        [Entry::Record { seq: 1, bytes: bytes("kept") }, Entry::Record { seq: 2, bytes: bytes("again") }];
    assert_eq!(read_all(&journal), expected);
}

#[tokio::test]
async fn full_journal_becomes_writable_once_something_is_freed() {
    let disk = sim::SimDisk::new();
    let small = Options { max_size: 2 * options().segment_size, ..options() };
    let (journal, _) = Journal::open(Arc::new(disk.clone()), &small, || ()).unwrap();
    let record = Bytes::from(vec![1; 10_000]);
    let mut accepted = 0;
    while let Ok(seq) = journal.append(record.clone()).await {
        accepted = seq;
    }
    assert_eq!(journal.append(record.clone()).await, Err(AppendError::Full));
    assert_eq!(journal.write_state(), WriteState::Full);
    journal.free_through(accepted);
    while journal.write_state() != WriteState::Writable {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(journal.append(record).await, Ok(accepted + 1));
}

#[tokio::test]
async fn appenders_are_not_left_waiting_by_a_writer_that_dies() {
    let died = std::sync::atomic::AtomicBool::new(false);
    let tick = move || assert!(!died.swap(true, Ordering::Relaxed), "on purpose, at the second tick");
    let (journal, _) = Journal::open(Arc::new(sim::SimDisk::new()), &options(), tick).unwrap();
    let outcome = journal.append(Bytes::from_static(b"one")).await;
    assert_eq!(outcome, Err(AppendError::Unavailable));
    assert_eq!(journal.append(Bytes::from_static(b"two")).await, Err(AppendError::Unavailable));
}
