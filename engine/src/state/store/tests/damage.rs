//! Flipped bits, missing pieces, files that are none: known or repeated, never altered, never silent.

use super::*;
use crate::test_effort::scaled;

/// Size of a page of the state file, in bytes.
const PAGE: usize = 4096;

/// Flips a bit of the first occurrence of `what` in the file. What was written last comes first: `SQLite` fills
/// its pages from the end.
fn damage(dir: &TempDir, what: &[u8]) {
    damage_at(dir, |bytes| bytes.windows(what.len()).position(|window| window == what));
}

/// Flips a bit of the last occurrence, of what was written first.
fn damage_last(dir: &TempDir, what: &[u8]) {
    damage_at(dir, |bytes| bytes.windows(what.len()).rposition(|window| window == what));
}

fn damage_at(dir: &TempDir, find: impl Fn(&[u8]) -> Option<usize>) {
    let file = files::state(dir.path());
    let mut bytes = fs::read(&file).unwrap();
    let at = find(&bytes).unwrap();
    bytes[at] ^= 0x01;
    fs::write(&file, bytes).unwrap();
}

#[tokio::test]
async fn damaged_record_is_counted_for_its_destination_exactly_once() {
    for (seq, sum) in [(7, [40, 10, 10, 1, 3, 16]), (17, [40, 10, 9, 1, 3, 17])] {
        let (dir, journal) = folded(busy().await).await;
        damage_last(&dir, &[b"event ", seq.to_string().as_bytes()].concat());
        let mut spool = Spool::open(dir, journal).await;
        spool.read_all().await;
        assert_eq!(spool.sum("archive"), sum);
        assert_eq!(spool.sum("pager"), [40, 10, 10, 1, 2, 17]);
        spool.commit().await;
        let mut spool = spool.reopen().await;
        spool.read_all().await;
        assert_eq!((spool.sum("archive"), &spool.repairs), (sum, &Repairs::default()));
    }
}

#[tokio::test]
async fn damaged_row_of_a_held_event_is_counted_exactly_once() {
    let (dir, journal) = folded(busy().await).await;
    damage(&dir, b"status 500");
    let mut spool = Spool::open(dir, journal).await;
    let total = spool.repairs.damaged.iter().map(|(_, count)| count).sum::<u64>();
    assert_eq!((total, spool.set_aside.as_ref()), (1, None));
    let sums = (spool.sum("archive"), spool.sum("pager"));
    spool.commit().await;
    let spool = spool.reopen().await;
    assert_eq!(
        (spool.sum("archive"), spool.sum("pager"), &spool.repairs),
        (sums.0, sums.1, &Repairs::default())
    );
}

#[tokio::test]
async fn damaged_row_of_a_destination_restarts_that_one_only() {
    for what in ["pager", "https://pager.example.org"] {
        let (dir, journal) = folded(busy().await).await;
        damage(&dir, what.as_bytes());
        let mut spool = Spool::open(dir, journal).await;
        assert_eq!((spool.repairs.restarted.len(), spool.repairs.damaged.len()), (1, 0));
        spool.configure(&["archive", "pager"]);
        // Held events are kept; what was finished comes again.
        assert_eq!(spool.sum("pager"), [40, 0, 10, 0, 0, 30]);
        assert_eq!(spool.sum("archive"), [40, 10, 10, 1, 2, 17]);
        spool.commit().await;
        let mut spool = spool.reopen().await;
        assert_eq!(spool.repairs, Repairs::default());
        spool.configure(&["archive", "pager"]);
        assert_eq!(spool.sum("pager"), [40, 0, 10, 0, 0, 30]);
        spool.read_all().await;
    }
}

#[tokio::test]
async fn no_flipped_byte_stops_the_start_alters_an_event_or_breaks_the_sum() {
    let (dir, journal) = folded(busy().await).await;
    let whole = fs::read(files::state(dir.path())).unwrap();
    let mut set_aside = 0;
    // Every used byte would take minutes: each of the first page's, and a prime stride over the rest.
    let positions = (0..200).chain((200..whole.len()).step_by(97));
    for at in positions {
        let dir = TempDir::new().unwrap();
        let mut bytes = whole.clone();
        bytes[at] ^= 0x5a;
        fs::write(files::state(dir.path()), bytes).unwrap();
        let mut spool = Spool::open(dir, journal.clone()).await;
        set_aside += u64::from(spool.set_aside.is_some());
        spool.configure(&["archive", "pager"]);
        spool.read_all().await;
        let sums = (spool.sum("archive"), spool.sum("pager"));
        for sum in [sums.0, sums.1] {
            assert!(sum[0] == 40 && sum[4] <= 2 + 20, "byte {at}: {sum:?}");
        }
        if let Some(batch) = spool.ledgers.take_batch() {
            // Damage that only writing meets is remembered for the next start.
            if let Err(error) = spool.store.commit(&batch).await {
                assert!(matches!(error, CommitError::Broken(_)), "byte {at}: {error:?}");
            }
        }
        let mut spool = spool.reopen().await;
        spool.configure(&["archive", "pager"]);
        spool.read_all().await;
        let _ = (spool.sum("archive"), spool.sum("pager"));
    }
    assert!(set_aside > 0);
}

#[tokio::test]
async fn file_that_is_no_database_is_set_aside_and_destinations_restart() {
    let (dir, journal) = folded(busy().await).await;
    fs::write(
        files::state(dir.path()),
        b"not a database, but long enough to be taken for one by its length: ".repeat(200),
    )
    .unwrap();
    let mut spool = Spool::open(dir, journal).await;
    assert_eq!(spool.set_aside, Some(spool.dir.path().join("state.db.corrupt-77")));
    assert!(spool.set_aside.as_ref().unwrap().exists());
    spool.configure(&["archive", "pager"]);
    assert_eq!(spool.sum("archive"), [40, 0, 0, 0, 0, 40]);
    spool.commit().await;
    let spool = spool.reopen().await;
    assert_eq!((spool.sum("archive"), spool.set_aside), ([40, 0, 0, 0, 0, 40], None));
}

#[tokio::test]
async fn what_can_be_read_of_a_damaged_file_goes_on() {
    let (dir, journal) = folded(busy().await).await;
    let file = files::state(dir.path());
    let mut bytes = fs::read(&file).unwrap();
    // The page with the records: its header is destroyed, and with it all of them.
    let at = bytes.windows(8).position(|window| window == b"event 10").unwrap() / PAGE * PAGE;
    bytes[at..at + 8].fill(0xff);
    fs::write(&file, bytes).unwrap();
    let mut spool = Spool::open(dir, journal).await;
    assert!(spool.set_aside.is_some());
    spool.configure(&["archive", "pager"]);
    // The cursors and counters went on, only what was held is damaged.
    assert_eq!(spool.sum("archive"), [40, 10, 0, 1, 22, 7]);
    assert_eq!(
        spool.repairs,
        Repairs { damaged: vec![("archive".into(), 20), ("pager".into(), 20)], ..Repairs::default() }
    );
}

#[tokio::test]
async fn destinations_whose_page_is_destroyed_begin_again() {
    let mut spool = Spool::new(&["archive"]).await;
    (0..9).for_each(|_| _ = spool.journal.push(true));
    let id = spool.ledgers.find("archive").unwrap().id();
    spool.ledgers.get_mut(id).unwrap().finish_fresh(1, Ending::Delivered);
    spool.commit().await;
    let (dir, journal) = folded(spool).await;
    let file = files::state(dir.path());
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes.windows(10).position(|window| window == b"archivehtt").unwrap() / PAGE * PAGE;
    bytes[at..at + 8].fill(0xff);
    fs::write(&file, bytes).unwrap();
    // And the process dies once more before anything is committed.
    let spool = Spool::open(dir, journal).await;
    assert!(spool.set_aside.is_some());
    let mut spool = spool.reopen().await;
    spool.configure(&["archive"]);
    assert_eq!(spool.sum("archive"), [9, 0, 0, 0, 0, 9]);
}

#[tokio::test]
async fn crash_between_setting_aside_and_replacing_loses_nothing() {
    let mut spool = busy().await;
    let stale_log = fs::read(files::beside(&spool.file(), "-wal")).unwrap();
    let id = spool.ledgers.find("archive").unwrap().id();
    spool.ledgers.get_mut(id).unwrap().finish_waiting(1, Ending::Delivered);
    spool.commit().await;
    let (dir, journal) = folded(spool).await;
    let path = dir.path();
    salvage::salvage(path).await.unwrap();
    // The damaged file is away, the new one is not there yet, and a log of the old one was left behind.
    fs::rename(files::state(path), path.join("state.db.corrupt-1")).unwrap();
    fs::write(path.join("state.db-wal"), stale_log).unwrap();
    let spool = Spool::open(dir, journal).await;
    assert_eq!((spool.sum("archive"), spool.set_aside.as_ref()), ([40, 11, 10, 1, 2, 16], None));
    assert_eq!(spool.sum("pager"), [40, 10, 10, 1, 2, 17]);
}

#[tokio::test]
async fn file_surgery_opens_and_never_resets_silently() {
    type Surgery = fn(&Path);
    let surgeries: &[(&str, Surgery)] = &[
        ("removed", |file| fs::remove_file(file).unwrap()),
        ("emptied", |file| fs::write(file, b"").unwrap()),
        ("cut in half", |file| {
            let bytes = fs::read(file).unwrap();
            fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("cut within the header", |file| {
            let bytes = fs::read(file).unwrap();
            fs::write(file, &bytes[..50]).unwrap();
        }),
        ("without its log", |file| {
            for suffix in ["-wal", "-shm"] {
                let _ = fs::remove_file(files::beside(file, suffix));
            }
        }),
        ("with garbage for a log", |file| fs::write(files::beside(file, "-wal"), [7; 9000]).unwrap()),
    ];
    for (name, surgery) in surgeries {
        for fold in [false, true] {
            let spool = busy().await;
            let (dir, journal) = if fold {
                folded(spool).await
            } else {
                let Spool { dir, journal, store, .. } = spool;
                drop(store);
                (dir, journal)
            };
            surgery(&files::state(dir.path()));
            let mut spool = Spool::open(dir, journal).await;
            spool.configure(&["archive", "pager"]);
            spool.read_all().await;
            for destination in ["archive", "pager"] {
                // Whatever was lost is either known or comes again.
                let sum = spool.sum(destination);
                assert_eq!(sum[0], 40, "{name}, folded {fold}: {sum:?}");
            }
        }
    }
}

#[tokio::test]
async fn large_file_is_checked_once_damage_was_met() {
    let mut spool = Spool::new(&["archive"]).await;
    (0..9).for_each(|_| _ = spool.journal.push(true));
    let id = spool.ledgers.find("archive").unwrap().id();
    for seq in 1..=9 {
        let large = Record { bytes: vec![7; 8 << 20].into(), received_at_ms: 0 };
        // The ledgers bound a room's bytes; this file is as large as those of many destinations.
        let ledger = spool.ledgers.get_mut(id).unwrap();
        ledger.limits.bytes = u64::MAX;
        assert_eq!(ledger.postpone_fresh(seq, large, &postponed(1)), Ok(true));
    }
    spool.commit().await;
    let at = (spool.root("record").await - 1) * PAGE;
    let (dir, journal) = folded(spool).await;
    let file = files::state(dir.path());
    let mut bytes = fs::read(&file).unwrap();
    bytes[at..at + 8].fill(0xff);
    fs::write(&file, bytes).unwrap();

    let spool = Spool::open(dir, journal).await;
    assert_eq!(spool.set_aside, None);
    assert!(spool.bytes(id, 1).await.unwrap_err().is_damage());
    let spool = spool.reopen().await;
    assert!(spool.set_aside.is_some());
    assert_eq!(spool.sum("archive"), [9, 0, 0, 0, 9, 0]);
    let spool = spool.reopen().await;
    assert_eq!(spool.set_aside, None);
}

#[tokio::test]
async fn bit_that_flips_in_what_the_file_says_of_its_tables_costs_nothing() {
    let (dir, journal) = folded(busy().await).await;
    let whole = fs::read(files::state(dir.path())).unwrap();
    let texts = schema::TABLES.iter().flat_map(|(_, table)| {
        let at = whole.windows(table.len()).position(|window| window == table.as_bytes()).unwrap();
        at..at + table.len()
    });
    let step = usize::try_from(scaled(31, 1)).unwrap();
    // A letter becomes another one, or none of any text.
    for (at, bit) in texts.step_by(step).flat_map(|at| [(at, 0x01), (at, 0x80)]) {
        let dir = TempDir::new().unwrap();
        let mut bytes = whole.clone();
        bytes[at] ^= bit;
        fs::write(files::state(dir.path()), bytes).unwrap();
        let mut spool = Spool::open(dir, journal.clone()).await;
        assert_eq!(spool.repairs, Repairs::default(), "byte {at}, bit {bit}");
        spool.read_all().await;
        let sums = (spool.sum("archive"), spool.sum("pager"));
        assert_eq!(sums, ([40, 10, 10, 1, 2, 17], [40, 10, 10, 1, 2, 17]), "byte {at}, bit {bit}");
    }
}

#[tokio::test]
async fn file_whose_tables_begin_elsewhere_is_salvaged_as_well() {
    let spool = busy().await;
    spool.store.execute("PRAGMA auto_vacuum = FULL; VACUUM").await;
    assert_ne!(spool.root("meta").await, 2);
    let (dir, journal) = folded(spool).await;
    damage(&dir, b"accepted_at_creation");
    let mut spool = Spool::open(dir, journal).await;
    assert!(spool.set_aside.is_some());
    spool.read_all().await;
    assert_eq!((&spool.repairs, spool.sum("archive")), (&Repairs::default(), [40, 10, 10, 1, 2, 17]));
}

#[tokio::test]
async fn file_set_aside_for_its_tables_stays_as_it_was_found() {
    let (dir, journal) = folded(busy().await).await;
    damage(&dir, b"accepted_at_creation");
    let found = fs::read(files::state(dir.path())).unwrap();
    let spool = Spool::open(dir, journal).await;
    assert_eq!(fs::read(spool.set_aside.unwrap()).unwrap(), found);
}
