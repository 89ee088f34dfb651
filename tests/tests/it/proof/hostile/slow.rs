//! Clients that take their time.

use std::{
    net::Ipv4Addr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::{io::AsyncWriteExt, task::JoinSet, time::sleep};
use visnyk_tests::{
    http2::{END_HEADERS, Kind, POST, PREFACE, frame},
    wire::{Protocol, Wire},
};

use super::{Attack, Blows, Shown, Siege};

/// A program that ends with its handle.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Connections that the relay has at the same time, or it is no attack; on a busy machine the first are cut before the
/// last are made.
const HELD: u64 = 100;

/// slowhttptest's own connections, all from 127.0.0.1.
fn slowhttptest(url: &str, manner: &[&str]) -> Attack {
    let mut command = Command::new("slowhttptest");
    command.args(manner).args(["-c", "500", "-r", "200", "-l", "240", "-u", url]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = Running(command.spawn().expect("slowhttptest is installed"));
    holding(HELD, async move {
        while running.0.try_wait().unwrap().is_none() {
            sleep(Duration::from_millis(100)).await;
        }
    })
}

/// An attack by connections that are there, of which the relay has so many at least.
fn holding(least: u64, attack: impl Future<Output = ()> + Send + 'static) -> Attack {
    Attack { task: tokio::spawn(attack), blows: Blows::default(), least: Shown::Held(least) }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_headers_are_not_noticed() {
    let siege = Siege::new().await;
    let url = siege.relay.url();
    siege.withstands("slow headers", async || slowhttptest(&url, &["-H", "-i", "1"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_bodies_are_not_noticed() {
    let siege = Siege::new().await;
    let url = siege.relay.url();
    siege.withstands("slow bodies", async || slowhttptest(&url, &["-B", "-i", "1", "-s", "65536"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_readers_are_not_noticed() {
    let siege = Siege::new().await;
    let url = siege.relay.url();
    siege
        .withstands("slow readers", async || {
            slowhttptest(&url, &["-X", "-n", "1", "-z", "8", "-k", "8", "-w", "1", "-y", "8"])
        })
        .await;
}

/// So many connections from each of three addresses, of which one may have 1,024.
const SILENT: usize = 1_000;
const FROM: [Ipv4Addr; 3] =
    [Ipv4Addr::new(127, 0, 1, 1), Ipv4Addr::new(127, 0, 1, 2), Ipv4Addr::new(127, 0, 1, 3)];

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_silent_connections_are_not_noticed() {
    let connect = async |wire: Wire| wire.tcp().await.unwrap();
    silence_is_not_noticed("3,000 silent TCP connections", connect).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_silent_tls_connections_are_not_noticed() {
    let connect = async |wire: Wire| wire.tls(Protocol::Http2).await.unwrap();
    silence_is_not_noticed("3,000 silent TLS connections", connect).await;
}

async fn silence_is_not_noticed<T: Send + 'static>(what: &str, connect: impl AsyncFn(Wire) -> T) {
    let siege = Siege::new().await;
    let wire = siege.wire();
    let attack = async || {
        let mut held = Vec::new();
        for from in FROM {
            for _ in 0..SILENT {
                held.push(connect(wire.from(from)).await);
            }
        }
        holding(HELD, hold(held))
    };
    siege.withstands(what, attack).await;
}

async fn hold<T>(_held: Vec<T>) {
    std::future::pending::<()>().await;
}

/// Connections with a hundred streams each.
const STALLED: u64 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn thousand_stalled_streams_are_not_noticed() {
    let siege = Siege::new().await;
    let wire = siege.wire();
    let attack = async || {
        let mut connections = JoinSet::new();
        for _ in 0..STALLED {
            connections.spawn(stalled_streams(wire.clone()));
        }
        holding(STALLED / 2, hold(connections.join_all().await))
    };
    siege.withstands("1,000 stalled streams", attack).await;
}

/// A hundred requests whose bodies have begun.
async fn stalled_streams(wire: Wire) -> impl Sized {
    let mut stream = wire.tls(Protocol::Http2).await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    for id in (1..200).step_by(2) {
        stream.write_all(&frame(Kind::Headers, END_HEADERS, id, POST)).await.unwrap();
        stream.write_all(&frame(Kind::Data, 0, id, &[b'1'; 500])).await.unwrap();
    }
    stream.flush().await.unwrap();
    stream
}
