//! The formats of every version of Visnyk: a folder each in `fixtures/spool`, which this version must open and find
//! whole. When this version writes something new, `UPDATE_EXPECT=1` with a new [`NAME`] keeps a folder of it.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tempfile::TempDir;
use uuid::Uuid;
use visnyk_crds::valid::{Deduplicate, SpoolKind};
use visnyk_runtime::observe::watchdog::{BOUND, Watchdog};

use super::{Appended, Spool};
use crate::event::{Attributes, Envelope, Event, Head};
use crate::journal::Entry;
use crate::state::{Death, DestinationStatus, Ending, EventAt, Lifecycle, Pause, Postponed, Record, Wanted};
use crate::triage::decisions::{Addressee, Decided, Decision, Segments, Tables, Verdict};

/// The folder of what the present version writes: record 3, segment 1, state 2, decision file 1. Its first two
/// records are as the two versions before wrote them.
const NAME: &str = "record-3-segment-1-state-2-decision-1";
const EVENTS: u64 = 10;
const DEDUPLICATE: Deduplicate = Deduplicate { window: Duration::MAX, id: None };
const WAIT: Pause = Pause { until_ms: 4_000_000_000_000, for_ms: 3_600_000 };

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/spool")
}

#[derive(Serialize)]
struct EnvelopeV1<'a> {
    id: Uuid,
    received_at_ms: i64,
    source: &'a str,
    target: &'a str,
    headers: &'a [(String, Vec<u8>)],
}

#[derive(Serialize)]
struct EnvelopeV2<'a> {
    first: EnvelopeV1<'a>,
    kind: &'a Option<String>,
    id: &'a Option<String>,
    origin: &'a Option<String>,
    time_ms: Option<i64>,
}

fn received_at_ms(number: u64) -> i64 {
    1_764_000_000_000 + number.cast_signed()
}

/// Returns a record; the first is as version 1 wrote it, the second as version 2 did.
fn record(number: u64) -> Bytes {
    let Event { envelope, body } = event(number);
    let said = &envelope.attributes;
    let first = EnvelopeV1 {
        id: envelope.id,
        received_at_ms: envelope.received_at_ms,
        source: &envelope.source,
        target: &envelope.target,
        headers: &envelope.headers,
    };
    let (version, envelope) = match number {
        1 => (1, postcard::to_stdvec(&first)),
        2 => {
            let (kind, id, origin) = (&said.kind, &said.id, &said.origin);
            let envelope = EnvelopeV2 { first, kind, id, origin, time_ms: said.time_ms };
            (2, postcard::to_stdvec(&envelope))
        }
        _ => return event(number).encode(),
    };
    let envelope = envelope.unwrap();
    let length = u32::try_from(envelope.len()).unwrap().to_le_bytes();
    [&[version][..], &length, &envelope, &body].concat().into()
}

fn event(number: u64) -> Event {
    let attributes = Attributes {
        kind: Some("push".into()),
        id: Some(number.to_string()),
        origin: Some("/repository".into()),
        time_ms: Some(-1),
    };
    let envelope = Envelope {
        id: Uuid::from_u128(number.into()),
        received_at_ms: received_at_ms(number),
        steady_ms: if number > 2 { number * 1_000 } else { 0 },
        source: "network".into(),
        target: "/?a=1".into(),
        headers: vec![("content-type".into(), b"application/json".to_vec())],
        attributes: Box::new(if number > 1 { attributes } else { Attributes::default() }),
    };
    Event { envelope, body: format!("event {number}").into() }
}

/// Returns the event that a record holds. Before version 3 there was no steady time.
fn expected(number: u64, record: &[u8]) -> Event {
    let mut event = event(number);
    if record[0] < 3 {
        event.envelope.steady_ms = 0;
    } else if number == EVENTS {
        // The one that went through the spool, which gave it a time.
        event.envelope.steady_ms = Head::read(record).unwrap().steady_ms;
    }
    event
}

async fn open(folder: &Path) -> Spool {
    let kind = SpoolKind::Ephemeral { size: Some(64 << 20) };
    Spool::open(folder, kind, 64 << 10, Watchdog::new().register("journal writer", BOUND)).await.unwrap()
}

/// Makes three destinations, one of them disabled and one removed, with events in every term.
async fn make(folder: &Path) {
    let spool = open(folder).await;
    let wanted = |names: &[&str]| -> Vec<Wanted> {
        names.iter().map(|name| Wanted { name: (*name).into(), fingerprint: format!("to {name}") }).collect()
    };
    let journal = spool.parts.journal.clone();
    let all = wanted(&["archive", "pager", "tickets"]);
    let ids = spool.committer.configure(all, 5, journal.clone()).await.unwrap().ids;
    for number in 1..EVENTS {
        assert_eq!(journal.append(record(number)).await, Ok(number));
    }
    let last = spool.append(&event(EVENTS).as_new(), Some(&DEDUPLICATE)).await;
    assert_eq!(last, Ok(Appended::New(EVENTS)));
    {
        let mut ledgers = spool.ledgers();
        let held = |number| Record { bytes: record(number), received_at_ms: received_at_ms(number) };
        let archive = ledgers.get_mut(ids[0]).unwrap();
        for seq in [1, 2, 3, 7] {
            assert!(archive.finish_fresh(seq, Ending::Delivered));
        }
        archive.postpone_fresh(4, held(4), &postponed()).unwrap();
        archive.dead_letter_fresh(5, held(5), &death()).unwrap();
        let pager = ledgers.get_mut(ids[1]).unwrap();
        assert!(pager.finish_fresh(1, Ending::Dropped));
        assert_eq!(pager.damaged(2, 2), 1);
        assert!(pager.finish_fresh(3, Ending::Filtered));
        pager.set_pause(Some(WAIT));
        pager.disable();
    }
    let decided: Vec<_> = (1..=EVENTS).map(|seq| (seq, decision(seq))).collect();
    let segment = Segments::owner(&journal, 1).unwrap();
    spool.parts.decisions.record(&segment, &tables(), &decided).unwrap();
    spool.committer.configure(wanted(&["archive", "pager"]), 7, journal).await.unwrap();
    spool.commit_now().await.unwrap();
    spool.close().await;
}

fn tables() -> Arc<Tables> {
    let when = Some("priority == 'Critical'".to_owned());
    let pager = Addressee { name: "pager".into(), when, dead_letters_errors: true };
    Arc::new(Tables { destinations: vec![pager], rules: vec!["calm".into()] })
}

fn decision(seq: u64) -> Decision {
    let verdict = if seq == 1 { Verdict::Dropped(0) } else { Verdict::Decided };
    Decision { verdict, lane: 3, key: seq, dead: 0, selected: seq % 2 }
}

fn postponed() -> Postponed {
    Postponed { attempts: 2, due_at_ms: WAIT.until_ms, delay_ms: 60_000, last_error: "answered 500".into() }
}

fn death() -> Death {
    Death { attempts: 10, died_at_ms: WAIT.until_ms, reason: "answered 400".into() }
}

async fn assert_whole(folder: &Path) {
    let spool = open(folder).await;
    assert_eq!((spool.recovery().torn_tail, spool.state_lost(), spool.set_aside()), (0, false, None));
    let has_decisions = !spool.parts.decisions.is_empty();
    if has_decisions {
        let segment = Segments::owner(&spool.parts.journal, 1).unwrap();
        let recorded = spool.parts.decisions.recorded(&segment, 1, EVENTS, false).unwrap();
        let expected = (1..=EVENTS).map(|seq| Some(Decided::Decision(decision(seq), tables())));
        assert_eq!(recorded, expected.collect::<Vec<_>>());
    }
    let mut reader = spool.parts.journal.reader(0);
    let steady_ms = spool.steady_clock().now_ms();
    for number in 1..=EVENTS {
        let Some(Entry::Record { seq, bytes }) = reader.next().unwrap() else { panic!("no event {number}") };
        assert_eq!((seq, Event::decode(&bytes).unwrap()), (number, expected(number, &bytes)));
        let head = Head::read(&bytes).unwrap();
        let of_head = (head.id.as_u128(), head.received_at_ms, head.source);
        assert_eq!(of_head, (number.into(), received_at_ms(number), "network"));
        assert!(steady_ms > head.steady_ms, "{steady_ms} is not after {}", head.steady_ms);
    }
    let of = |name| {
        let statuses = spool.snapshot().destinations;
        let status = statuses.into_iter().find(|status| status.name == name).unwrap();
        assert!(status.adds_up() && status.accepted == EVENTS, "{status:?}");
        let DestinationStatus { delivered, dead_lettered, dropped, filtered, damaged, pending, .. } = status;
        ([delivered, dead_lettered, dropped, filtered, damaged, pending], status.lifecycle)
    };
    assert_eq!(of("archive"), ([4, 1, 0, 0, 0, 5], Lifecycle::Active));
    let filtered = u64::from(has_decisions);
    assert_eq!(of("pager"), ([0, 0, 1, filtered, 1, 8 - filtered], Lifecycle::Disabled));
    assert_eq!(of("tickets"), ([0, 0, 0, 0, 0, 10], Lifecycle::Removed { at_ms: 7 }));
    let (held, paused) = {
        let ledgers = spool.ledgers();
        let archive = ledgers.find("archive").unwrap();
        assert_eq!(archive.waiting_event(4).unwrap().postponed, postponed());
        assert_eq!(archive.dead_letters().next().unwrap().death, death());
        assert_eq!((archive.read_from(), archive.needs(6), archive.needs(7)), (5, true, false));
        ([4, 5].map(|seq| (seq, archive.event(seq).unwrap())), ledgers.find("pager").unwrap().pause())
    };
    assert_eq!(paused, Some(WAIT));
    for (number, at) in held {
        let EventAt::Stored(at) = at else { panic!("{number} is not stored") };
        let bytes = spool.parts.events.read(at).await.unwrap();
        assert_eq!(Event::decode(&bytes).unwrap(), expected(number, &bytes));
    }
    spool.recall(&HashMap::from([("network".into(), Duration::MAX)])).unwrap();
    let again = Event { body: "again".into(), ..event(EVENTS) };
    let repeat = Ok(Appended::Repeat(Uuid::from_u128(EVENTS.into())));
    assert_eq!(spool.append(&again.as_new(), Some(&DEDUPLICATE)).await, repeat);
    spool.close().await;
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, to) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).unwrap();
        if path.is_dir() { copy(&path, &to) } else { _ = fs::copy(&path, &to).unwrap() }
    }
}

/// Segments are mostly zeroes: what is kept of them ends with the page of their last frame.
fn trim(folder: &Path) {
    for entry in fs::read_dir(folder.join("journal")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0);
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len((end as u64 + 1).next_multiple_of(4096)).unwrap();
    }
}

#[tokio::test]
async fn whatever_any_version_has_written_is_read() {
    let made = TempDir::new().unwrap();
    make(made.path()).await;
    let kept = fixtures().join(NAME);
    if std::env::var_os("UPDATE_EXPECT").is_some() && !kept.exists() {
        copy(made.path(), &kept);
        trim(&kept);
        _ = fs::remove_file(kept.join("state.db-shm"));
    }
    assert_whole(made.path()).await;
    let versions: Vec<_> = fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(
        versions.contains(&kept),
        "UPDATE_EXPECT=1 cargo test -p visnyk-engine --lib formats keeps {NAME}"
    );
    for version in versions {
        let folder = TempDir::new().unwrap();
        copy(&version, folder.path());
        assert_whole(folder.path()).await;
    }
}
