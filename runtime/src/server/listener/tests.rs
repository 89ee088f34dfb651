use std::sync::atomic::AtomicBool;

use axum::{Router, body::Body, routing::any};
use tokio::{
    io::AsyncWriteExt,
    net::TcpSocket,
    sync::{Semaphore, oneshot},
};

use super::*;
use crate::{
    observe::watchdog::Watchdog,
    testing::server::{
        SHORT, SOON, answer, connect, eventually, exchange, plain, serve, serve_with, until_closed,
    },
};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const LAST_GET: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

fn status(answer: &[u8]) -> &str {
    std::str::from_utf8(answer).unwrap().lines().next().unwrap_or("nothing")
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_and_know_their_peer() {
    let served = serve("127.33.0.1", Limits::default()).await;
    let mut client = connect(served.address).await;
    for _ in 0..3 {
        let post = "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello";
        let answer = exchange(&mut client, post).await;
        assert!(answer.ends_with("127.0.0.1 sent 5"), "{answer}");
    }
}

#[tokio::test]
async fn silent_connection_is_cut() {
    let served = serve("127.33.0.2", Limits { header: SHORT, ..Limits::default() }).await;
    assert_eq!(until_closed(&mut connect(served.address).await).await, b"");
}

#[tokio::test]
async fn header_that_drips_is_cut() {
    let served = serve("127.33.0.3", Limits { header: SHORT, ..Limits::default() }).await;
    let mut client = connect(served.address).await;
    exchange(&mut client, GET).await;
    let (mut reading, mut writing) = client.into_split();
    let drip = async {
        while writing.write_all(b"G").await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    tokio::select! {
        () = drip => {}
        _ = until_closed(&mut reading) => {}
    }
}

#[tokio::test]
async fn idle_connection_is_closed() {
    // Twice as long is past what `until_closed` waits for: it is asked to go, not cut for staying.
    let served = serve("127.33.0.4", Limits { idle: SOON * 3 / 5, ..Limits::default() }).await;
    let mut client = connect(served.address).await;
    exchange(&mut client, GET).await;
    assert_eq!(until_closed(&mut client).await, b"");
}

#[tokio::test]
async fn running_request_may_take_longer_than_any_limit_between_requests() {
    let limits = Limits { idle: SHORT, header: SHORT, stalled_write: SHORT, ..Limits::default() };
    let app = Router::new().fallback(any(async || {
        tokio::time::sleep(SHORT * 4).await;
        "done"
    }));
    let served = serve_with("127.33.0.5", limits, plain("127.33.0.5"), app).await;
    let mut client = connect(served.address).await;
    for _ in 0..2 {
        let answer = exchange(&mut client, GET).await;
        assert!(answer.ends_with("done"), "{answer}");
    }
}

#[tokio::test]
async fn header_of_too_many_bytes_or_fields_is_refused() {
    let served = serve("127.33.0.6", Limits::default()).await;
    let large = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(17 * 1024));
    let many = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(101));
    for request in [large, many] {
        let mut client = connect(served.address).await;
        client.write_all(request.as_bytes()).await.unwrap();
        let answer = until_closed(&mut client).await;
        assert_eq!(status(&answer), "HTTP/1.1 431 Request Header Fields Too Large");
    }
}

#[tokio::test]
async fn ambiguous_length_is_refused() {
    let served = serve("127.33.0.7", Limits::default()).await;
    let mut client = connect(served.address).await;
    let request = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!";
    client.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(status(&until_closed(&mut client).await), "HTTP/1.1 400 Bad Request");
}

#[tokio::test]
async fn endless_chunked_body_is_cut_with_an_answer() {
    let served = serve("127.33.0.8", Limits::default()).await;
    let mut client = connect(served.address).await;
    client.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    let (mut reading, mut writing) = client.into_split();
    let flood = tokio::spawn(async move { while writing.write_all(b"8\r\n12345678\r\n").await.is_ok() {} });
    let answer = answer(&mut reading).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.ends_with("{\"error\":\"Body has more than 1000 bytes\"}\n"), "{answer}");
    tokio::time::timeout(SOON, flood).await.expect("the connection is closed").unwrap();
}

#[tokio::test]
async fn one_address_cannot_take_every_connection_and_idle_ones_keep_nobody_out() {
    let limits = Limits { connections: 3, connections_per_address: 2, ..Limits::default() };
    let served = serve("127.33.0.9", limits).await;
    let from = async |ip: &str| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(ip.parse().unwrap(), 0)).unwrap();
        let mut client = socket.connect(served.address).await.unwrap();
        assert!(exchange(&mut client, GET).await.ends_with(&format!("{ip} sent 0")));
        client
    };
    let mut greedy = [from("127.33.1.9").await, from("127.33.1.9").await];
    let mut honest = from("127.33.2.9").await;
    // Now three are open, and that is all; each of the next two takes the place of one that rests.
    let mut own = from("127.33.1.9").await;
    assert_eq!(until_closed(&mut greedy[0]).await, b"");
    exchange(&mut honest, GET).await;
    let mut other = from("127.33.3.9").await;
    assert_eq!(until_closed(&mut greedy[1]).await, b"");
    for client in [&mut honest, &mut own, &mut other] {
        exchange(client, GET).await;
    }
}

#[tokio::test]
async fn silent_connections_and_half_requests_keep_no_client_out() {
    let limits = Limits { connections: 4, ..Limits::default() };
    let served = serve("127.33.0.16", limits).await;
    let mut honest = connect(served.address).await;
    exchange(&mut honest, GET).await;
    let mut hostile = Vec::new();
    for said in ["", "GET / HT", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhell"] {
        let mut client = connect(served.address).await;
        client.write_all(said.as_bytes()).await.unwrap();
        hostile.push(client);
    }
    for _ in 0..8 {
        let mut newcomer = connect(served.address).await;
        newcomer.write_all(LAST_GET.as_bytes()).await.unwrap();
        assert_eq!(status(&until_closed(&mut newcomer).await), "HTTP/1.1 200 OK");
        hostile.push(connect(served.address).await);
    }
    for mut client in hostile.drain(..3) {
        assert_eq!(until_closed(&mut client).await, b"");
    }
    assert!(exchange(&mut honest, GET).await.ends_with("sent 0"));
}

#[tokio::test]
async fn answer_that_nobody_reads_is_given_up() {
    struct Dropped(Option<oneshot::Sender<()>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.take().map(|sender| sender.send(()));
        }
    }
    let (sender, dropped) = oneshot::channel();
    let guard = Arc::new(std::sync::Mutex::new(Some(Dropped(Some(sender)))));
    let app = Router::new().fallback(any(async move || {
        let guard = guard.lock().unwrap().take();
        Body::from_stream(futures::stream::repeat_with(move || {
            let _ = &guard;
            Ok::<_, io::Error>(vec![b'x'; 64 * 1024])
        }))
    }));
    let limits = Limits { stalled_write: SHORT, ..Limits::default() };
    let served = serve_with("127.33.0.10", limits, plain("127.33.0.10"), app).await;
    let mut client = connect(served.address).await;
    client.write_all(GET.as_bytes()).await.unwrap();
    tokio::time::timeout(SOON, dropped).await.expect("given up in time").unwrap();
}

#[tokio::test]
async fn drain_finishes_what_is_in_flight_and_takes_nothing_new() {
    let gate = Arc::new(Semaphore::new(0));
    let entered = Arc::new(AtomicBool::new(false));
    let app = Router::new().fallback(any({
        let (gate, entered) = (gate.clone(), entered.clone());
        async move || {
            entered.store(true, Ordering::Relaxed);
            let _ = gate.acquire().await;
            "done"
        }
    }));
    let served = serve_with("127.33.0.11", Limits::default(), plain("127.33.0.11"), app).await;
    let mut client = connect(served.address).await;
    client.write_all(GET.as_bytes()).await.unwrap();
    eventually("the request arrives", async || entered.load(Ordering::Relaxed)).await;
    served.drain.close();
    eventually("the port is closed", async || TcpStream::connect(served.address).await.is_err()).await;
    gate.add_permits(1);
    let answer = String::from_utf8(until_closed(&mut client).await).unwrap();
    assert!(answer.ends_with("done") && answer.contains("connection: close"), "{answer}");
    assert_eq!(served.task.await.unwrap(), Drained { cut: 0 });
}

#[tokio::test]
async fn request_of_a_client_that_had_just_connected_is_answered() {
    let served = serve("127.33.0.15", Limits::default()).await;
    let mut client = connect(served.address).await;
    served.drain.close();
    eventually("the port is closed", async || TcpStream::connect(served.address).await.is_err()).await;
    client.write_all(GET.as_bytes()).await.unwrap();
    let answer = until_closed(&mut client).await;
    assert_eq!(status(&answer), "HTTP/1.1 200 OK");
    assert_eq!(served.task.await.unwrap(), Drained { cut: 0 });
}

#[tokio::test]
async fn leaving_listener_accepts_and_sends_clients_elsewhere() {
    let served = serve("127.33.0.12", Limits::default()).await;
    let mut client = connect(served.address).await;
    assert!(!exchange(&mut client, GET).await.contains("connection: close"));
    served.drain.leave();
    eventually("answers say close", async || {
        exchange(&mut connect(served.address).await, GET).await.contains("connection: close")
    })
    .await;
    let answer = exchange(&mut client, GET).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("connection: close"), "{answer}");
    assert_eq!(until_closed(&mut client).await, b"");
}

#[tokio::test]
async fn request_that_never_finishes_is_cut_at_the_end_of_the_drain() {
    let app = Router::new().fallback(any(async || std::future::pending::<()>().await));
    let limits = Limits { finish: SHORT, ..Limits::default() };
    let served = serve_with("127.33.0.13", limits, plain("127.33.0.13"), app).await;
    let mut client = connect(served.address).await;
    client.write_all(GET.as_bytes()).await.unwrap();
    let mut second = connect(served.address).await;
    second.write_all(b"GET / HT").await.unwrap();
    served.drain.close();
    assert_eq!(until_closed(&mut client).await, b"");
    let drained = tokio::time::timeout(SOON, served.task).await.expect("drained in time").unwrap();
    assert_eq!(drained, Drained { cut: 2 });
}

#[tokio::test]
async fn idle_accept_loop_keeps_its_promise_to_the_watchdog() {
    let watchdog = Watchdog::new();
    let bound = Duration::from_millis(1500);
    let ticker = watchdog.register("accept", bound);
    let socket = TcpListener::bind("127.33.0.14:0").await.unwrap();
    let tls = plain("127.33.0.14");
    let metrics = ListenerMetrics::default();
    let listener = Listener { socket, tls, limits: Limits::default(), ticker, metrics };
    let task = tokio::spawn(listener.serve(Router::new(), Drain::new()));
    // Time has to pass for a promise to be broken.
    tokio::time::sleep(bound * 2).await;
    assert_eq!(watchdog.stale(), []);
    task.abort();
}
