//! Decoders of texts from outside, with malformed texts: none panics, and none uses more memory than a fixed multiple
//! of its text. `PROPTEST_CASES` sets the number of cases.

use std::cell::Cell;

use allocation_counter::measure;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use visnyk_crds::manifest;
use visnyk_engine::event::{Attributes, Envelope, Event};

use super::Provider;
use super::testing::{Case, Message, cases};
use crate::body_kind;

/// Memory that does not depend on the size: errors, and a decoder's own tables.
const FIXED: u64 = 64 << 10;
/// Memory of a JSON object of very short fields as a table while that grows, and some room.
const OF_A_BODY: Allowed = Allowed { fixed: FIXED, times: 24 };
/// A manifest is its owner's, and is read into a tree of values, each with a place for its mistakes.
const MANIFEST_TIMES: u64 = 200;
/// Memory of a tree of values by itself, whatever the text; roughly counted.
const TREE: u64 = 32 << 20;
/// Length of text at which a decoder that takes too much shows it.
const LONGEST: usize = 256 << 10;

#[derive(Clone, Debug)]
enum Harm {
    Overwrite(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Repeat(Index, Index, usize),
}

impl Harm {
    fn done_to(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        let place = |index: &Index| index.index(bytes.len() + 1);
        match self {
            Self::Overwrite(at, byte) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Self::Overwrite(..) => {}
            Self::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
            Self::Insert(at, more) => {
                let at = place(at);
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Repeat(from, to, times) => {
                let (from, to) = (place(from).min(place(to)), place(from).max(place(to)));
                let more = bytes[from..to].repeat(*times);
                bytes.splice(to..to, more);
            }
        }
        bytes.truncate(LONGEST);
        bytes
    }
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Harm::Overwrite(at, byte)),
        any::<Index>().prop_map(Harm::Cut),
        (any::<Index>(), any::<Vec<u8>>()).prop_map(|(at, more)| Harm::Insert(at, more)),
        (any::<Index>(), any::<Index>(), 1..200_usize).prop_map(|(from, to, n)| Harm::Repeat(from, to, n)),
    ]
}

/// Generates one of these texts with up to three changes, or any bytes.
fn harmed(sound: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let start = prop_oneof![4 => select(sound), 1 => any::<Vec<u8>>()];
    (start, prop::collection::vec(harm(), 0..=3))
        .prop_map(|(start, harms)| harms.iter().fold(start, |bytes, harm| harm.done_to(bytes)))
}

/// Returns texts with many short items that take much memory, of so many fields that a table has just doubled.
fn giants() -> Vec<Vec<u8>> {
    let of = |begin: &str, part: &str| [begin, &part.repeat((LONGEST - begin.len()) / part.len())].concat();
    let fields: Vec<String> = (0..28_673).map(|field| format!("\"{field:x}\":0")).collect();
    let deep = ["[".repeat(LONGEST), "]".repeat(LONGEST)].concat();
    [
        of("[0", ",0"),
        of("[{}", ",{}"),
        of("", "["),
        of("", "{\"a\":"),
        of("", "a&"),
        of("", "=&"),
        of("", "%41"),
        of("t=1", ",v1=0"),
        format!("{{{}}}", fields.join(",")),
        deep,
    ]
    .map(String::into_bytes)
    .into_iter()
    .chain([[&b"\x1f\x8b\x08\0\0\0\0\0\0\xff"[..], &vec![0; LONGEST - 10]].concat()])
    .collect()
}

/// Memory that a decoder may take at once.
#[derive(Clone, Copy)]
struct Allowed {
    fixed: u64,
    times: u64,
}

/// Runs a decoder over many texts, and checks the memory that it used.
fn is_frugal(name: &str, allowed: Allowed, sound: Vec<Vec<u8>>, giants: &[Vec<u8>], decode: impl Fn(&[u8])) {
    let (inputs, worst) = (Cell::new(0_u64), Cell::new(0));
    let feed = |bytes: &[u8]| {
        let taken = measure(|| decode(bytes)).bytes_max;
        inputs.set(inputs.get() + 1);
        worst.set(worst.get().max(taken));
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        let most = allowed.fixed + allowed.times * bytes.len() as u64;
        prop_assert!(taken <= most, "{name}: {taken} bytes for {} like {start:?}", bytes.len());
        Ok(())
    };
    for giant in giants {
        feed(giant).unwrap();
    }
    let config = Config { failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&harmed(sound), |bytes| feed(&bytes));
    result.unwrap_or_else(|error| panic!("{name}: {error}"));
    println!("{name}: {} inputs, 0 panics, at most {} KiB at once", inputs.get(), worst.get() >> 10);
}

#[test]
fn records_of_events() {
    let event = |headers: Vec<(String, Vec<u8>)>| Event {
        envelope: Envelope {
            id: uuid::Uuid::from_u128(7),
            received_at_ms: 1_694_366_671_123,
            steady_ms: 1,
            source: "network".into(),
            target: "/?a=1".into(),
            headers,
            attributes: Box::new(Attributes { kind: Some("push".into()), ..Attributes::default() }),
        },
        body: "{}".into(),
    };
    let header = ("content-type".to_owned(), b"text/plain".to_vec());
    let mut giant = event(vec![(String::new(), Vec::new()); LONGEST / 2]).encode().to_vec();
    let sound = vec![event(vec![]).encode().to_vec(), event(vec![header; 3]).encode().to_vec()];
    let cut = giant.split_off(giant.len() / 2);
    let giants = [event(vec![(String::new(), Vec::new()); 100_000]).encode().to_vec(), giant, cut];
    // A header's place is 48 bytes, and twice that while the list grows; its record may be two.
    is_frugal("event records", Allowed { fixed: FIXED, times: 100 }, sound, &giants, |bytes| {
        let _ = Event::decode(&bytes.to_vec().into());
    });
}

#[test]
fn manifests() {
    let sound = vec![include_bytes!("../../../examples/quickstart.yaml").to_vec()];
    // Nine levels of nine aliases would be a third of a billion values.
    let levels = (1..9)
        .map(|level| format!("l{level}: &l{level} [{}]\n", vec![format!("*l{}", level - 1); 9].join(",")));
    let laughs = format!("l0: &l0 [a,a,a,a,a,a,a,a,a]\n{}", levels.collect::<String>());
    let giants = [laughs.into_bytes(), b"[".repeat(10_000), b"a: {".repeat(2_000)];
    is_frugal("manifests", Allowed { fixed: TREE, times: MANIFEST_TIMES }, sound, &giants, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let _ = manifest::load_relay(&text, None);
        let _ = manifest::load_collector(&text, None);
    });
}

#[test]
fn media_types_and_bodies() {
    let types = ["application/json", "application/x-www-form-urlencoded", "text/xml", "", "a/b; c=\"d"];
    let bodies = ["{\"a\": [1, \"\\u0041\"]}", "a=b&c=%20", "<a/>", "[[[[]]]]"];
    let sound: Vec<_> = types.iter().chain(&bodies).map(|text| text.as_bytes().to_vec()).collect();
    is_frugal("media types and bodies", OF_A_BODY, sound, &giants(), |bytes| {
        let media_type = String::from_utf8_lossy(bytes);
        let _ = body_kind::check(Some(&media_type), bytes);
        for media_type in types {
            let _ = body_kind::check(Some(media_type), bytes);
        }
    });
}

const MEDIA_TYPES: [&str; 3] = [
    "application/x-www-form-urlencoded",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
];
const STRUCTURED: &str = "{\"specversion\": \"1.0\", \"type\": \"a\", \"id\": \"1\", \"source\": \"/a\", \"time\": \"2026-01-01T00:00:00Z\"}";

/// Lets a provider verify and describe a request that a listener would accept.
fn read(case: &Case, provider: &dyn Provider, message: &Message) {
    message.judged_at(case.now * 1000, |request| {
        let _ = (provider.greet(request), provider.verify(request), provider.describe(request));
    });
}

#[test]
fn bodies_of_every_provider() {
    for case in cases() {
        let provider = case.provider();
        let sound = vec![case.message.body.clone(), STRUCTURED.into()];
        is_frugal(&format!("bodies, {}", case.name), OF_A_BODY, sound, &giants(), |bytes| {
            let mut message = Message { body: bytes.to_vec(), ..case.message.clone() };
            read(&case, &*provider, &message);
            for media_type in MEDIA_TYPES {
                message.headers.retain(|(name, _)| name != "content-type");
                message.headers.push(("content-type".into(), media_type.into()));
                read(&case, &*provider, &message);
            }
        });
    }
}

#[test]
fn headers_and_queries_of_every_provider() {
    // What a listener takes in headers.
    let giants: Vec<_> = giants().into_iter().map(|giant| giant[..32 << 10].to_vec()).collect();
    for case in cases() {
        let provider = case.provider();
        let mut sound: Vec<_> = case.proof.iter().map(|name| case.message.header(name).to_vec()).collect();
        sound.push(b"2026-01-01T00:00:00Z".to_vec());
        is_frugal(&format!("headers, {}", case.name), OF_A_BODY, sound, &giants, |bytes| {
            for name in case.proof {
                read(&case, &*provider, &case.message.with(name, bytes));
            }
            let mut message = case.message.clone();
            message.target = format!("/?{}", String::from_utf8_lossy(bytes));
            read(&case, &*provider, &message);
            for name in ["ce-specversion", "ce-type", "ce-id", "ce-source", "ce-time"] {
                let value = if name == "ce-specversion" { &b"1.0"[..] } else { bytes };
                message.headers.push((name.into(), value.into()));
            }
            read(&case, &*provider, &message);
        });
    }
}
