//! Requests that two servers read differently: none becomes two, whatever stands before the relay.

use std::time::{Duration, Instant};

use visnyk_tests::{
    http2::{END_HEADERS, END_STREAM, Kind, POST, PREFACE, field, frame},
    proof::{report, test_effort},
    wire::{Protocol, Wire},
};

use super::Siege;

/// Request that a server would see if it read the request around it differently.
const INNER: &str = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 15\r\n\r\n{\"smuggled\": 1}";

/// Heads of requests, without the first line and host, that give an ambiguous length or hide a header.
const HEADS: &[&str] = &[
    // Length and chunks, in either order.
    "content-length: 5\r\ntransfer-encoding: chunked\r\n",
    "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
    // Chunks that one server sees and another does not.
    "transfer-encoding: xchunked\r\n",
    "transfer-encoding: chunked, identity\r\n",
    "transfer-encoding: identity\r\ncontent-length: 5\r\n",
    "transfer-encoding : chunked\r\n",
    "transfer-encoding\t: chunked\r\n",
    " transfer-encoding: chunked\r\n",
    "x: y\r\n transfer-encoding: chunked\r\n",
    "transfer-encoding:\r\n chunked\r\n",
    "transfer-encoding: \"chunked\"\r\n",
    "transfer-encoding: chunked\0\r\n",
    "transfer-encoding: chunk\r\n",
    "transfer-encoding: gzip, chunked, gzip\r\n",
    "x: y\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n",
    "x: y\rtransfer-encoding: chunked\r\ncontent-length: 5\r\n",
    // Lengths that are none, or several.
    "content-length: 5\r\ncontent-length: 6\r\n",
    "content-length: 5, 6\r\n",
    "content-length: +5\r\n",
    "content-length: -5\r\n",
    "content-length: 0x5\r\n",
    "content-length: 5 5\r\n",
    "content-length: 5;\r\n",
    "content-length: 5\0\r\n",
    "content-length:\r\n 5\r\n",
    "content-length : 5\r\n",
    "content-length: 18446744073709551621\r\n",
    "content-length: 99999999999999999999999999\r\n",
    // Names that are none.
    "content length: 5\r\n",
    ": 5\r\n",
    "\0content-length: 5\r\n",
];

/// Bodies in chunks that are none; the head says chunked.
const CHUNKS: &[&str] = &[
    "-5\r\n12345\r\n0\r\n\r\n",
    "0x5\r\n12345\r\n0\r\n\r\n",
    "5\n12345\r\n0\r\n\r\n",
    "5 5\r\n12345\r\n0\r\n\r\n",
    "+5\r\n12345\r\n0\r\n\r\n",
    "10000000000000005\r\n12345\r\n0\r\n\r\n",
    "5\r\n12345X\r\n0\r\n\r\n",
    "g\r\n12345\r\n0\r\n\r\n",
];

async fn say(wire: &Wire, said: &str) -> String {
    let answer = wire.exchange(Protocol::Http1, said.as_bytes()).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_read_as_two() {
    let mut siege = Siege::new().await;
    let wire = siege.wire();
    let whole: Vec<String> = HEADS
        .iter()
        .map(|head| format!("POST / HTTP/1.1\r\nhost: a\r\n{head}\r\n0\r\n\r\n{INNER}"))
        .chain(CHUNKS.iter().map(|chunks| {
            format!("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{chunks}{INNER}")
        }))
        .collect();
    let downgraded = downgraded();
    let until = Instant::now() + Duration::from_secs(test_effort(2, 60));
    let smuggle = async {
        let mut rounds = 0;
        while rounds == 0 || Instant::now() < until {
            for said in &whole {
                is_refused(&wire, said).await;
            }
            for said in &downgraded {
                wire.exchange(Protocol::Http2, said).await.unwrap();
            }
            rounds += 1;
        }
        rounds
    };
    let (beside, rounds) = siege.honest.send_beside(smuggle).await;
    // The words of an honest request are read as what they are.
    let answer = say(&wire, &INNER.replacen("\r\n", "\r\nconnection: close\r\n", 1)).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let status = siege.relay.probes.status().await;
    assert_eq!(beside.failures, Vec::<String>::new());
    assert_eq!(status["accepted"], siege.honest.sent() + 1, "none was accepted but those");
    siege.judges("request smuggling", &beside, siege.relay.process.peak_memory());
    report(
        "request smuggling",
        &format!(
            "{rounds} times {} requests over HTTP/1 and {} over HTTP/2, 0 accepted, none read as two",
            whole.len(),
            downgraded.len()
        ),
    );
}

/// Asserts that nothing of it is read as a request: it is refused, or the connection is closed.
async fn is_refused(wire: &Wire, said: &str) {
    let answer = say(wire, said).await;
    let answers = answer.matches("HTTP/1.1 ").count();
    assert!(answers <= 1, "{said:?} was read as {answers} requests: {answer}");
    match answer.get(9..12) {
        None | Some("400" | "413" | "431") => {}
        Some(other) => panic!("{said:?} was answered {other}: {answer}"),
    }
}

/// Returns requests that a server which speaks HTTP/1 to the next one would pass on as two.
fn downgraded() -> Vec<Vec<u8>> {
    let request = |more: &[u8], body: &[u8]| {
        let headers = frame(Kind::Headers, END_HEADERS, 1, &[POST, more].concat());
        // Waiting for an answer, it would wait for long: it says goodbye at once.
        let go_away = [&[0, 0, 8, 7, 0, 0, 0, 0, 0][..], &[0; 8]].concat();
        [PREFACE, &headers, &frame(Kind::Data, END_STREAM, 1, body), &go_away].concat()
    };
    [
        (field("content-length", "3"), &b"{\"smuggled\": 1}"[..]),
        (field("content-length", "30"), b"{\"smuggled\": 1}"),
        (field("transfer-encoding", "chunked"), b"0\r\n\r\n{}"),
        (field("connection", "transfer-encoding"), b"{}"),
        (field("x", "y\r\ntransfer-encoding: chunked"), b"{}"),
        (field("x: y\r\nz", "1"), b"{}"),
        (field("X-Big", "1"), b"{}"),
        (field(":path", "/ HTTP/1.1\r\nhost: b"), b"{}"),
    ]
    .into_iter()
    .map(|(more, body)| request(&more, body))
    .collect()
}
