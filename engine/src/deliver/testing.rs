//! Support of the tests of delivery: events, destinations, and sinks that misbehave as told.
//!
//! [`Sink`] is not one of `tests/sinks`: it works below HTTP, where it keeps the bytes of a request as they came, answers
//! with bytes that are no HTTP, and resets connections. The sinks there parse HTTP and keep a ledger of events.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};
use rustls::RootCertStore;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;
use visnyk_crds::valid::{Destination, DestinationTls, Format, Method, Retry, Selector, Statuses, Target};

use super::channels::http::{client::Outbound, resolver::Resolver};
use super::failure::FailureKind;
use crate::event::{Envelope, Event};

/// 2023-09-10 14:24:31.123 UTC, the moment of the old system's sample.
pub(super) const RECEIVED_AT_MS: i64 = 1_694_355_871_123;

/// Every way in which an attempt fails without an answer.
pub(super) const WITHOUT_ANSWER: [FailureKind; 8] = [
    FailureKind::Token,
    FailureKind::Connect,
    FailureKind::Dns,
    FailureKind::Tls,
    FailureKind::Timeout,
    FailureKind::Reset,
    FailureKind::Denied,
    FailureKind::Misconfigured,
];

/// Returns a time some while after the event was received.
pub(super) fn attempted_at() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

pub(super) fn event(headers: &[(&str, &str)], body: &[u8]) -> Event {
    Event {
        envelope: Envelope {
            id: Uuid::from_u128(7),
            received_at_ms: RECEIVED_AT_MS,
            steady_ms: 1,
            source: "network".into(),
            target: "/".into(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).into(), value.as_bytes().to_vec()))
                .collect(),
            attributes: Box::default(),
        },
        body: body.to_vec().into(),
    }
}

/// Makes a destination that may be on this machine, and at no other private address.
pub(super) fn destination(url: &str) -> Destination {
    Destination {
        name: "sink".into(),
        target: Target::Url(url.parse().unwrap()),
        selector: Selector::default(),
        format: Format::Original,
        method: Method::POST,
        headers: vec![],
        sign: None,
        authorization: None,
        tls: DestinationTls::default(),
        success: Statuses(vec![200..=299]),
        final_statuses: Statuses(vec![]),
        retry: Retry { schedule: vec![Duration::ZERO], jitter_percent: 0 },
        timeout: Duration::from_secs(10),
        concurrency: 4,
        rate_limit: None,
        allow: vec!["127.0.0.1/32".parse().unwrap()],
        backlog: None,
    }
}

/// Returns resources without CA certificates and peers, in the time zone of Kyiv.
pub(super) fn outbound() -> Outbound {
    Outbound {
        resolver: Resolver::system().unwrap(),
        roots: Arc::new(RootCertStore::empty()),
        peers_dir: "/nonexistent".into(),
        secrets_dir: "/nonexistent".into(),
        time_zone: TimeZone::get("Europe/Kyiv").unwrap(),
    }
}

/// The answer of a sink to each request.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// Sends this and waits for the next request on the same connection.
    Whole(String),
    /// Sends this and closes the connection properly.
    ThenClose(String),
    /// Sends this and resets the connection.
    ThenReset(String),
    /// Sends this, then nothing, and keeps the connection open.
    ThenHang(String),
    /// Sends the first, then the second for ever.
    ThenForever(String, String),
}

impl Answer {
    pub(super) fn status(status: &str) -> Self {
        Self::with_headers(status, "")
    }

    /// Makes an answer with headers: lines that end with CR LF.
    pub(super) fn with_headers(status: &str, headers: &str) -> Self {
        Self::Whole(format!("HTTP/1.1 {status}\r\n{headers}content-length: 0\r\n\r\n"))
    }
}

/// A server over a raw socket, which keeps what it was sent byte for byte.
#[derive(Clone)]
pub(super) struct Sink {
    pub(super) address: SocketAddr,
    answer: Arc<Mutex<Answer>>,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Sink {
    pub(super) async fn new(answer: Answer) -> Self {
        Self::at((Ipv4Addr::LOCALHOST, 0).into(), answer).await
    }

    pub(super) async fn at(address: SocketAddr, answer: Answer) -> Self {
        Self::start(address, answer, None).await
    }

    pub(super) async fn with_tls(tls: rustls::ServerConfig, answer: Answer) -> Self {
        Self::start((Ipv4Addr::LOCALHOST, 0).into(), answer, Some(Arc::new(tls).into())).await
    }

    async fn start(address: SocketAddr, answer: Answer, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let sink = Self {
            address: listener.local_addr().unwrap(),
            answer: Arc::new(Mutex::new(answer)),
            requests: Arc::default(),
            connections: Arc::default(),
        };
        tokio::spawn(sink.clone().accept(listener, tls));
        sink
    }

    /// Returns every request so far, head and body.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers like this from now on.
    pub(super) fn set(&self, answer: Answer) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    /// Returns the number of accepted connections.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/in", self.address)
    }

    async fn accept(self, listener: TcpListener, tls: Option<TlsAcceptor>) {
        while let Ok((stream, _)) = listener.accept().await {
            self.connections.fetch_add(1, Ordering::SeqCst);
            let (sink, tls) = (self.clone(), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => sink.serve(stream, |stream| stream.set_zero_linger().unwrap()).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            sink.serve(stream, |stream| {
                                stream.get_ref().0.set_zero_linger().unwrap();
                            })
                            .await;
                        }
                    }
                }
            });
        }
    }

    async fn serve<S>(&self, mut stream: S, make_reset: impl Fn(&S))
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        while let Some(request) = read_request(&mut stream).await {
            self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
            let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let (Answer::Whole(text)
            | Answer::ThenClose(text)
            | Answer::ThenReset(text)
            | Answer::ThenHang(text)
            | Answer::ThenForever(text, _)) = &answer;
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.flush().await;
            match &answer {
                Answer::Whole(_) => {}
                Answer::ThenClose(_) => {
                    let _ = stream.shutdown().await;
                    return;
                }
                Answer::ThenReset(_) => return make_reset(&stream),
                Answer::ThenHang(_) => std::future::pending().await,
                Answer::ThenForever(_, more) => while stream.write_all(more.as_bytes()).await.is_ok() {},
            }
        }
    }
}

/// Reads head and body; `None` at the connection's end.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = vec![];
    loop {
        if let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            if bytes.len() >= head + 4 + length {
                return Some(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// Starts a name server over UDP that answers as `answers` says: the A records of a name, or first another name for it.
/// Nothing may be cached, so that each look-up asks again.
pub(super) async fn name_server(
    answers: impl Fn(&str) -> (Option<&'static str>, Vec<Ipv4Addr>) + Send + 'static,
) -> Resolver {
    const A: u16 = 1;
    const CNAME: u16 = 5;
    const INTERNET: u16 = 1;
    const COMPRESSED_QUESTION: u16 = 0xc00c;

    let socket = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let resolver = Resolver::of_name_server(socket.local_addr().unwrap());
    tokio::spawn(async move {
        let mut query = [0; 1500];
        while let Ok((_, from)) = socket.recv_from(&mut query).await {
            let end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
            let question = &query[12..end];
            let is_a = question[question.len() - 4..] == [0, 1, 0, 1];
            let (alias, addresses) = if is_a { answers(&read_name(question)) } else { (None, vec![]) };

            let mut records = vec![];
            let mut owner = COMPRESSED_QUESTION.to_be_bytes().to_vec();
            let mut push = |owner: &[u8], kind: u16, data: &[u8]| {
                records.extend_from_slice(owner);
                records.extend(kind.to_be_bytes().iter().chain(&INTERNET.to_be_bytes()).chain(&[0; 4]));
                records.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
                records.extend_from_slice(data);
            };
            if let Some(alias) = alias {
                push(&owner, CNAME, &write_name(alias));
                owner = write_name(alias);
            }
            for address in &addresses {
                push(&owner, A, &address.octets());
            }
            let count = u8::try_from(addresses.len() + usize::from(alias.is_some())).unwrap();
            let mut response = query[..2].to_vec();
            response.extend([0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0]);
            response.extend_from_slice(question);
            response.extend(records);
            let _ = socket.send_to(&response, from).await;
        }
    });
    resolver
}

fn read_name(question: &[u8]) -> String {
    let mut labels = vec![];
    let mut rest = question;
    while let [length @ 1..=63, tail @ ..] = rest {
        let (label, after) = tail.split_at(usize::from(*length));
        labels.push(String::from_utf8_lossy(label).to_lowercase());
        rest = after;
    }
    labels.join(".")
}

fn write_name(name: &str) -> Vec<u8> {
    let labels = name
        .split('.')
        .flat_map(|label| std::iter::once(u8::try_from(label.len()).unwrap()).chain(label.bytes()));
    labels.chain([0]).collect()
}

/// Makes a connection, which shows that a trap would have caught one.
pub(super) async fn knock(address: SocketAddr) {
    drop(TcpStream::connect(address).await.unwrap());
}
