//! The capacity of the state file, and the speed of its writes and reads.

use std::time::Instant;

use super::*;

const MIB: u64 = 1 << 20;

#[tokio::test]
async fn batch_without_space_is_refused_and_fits_after_something_is_gone() {
    let dir = TempDir::new().unwrap();
    let options = StoreOptions { max_bytes: MIB };
    let (store, loaded) = Store::open(dir.path(), options, 0).await.unwrap();
    let journal = FakeJournal::with_events(9);
    // The ledgers believe in more room than the file has.
    let (mut ledgers, _) = Ledgers::open(loaded, 1 << 30, 1, 0, &journal);
    let id = ledgers.configure(&[wanted("archive")], 0, &journal).ids[0];
    let large = || Record { bytes: vec![7; 300_000].into(), received_at_ms: 0 };
    for seq in 1..=3 {
        ledgers.get_mut(id).unwrap().postpone_fresh(seq, large(), &postponed(1)).unwrap();
    }
    for _ in 0..2 {
        let batch = ledgers.take_batch().unwrap();
        assert!(matches!(store.commit(&batch).await, Err(CommitError::Full(_))));
        ledgers.failed(batch);
        assert_eq!(ledgers.lowest_committed_cursor(), Some(0));
    }
    ledgers.get_mut(id).unwrap().finish_waiting(2, Ending::Delivered);
    let batch = ledgers.take_batch().unwrap();
    store.commit(&batch).await.unwrap();
    assert_eq!(ledgers.committed(&batch), Some(3));
    // Deletes make room for what the same batch brings.
    ledgers.get_mut(id).unwrap().finish_waiting(1, Ending::Delivered);
    ledgers.get_mut(id).unwrap().postpone_fresh(4, large(), &postponed(1)).unwrap();
    store.commit(&ledgers.take_batch().unwrap()).await.unwrap();
}

#[tokio::test]
async fn rooms_filled_to_their_bounds_fit_the_reserve() {
    // The worst for pages: two to a page do not fit, one leaves half of it empty; and just over a page.
    for size in [10, 2_050, 4_100, 60_000] {
        let dir = TempDir::new().unwrap();
        let max_bytes = 16 * MIB;
        let (store, loaded) = Store::open(dir.path(), StoreOptions { max_bytes }, 0).await.unwrap();
        let journal = FakeJournal::with_events(60_000);
        let (mut ledgers, _) = Ledgers::open(loaded, max_bytes, 1, 0, &journal);
        let ids = ledgers.configure(&[wanted("archive"), wanted("pager")], 0, &journal).ids;
        for id in ids {
            let ledger = ledgers.get_mut(id).unwrap();
            let record = |seq| Record { bytes: vec![7; size].into(), received_at_ms: seq };
            let long = crate::state::Postponed { last_error: "x".repeat(256).into(), ..postponed(1) };
            let death = Death { reason: "x".repeat(256).into(), ..death() };
            let mut seq = 1;
            while ledger.postpone_fresh(seq, record(0), &long).is_ok() {
                seq += 1;
            }
            while ledger.dead_letter_fresh(seq, record(0), &death).is_ok() {
                seq += 1;
            }
        }
        store.commit(&ledgers.take_batch().unwrap()).await.unwrap();
    }
}

#[tokio::test]
async fn full_waiting_rooms_open_fast_and_commit_fast() {
    const DESTINATIONS: usize = 10;
    const EVENTS: u64 = 10_000;
    let names: Vec<_> = (0..DESTINATIONS).map(|number| format!("destination-{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut spool = Spool::new(&names).await;
    let ids = spool.configure(&names);
    let body = Bytes::from(vec![7; 800]);
    let record = |seq: u64| Record { bytes: body.clone(), received_at_ms: seq.cast_signed() };
    let mut figures = Vec::new();
    for id in &ids {
        for seq in 1..=EVENTS {
            spool.ledgers.get_mut(*id).unwrap().postpone_fresh(seq, record(seq), &postponed(1)).unwrap();
        }
        let began = Instant::now();
        spool.commit().await;
        figures.push(began.elapsed());
    }
    eprintln!("10,000 new rows of 800 bytes: {figures:?}");

    let began = Instant::now();
    let mut spool = spool.reopen().await;
    let opened = began.elapsed();
    assert_eq!(spool.ledgers.iter().map(|ledger| ledger.waiting().count()).sum::<usize>(), 100_000);
    eprintln!("opening 100,000 rows: {opened:?}, file {} bytes", fs::metadata(spool.file()).unwrap().len());

    for (what, count) in [("1", 1), ("100", 100), ("2,000", 2_000)] {
        for seq in 1..=count {
            spool.ledgers.get_mut(ids[0]).unwrap().postpone_waiting(seq, &postponed(2));
        }
        let began = Instant::now();
        spool.commit().await;
        eprintln!("postponing {what}: {:?}", began.elapsed());
    }
    for seq in 1..=2_000 {
        spool.ledgers.get_mut(ids[0]).unwrap().finish_waiting(seq, Ending::Delivered);
    }
    let began = Instant::now();
    spool.commit().await;
    eprintln!("delivering 2,000: {:?}", began.elapsed());
    // Seconds here are a wrong query plan, not a slow machine.
    assert!(opened.as_secs() < 10, "{opened:?}");
    assert!(figures.iter().all(|took| took.as_secs() < 10), "{figures:?}");
}
