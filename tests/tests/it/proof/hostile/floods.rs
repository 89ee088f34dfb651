//! Clients that send much, over HTTP/2 or in one request.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, sink},
    task::JoinSet,
    time::sleep,
};
use visnyk_tests::{
    http2::{END_HEADERS, END_STREAM, Kind, POST, PREFACE, field, frame},
    wire::{Protocol, Wire},
};

use super::{ATTACKERS, Attack, Blows, Shown, Siege};

/// Connections that attack at once, each begun anew when it was cut.
const CONNECTIONS: usize = 8;
/// The same where each request is accepted, and is then to be delivered.
const ACCEPTED: usize = 2;
/// Frames that are sent together.
const TOGETHER: u32 = 500;
/// Fewer than this are no flood: frames, requests that were answered, chunks.
const FRAMES: u64 = 1_000;
const REQUESTS: u64 = 3;
const CHUNKS: u64 = 300;

/// Does the same over and over, so many at once, and counts what is sent: this at least, or it is no attack.
fn over_and_over<Once>(
    connections: usize,
    least: u64,
    once: impl Fn(Blows) -> Once + Clone + Send + 'static,
) -> Attack
where
    Once: Future<Output = ()> + Send,
{
    let blows = Blows::default();
    let counted = blows.clone();
    let task = ATTACKERS.spawn(async move {
        let mut attackers = JoinSet::new();
        for _ in 0..connections {
            let (once, blows) = (once.clone(), counted.clone());
            attackers.spawn(async move {
                loop {
                    once(blows.clone()).await;
                    // It may have been refused at once.
                    sleep(Duration::from_millis(20)).await;
                }
            });
        }
        attackers.join_all().await;
    });
    Attack { task, blows, least: Shown::Sent(least) }
}

/// Sends a preface, then this, which is told how often it was sent before, until the other side has had enough; and
/// again from the beginning.
fn http2(wire: &Wire, more: fn(u32) -> Vec<u8>) -> Attack {
    let wire = wire.clone();
    over_and_over(CONNECTIONS, FRAMES, move |blows| flood_once(wire.clone(), more, blows))
}

async fn flood_once(wire: Wire, more: fn(u32) -> Vec<u8>, blows: Blows) {
    let Ok(stream) = wire.tls(Protocol::Http2).await else { return };
    let (mut reading, mut writing) = tokio::io::split(stream);
    let write = async {
        writing.write_all(PREFACE).await?;
        for round in 0.. {
            writing.write_all(&more(round)).await?;
            writing.flush().await?;
            blows.count(TOGETHER.into());
        }
        Ok::<_, std::io::Error>(())
    };
    let mut nowhere = sink();
    tokio::select! {
        _ = write => {}
        _ = copy(&mut reading, &mut nowhere) => {}
    }
}

fn together(round: u32, frames: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    (round * TOGETHER..(round + 1) * TOGETHER).flat_map(frames).collect()
}

fn rapid_reset(round: u32) -> Vec<u8> {
    let cancel = 8u32.to_be_bytes();
    together(round, |number| {
        let stream = number * 2 + 1;
        let headers = frame(Kind::Headers, END_HEADERS, stream, POST);
        [headers, frame(Kind::ResetStream, 0, stream, &cancel)].concat()
    })
}

fn continuation(round: u32) -> Vec<u8> {
    // HEADERS that never end.
    let field = field("x-flood", &"f".repeat(100));
    let first = if round == 0 { frame(Kind::Headers, END_STREAM, 1, POST) } else { Vec::new() };
    [first, together(round, |_| frame(Kind::Continuation, 0, 1, &field))].concat()
}

fn settings(round: u32) -> Vec<u8> {
    // INITIAL_WINDOW_SIZE, another one each time.
    together(round, |number| {
        frame(Kind::Settings, 0, 0, &[&[0, 4][..], &(number % 60_000 + 1).to_be_bytes()].concat())
    })
}

fn ping(round: u32) -> Vec<u8> {
    together(round, |number| frame(Kind::Ping, 0, 0, &u64::from(number).to_be_bytes()))
}

fn empty_data(round: u32) -> Vec<u8> {
    let first = if round == 0 { frame(Kind::Headers, END_HEADERS, 1, POST) } else { Vec::new() };
    [first, together(round, |_| frame(Kind::Data, 0, 1, &[]))].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn rapid_reset_is_not_noticed() {
    let siege = Siege::new().await;
    let wire = siege.wire();
    siege.withstands("rapid reset", async || http2(&wire, rapid_reset)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn continuation_flood_is_not_noticed() {
    let siege = Siege::new().await;
    let wire = siege.wire();
    siege.withstands("a CONTINUATION flood", async || http2(&wire, continuation)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_flood_is_not_noticed() {
    let siege = Siege::new().await;
    let wire = siege.wire();
    siege.withstands("a SETTINGS flood", async || http2(&wire, settings)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ping_flood_is_not_noticed() {
    let siege = Siege::new().await;
    let wire = siege.wire();
    siege.withstands("a PING flood", async || http2(&wire, ping)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flood_of_empty_data_is_not_noticed() {
    let siege = Siege::new().await;
    let wire = siege.wire();
    siege.withstands("a flood of empty DATA", async || http2(&wire, empty_data)).await;
}

const HEAD: &str = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n";

fn post(headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    [format!("{HEAD}{headers}content-length: {length}\r\n\r\n").as_bytes(), body].concat()
}

/// Besieges a relay with this request, which has to be answered like this.
async fn withstands_request(what: &str, said: Vec<u8>, answered: &str) {
    let siege = Siege::new().await;
    let wire = siege.wire();
    let answer = wire.exchange(Protocol::Http1, &said).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with(&format!("HTTP/1.1 {answered} ")), "{what}: {answer}");
    let connections = if answered == "200" { ACCEPTED } else { CONNECTIONS };
    let attack = async || {
        let (wire, said) = (wire.clone(), said.clone());
        over_and_over(connections, REQUESTS, move |blows| {
            let (wire, said) = (wire.clone(), said.clone());
            async move {
                if wire.exchange(Protocol::Http1, &said).await.is_ok_and(|answer| !answer.is_empty()) {
                    blows.count(1);
                }
            }
        })
    };
    siege.withstands(what, attack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_headers_are_refused() {
    withstands_request("10,000 headers", post(&"x:\r\n".repeat(10_000), b"{}"), "431").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn header_of_64_kib_is_refused() {
    let header = format!("x-long: {}\r\n", "x".repeat(64 << 10));
    withstands_request("a header of 64 KiB", post(&header, b"{}"), "431").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_a_million_deep_is_only_bytes() {
    let deep = ["[".repeat(1_000_000), "]".repeat(1_000_000)].concat();
    withstands_request("JSON a million deep", post("", deep.as_bytes()), "200").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_body_is_not_unpacked() {
    // Ten gibibytes of zeroes for whoever unpacks it.
    let bomb = [&b"\x1f\x8b\x08\0\0\0\0\0\0\xff"[..], &vec![0; 1 << 20]].concat();
    withstands_request(
        "compressed bodies",
        post("content-encoding: gzip\r\ncontent-type: text/plain\r\n", &bomb),
        "200",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_body_ends_at_the_limit() {
    let siege = Siege::new().await;
    let wire = siege.wire();
    let attack = async || {
        let wire = wire.clone();
        over_and_over(CONNECTIONS, CHUNKS, move |blows| endless(wire.clone(), blows))
    };
    siege.withstands("endless chunked bodies", attack).await;
}

async fn endless(wire: Wire, blows: Blows) {
    let Ok(stream) = wire.tls(Protocol::Http1).await else { return };
    let (mut reading, mut writing) = tokio::io::split(stream);
    let chunk = [b"4000\r\n", &vec![b'1'; 0x4000][..], b"\r\n"].concat();
    let write = async {
        let head = format!("{HEAD}transfer-encoding: chunked\r\n\r\n");
        let mut sent = writing.write_all(head.as_bytes()).await;
        while sent.is_ok() {
            sent = writing.write_all(&chunk).await;
            blows.count(1);
        }
    };
    let mut answer = [0; 12];
    tokio::select! {
        () = write => {}
        answered = reading.read_exact(&mut answer) => {
            answered.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 413");
        }
    }
}
