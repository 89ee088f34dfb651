//! Clients that take their time.

use std::{
    collections::VecDeque,
    io,
    net::Ipv4Addr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use reqwest::StatusCode;
use tokio::{
    io::{AsyncRead, AsyncWriteExt, copy, sink},
    net::{TcpSocket, TcpStream},
    time::{Instant, sleep, timeout_at},
};
use tokio_rustls::client::TlsStream;
use visnyk_tests::{
    http2::{END_HEADERS, Kind, POST, PREFACE, frame},
    manifest::{self, HEALTH_PORT, destination},
    proof::report,
    relay::Relay,
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

/// Attacks by the connections of slowhttptest, all from 127.0.0.1; and again, once all of them were cut.
fn slowhttptest(url: &str, manner: &[&str]) -> Attack {
    let mut command = Command::new("slowhttptest");
    command.args(manner).args(["-c", "500", "-r", "200", "-l", "240", "-u", url]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    holding(HELD, async move {
        loop {
            let mut running = Running(command.spawn().expect("slowhttptest is installed"));
            while running.0.try_wait().unwrap().is_none() {
                sleep(Duration::from_millis(100)).await;
            }
        }
    })
}

/// Attacks by connections that stay, of which the relay has so many at least.
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

/// A stranger's bodies fill its own share of the memory for bodies four times, those of four others what is left of it.
const STALLED_BODIES: [(Ipv4Addr, usize); 5] = [
    (Ipv4Addr::new(127, 0, 2, 1), 64),
    (Ipv4Addr::new(127, 0, 2, 2), 16),
    (Ipv4Addr::new(127, 0, 2, 3), 16),
    (Ipv4Addr::new(127, 0, 2, 4), 16),
    (Ipv4Addr::new(127, 0, 2, 5), 16),
];
/// All of the memory for bodies, and what the connections themselves need.
const MEMORY_FOR_BODIES: u64 = 96 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn stalled_bodies_are_not_noticed() {
    let siege = Siege { most: MEMORY_FOR_BODIES, ..Siege::new().await };
    let of = |(from, bodies)| vec![siege.wire().from(from); bodies];
    let wires: Vec<_> = STALLED_BODIES.into_iter().flat_map(of).collect();
    siege.withstands("stalled bodies", async || renewed(32, wires.clone(), stalled_body).await).await;
}

/// Sends a body of 1 MiB that lacks its last byte.
async fn stalled_body(wire: Wire) -> io::Result<TlsStream<TcpStream>> {
    let mut stream = wire.tls(Protocol::Http1).await?;
    let head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1048576\r\n\r\n";
    // One that has lost its room is cut while it sends.
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(&vec![b' '; (1 << 20) - 1]).await;
    let _ = stream.flush().await;
    Ok(stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_metrics_keep_no_probe_and_no_scrape_away() {
    // Pages of so many destinations fill the sockets' buffers before what the relay reads ahead is answered.
    let nobody = (0..60).map(|number| destination(&format!("nobody-{number}"), "http://127.0.0.1:1"));
    let relay = Relay::start(&manifest::relay(nobody)).await;
    let (probes, health) = (relay.probes.clone(), relay.address().port(HEALTH_PORT));
    let page = probes.get("/metrics").await.unwrap().1.len();
    let mut unread = Vec::new();
    for round in 0..12 {
        for number in 1..=8 {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_recv_buffer_size(4096).unwrap();
            socket.bind((Ipv4Addr::new(127, 0, 3, number), 0).into()).unwrap();
            let mut stream = socket.connect(health).await.unwrap();
            let asked = "GET /metrics HTTP/1.1\r\nhost:\r\n\r\n".repeat(255);
            // It may be cut at once.
            let _ = stream.write_all(asked.as_bytes()).await;
            unread.push(stream);
        }
        assert!(probes.alive().await, "in round {round}");
        assert!(probes.is_ready().await, "in round {round}");
    }
    assert_eq!(probes.get("/metrics").await.unwrap().0, StatusCode::OK);
    report("beside unread metrics", &format!("{} connections, a page of {page} bytes", unread.len()));
}

/// So many connections from each of three addresses, of which one may have 1,024.
const SILENT: usize = 1_000;
const FROM: [Ipv4Addr; 3] =
    [Ipv4Addr::new(127, 0, 1, 1), Ipv4Addr::new(127, 0, 1, 2), Ipv4Addr::new(127, 0, 1, 3)];

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_silent_connections_are_not_noticed() {
    silence_is_not_noticed("3,000 silent TCP connections", |wire| async move { wire.tcp().await }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_silent_tls_connections_are_not_noticed() {
    silence_is_not_noticed(
        "3,000 silent TLS connections",
        |wire| async move { wire.tls(Protocol::Http2).await },
    )
    .await;
}

async fn silence_is_not_noticed<S, Connecting>(what: &str, connect: fn(Wire) -> Connecting)
where
    S: AsyncRead + Unpin + Send + 'static,
    Connecting: Future<Output = io::Result<S>> + Send + 'static,
{
    let siege = Siege::new().await;
    let wires: Vec<_> = FROM.iter().flat_map(|from| vec![siege.wire().from(*from); SILENT]).collect();
    siege.withstands(what, async || renewed(HELD, wires.clone(), connect).await).await;
}

/// Longer than the relay waits for a header, or for a body to go on.
const HELD_FOR: Duration = Duration::from_secs(12);

/// Connections that are held as long as there is something to wait for, and begun anew, one after the other.
async fn renewed<S, Connecting>(least: u64, wires: Vec<Wire>, connect: fn(Wire) -> Connecting) -> Attack
where
    S: AsyncRead + Unpin + Send + 'static,
    Connecting: Future<Output = io::Result<S>> + Send + 'static,
{
    let mut held = VecDeque::new();
    for wire in wires {
        let stream = connect(wire.clone()).await;
        assert!(stream.is_ok(), "everybody is let in at first");
        held.push_back((wire, Instant::now(), stream));
    }
    let attack = async move {
        while let Some((wire, since, stream)) = held.pop_front() {
            if let Ok(mut stream) = stream {
                let _ = timeout_at(since + HELD_FOR, copy(&mut stream, &mut sink())).await;
            }
            // Some may be refused at once.
            sleep(Duration::from_millis(1)).await;
            held.push_back((wire.clone(), Instant::now(), connect(wire).await));
        }
    };
    holding(least, attack)
}

/// Connections with a hundred streams each.
const STALLED: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn thousand_stalled_streams_are_not_noticed() {
    let siege = Siege::new().await;
    let wires = vec![siege.wire(); STALLED];
    let attack = async || renewed(STALLED as u64 / 2, wires.clone(), stalled_streams).await;
    siege.withstands("1,000 stalled streams", attack).await;
}

/// Sends a hundred requests whose bodies have begun.
async fn stalled_streams(wire: Wire) -> io::Result<TlsStream<TcpStream>> {
    let mut stream = wire.tls(Protocol::Http2).await?;
    stream.write_all(PREFACE).await?;
    for id in (1..200).step_by(2) {
        stream.write_all(&frame(Kind::Headers, END_HEADERS, id, POST)).await?;
        stream.write_all(&frame(Kind::Data, 0, id, &[b'1'; 500])).await?;
    }
    stream.flush().await?;
    Ok(stream)
}
