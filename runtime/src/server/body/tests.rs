use std::{convert::Infallible, io, net::Ipv4Addr};

use futures::{Stream, StreamExt, stream};
use http::{HeaderValue, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::{Full, StreamBody};

use super::*;

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const QUICK: BodyPace = BodyPace { grace: Duration::from_millis(100), bytes_per_second: 1_000_000 };

fn chunked(chunks: impl Stream<Item = &'static [u8]>) -> impl Body<Data = Bytes, Error = Infallible> {
    StreamBody::new(chunks.map(|chunk| Ok(Frame::data(Bytes::from_static(chunk)))))
}

async fn read(bodies: &Bodies, body: impl Body<Data = Bytes>) -> Result<ReadBody, StatusCode> {
    bodies.read(CLIENT, &HeaderMap::new(), body, 10).await.map_err(|problem| problem.status)
}

#[tokio::test]
async fn small_body_is_not_copied() {
    let sent = Bytes::from_static(b"hello");
    let body = read(&Bodies::default(), Full::new(sent.clone())).await.unwrap();
    assert_eq!(body.bytes, sent);
    assert_eq!(body.bytes.as_ptr(), sent.as_ptr());
}

#[tokio::test]
async fn body_in_parts_is_joined() {
    for (parts, expected) in [
        (vec![], "".as_bytes()),
        (vec!["one".as_bytes()], b"one"),
        (vec![b"o", b"", b"n", b"e"], b"one"),
        (vec![b"0123", b"456789"], b"0123456789"),
    ] {
        let bodies = Bodies::default();
        let body = read(&bodies, chunked(stream::iter(parts))).await.unwrap();
        assert_eq!(body.bytes, expected);
        assert_eq!(bodies.in_flight(), expected.len() as u64);
    }
}

#[tokio::test]
async fn too_large_body_is_refused_whether_announced_or_not() {
    let bodies = Bodies::default();
    let announced = Full::new(Bytes::from_static(b"01234567890"));
    assert_eq!(read(&bodies, announced).await.unwrap_err(), StatusCode::PAYLOAD_TOO_LARGE);
    let parts: [&[u8]; 2] = [b"0123456", b"7890"];
    let refused = read(&bodies, chunked(stream::iter(parts))).await.unwrap_err();
    assert_eq!(refused, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(bodies.in_flight(), 0);
}

#[tokio::test]
async fn nothing_is_kept_of_a_refused_body_while_the_rest_is_thrown_away() {
    let bodies = Bodies::default();
    let kept = bodies.clone();
    let rest = stream::once(async move {
        assert_eq!(kept.in_flight(), 0);
        &b"rest"[..]
    });
    let parts: [&[u8]; 2] = [b"0123456", b"7890"];
    let body = chunked(stream::iter(parts).chain(rest));
    assert_eq!(read(&bodies, body).await.unwrap_err(), StatusCode::PAYLOAD_TOO_LARGE);
}

/// Announces a length and must not be asked for anything.
struct Announced(u64);

impl Body for Announced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("the client would be told to go on");
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0)
    }
}

#[tokio::test]
async fn client_that_asks_first_is_refused_before_it_sends() {
    let headers = HeaderMap::from_iter([(EXPECT, HeaderValue::from_static("100-continue"))]);
    let refused = Bodies::default().read(CLIENT, &headers, Announced(11), 10).await.unwrap_err();
    assert_eq!(refused, Problem::too_large(10));
}

#[tokio::test]
async fn stalled_body_times_out() {
    let bodies = Bodies::new(IN_FLIGHT, QUICK);
    let stalled = stream::iter([b"x".as_slice()]).chain(stream::pending());
    assert_eq!(read(&bodies, chunked(stalled)).await.unwrap_err(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(bodies.in_flight(), 0);
}

#[tokio::test]
async fn dripping_body_times_out_and_a_steady_one_does_not() {
    let drip = |parts| {
        chunked(stream::iter(vec![b"x".as_slice(); parts]).then(async |part| {
            tokio::time::sleep(Duration::from_millis(50)).await;
            part
        }))
    };
    let read = async |bytes_per_second| {
        let pace = BodyPace { bytes_per_second, ..QUICK };
        read(&Bodies::new(IN_FLIGHT, pace), drip(8)).await.map(|body| body.bytes.len())
    };
    assert_eq!(read(1_000_000).await, Err(StatusCode::REQUEST_TIMEOUT));
    assert_eq!(read(1).await, Ok(8));
}

#[tokio::test(start_paused = true)]
async fn body_that_stops_is_cut_after_the_grace_however_much_came_before() {
    let bodies = Bodies::default();
    let parts = stream::iter([&*vec![b'x'; 1 << 20].leak()]).chain(stream::pending());
    let began = Instant::now();
    let refused = bodies.read(CLIENT, &HeaderMap::new(), chunked(parts), 2 << 20).await.unwrap_err();
    assert_eq!((refused.status, began.elapsed().as_secs()), (StatusCode::REQUEST_TIMEOUT, 10));
}

#[tokio::test]
async fn bodies_in_flight_share_a_budget() {
    let bodies = Bodies::new(10, QUICK);
    let small = || Full::new(Bytes::from_static(b"12345"));
    let first = read(&bodies, small()).await.unwrap();
    let _second = read(&bodies, small()).await.unwrap();
    let refused = bodies.read(CLIENT, &HeaderMap::new(), small(), 10).await.unwrap_err();
    assert_eq!(refused, Problem::unavailable("Too many bodies in flight", RETRY_AFTER));
    assert_eq!(bodies.in_flight(), 10);
    drop(first);
    read(&bodies, small()).await.unwrap();
}

#[tokio::test]
async fn announcing_bytes_holds_none() {
    let bodies = Bodies::new(10, BodyPace::default());
    let stalled = bodies.clone();
    let waiting = tokio::spawn(async move { read(&stalled, chunked(stream::pending())).await.map(drop) });
    read(&bodies, Full::new(Bytes::from_static(b"1234567890"))).await.unwrap();
    waiting.abort();
}

#[tokio::test]
async fn body_that_breaks_off_is_a_bad_request() {
    let parts = stream::iter([Ok(Frame::data(Bytes::from_static(b"x"))), Err(io::Error::other("reset"))]);
    let refused = read(&Bodies::default(), StreamBody::new(parts)).await.unwrap_err();
    assert_eq!(refused, StatusCode::BAD_REQUEST);
}
