use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::*;

fn arrival(id: &str, body: &'static str, at: Instant) -> Arrival {
    Arrival {
        id: Some(id.into()),
        headers: HeaderMap::new(),
        body: Bytes::from_static(body.as_bytes()),
        at,
        status: Some(StatusCode::OK),
    }
}

fn taken(arrivals: &[Arrival]) -> BTreeMap<String, Vec<Arrival>> {
    let mut taken = BTreeMap::<_, Vec<_>>::new();
    for arrival in arrivals {
        taken.entry(arrival.id.clone().unwrap()).or_default().push(arrival.clone());
    }
    taken
}

fn sent(accepted: &[(&str, &'static str)], unknown: &[&'static str], refused: &[&'static str]) -> Ledger {
    let body = |body: &&'static str| Bytes::from_static(body.as_bytes());
    Ledger {
        accepted: accepted.iter().map(|(id, text)| ((*id).into(), body(text))).collect(),
        unknown: unknown.iter().map(body).collect(),
        refused: refused.iter().map(body).collect(),
    }
}

#[test]
fn delivered_events_keep_every_promise() {
    let now = Instant::now();
    let ledger = sent(&[("a", "1"), ("b", "2")], &["3"], &["4"]);
    let all = taken(&[arrival("a", "1", now), arrival("b", "2", now), arrival("c", "3", now)]);
    assert_eq!(broken_promises(&ledger, &all, &[]), Vec::<String>::new());
}

#[test]
fn lost_changed_and_made_up_events_are_found() {
    let now = Instant::now();
    let ledger = sent(&[("a", "1"), ("b", "2")], &["3"], &["4"]);
    let wrong = taken(&[arrival("b", "x", now), arrival("c", "4", now), arrival("d", "5", now)]);
    let expected =
        ["a was lost", "b was changed to b\"x\"", "c was not accepted: b\"4\"", "d was not accepted: b\"5\""];
    assert_eq!(broken_promises(&ledger, &wrong, &[]), expected);
}

#[test]
fn repeats_are_excused_only_by_a_kill_soon_after_the_first_time() {
    let began = Instant::now();
    let at = |seconds: u64| began + Duration::from_secs(seconds);
    let ledger = sent(&[("a", "1")], &[], &[]);
    let twice = taken(&[arrival("a", "1", at(10)), arrival("a", "1", at(20))]);
    for (kills, excused) in [
        (vec![], false),
        (vec![at(11)], true),
        (vec![at(9)], false),
        (vec![at(15)], false),
        (vec![at(21)], false),
        (vec![at(9), at(12)], true),
    ] {
        assert_eq!(broken_promises(&ledger, &twice, &kills).is_empty(), excused, "{kills:?}");
    }
}

#[test]
fn status_adds_up_only_if_each_event_is_in_one_term() {
    let status = |pending: u64| {
        let destination = json!({"name": "sink", "accepted": 22, "delivered": 5, "deadLettered": 4,
            "dropped": 3, "filtered": 7, "damaged": 2, "pending": pending});
        json!({"destinations": [destination]})
    };
    assert_adds_up(&status(1));
    for pending in [0, 2] {
        let judged = std::panic::catch_unwind(|| assert_adds_up(&status(pending)));
        assert!(judged.is_err(), "{pending}");
    }
}
