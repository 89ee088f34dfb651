//! HTTP/2 servers that close gracefully, or refuse streams, frame by frame (RFC 9113, 4.1).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use tokio::io::{self, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::tls::{authority, roots, server};
use super::*;

const PREFACE: usize = 24;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
/// On `DATA` and `HEADERS`; on `SETTINGS` an acknowledgement.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:status: 200` of HPACK's static table.
const OK: u8 = 0x88;
const REFUSED_STREAM: u32 = 7;
const MAX_CONCURRENT_STREAMS: [u8; 2] = [0, 3];

#[derive(Clone, Copy)]
enum Manner {
    /// Takes ten streams and says goodbye: what comes behind them is not processed.
    LeavesAfterTen,
    /// Refuses two in three streams.
    RefusesMost,
    /// Allows ten streams at once, and answers ten together once there were 52 requests; the first two at once.
    AnswersTenTogether,
}

/// What a server took.
#[derive(Clone)]
struct Taken {
    requests: Arc<watch::Sender<usize>>,
    connections: Arc<AtomicUsize>,
}

impl Taken {
    fn requests(&self) -> usize {
        *self.requests.borrow()
    }
}

/// A server, who vouches for it, and what it took.
async fn serve(manner: Manner) -> (SocketAddr, Arc<RootCertStore>, Taken) {
    let ours = authority();
    let mut tls = server(&ours, "127.0.0.1", None);
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let taken = Taken { requests: Arc::new(watch::Sender::new(0)), connections: Arc::default() };
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let shared = taken.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            shared.connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(connection(stream, acceptor.clone(), manner, shared.clone()));
        }
    });
    (address, roots(&ours), taken)
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    manner: Manner,
    taken: Taken,
) -> io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    stream.read_exact(&mut [0; PREFACE]).await?;
    let ten_streams = [&MAX_CONCURRENT_STREAMS[..], &10_u32.to_be_bytes()].concat();
    let settings = if matches!(manner, Manner::AnswersTenTogether) { &ten_streams[..] } else { &[] };
    stream.write_all(&frame(SETTINGS, 0, 0, settings)).await?;
    let mut unanswered = vec![];
    // Whether each stream is processed.
    let mut streams: BTreeMap<u32, bool> = BTreeMap::new();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let [a, b, c, kind, flags, id @ ..] = head;
        let id = u32::from_be_bytes(id);
        stream.read_exact(&mut vec![0; u32::from_be_bytes([0, a, b, c]) as usize]).await?;
        match kind {
            SETTINGS if flags == 0 => stream.write_all(&frame(SETTINGS, END_STREAM, 0, &[])).await?,
            HEADERS => {
                let is_processed = match manner {
                    Manner::LeavesAfterTen => streams.len() < 10,
                    Manner::RefusesMost => streams.len() % 3 == 2,
                    Manner::AnswersTenTogether => true,
                };
                streams.insert(id, is_processed);
                if !is_processed && matches!(manner, Manner::RefusesMost) {
                    stream.write_all(&frame(RST_STREAM, 0, id, &REFUSED_STREAM.to_be_bytes())).await?;
                }
            }
            _ => {}
        }
        if matches!(kind, DATA | HEADERS) && flags & END_STREAM > 0 && streams[&id] {
            taken.requests.send_modify(|requests| *requests += 1);
            unanswered.push(id);
            if matches!(manner, Manner::AnswersTenTogether) && taken.requests() > 2 {
                if unanswered.len() < 10 {
                    continue;
                }
                taken.requests.subscribe().wait_for(|requests| *requests == 52).await.unwrap();
            }
            for id in unanswered.drain(..) {
                stream.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, id, &[OK])).await?;
            }
            if matches!(manner, Manner::LeavesAfterTen) && streams.keys().nth(9) == Some(&id) {
                // The last stream that was processed, and no error.
                let goodbye = [id.to_be_bytes(), [0; 4]].concat();
                stream.write_all(&frame(GOAWAY, 0, 0, &goodbye)).await?;
            }
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[tokio::test]
async fn what_an_http2_server_did_not_process_is_sent_again_at_once() {
    for manner in [Manner::LeavesAfterTen, Manner::RefusesMost] {
        let (address, roots, taken) = serve(manner).await;
        let destination = destination(&format!("https://{address}/"));
        let channel = HttpChannel::new(&destination, &Outbound { roots, ..outbound() });
        let event = event(&[], b"{}");
        for _ in 0..4 {
            let attempts = (0..50).map(|_| channel.send(&event, attempted_at()));
            for result in join_all(attempts).await {
                assert_eq!(result, Ok(Delivered { status: 200 }));
            }
        }
        assert_eq!(taken.requests(), 200);
    }
}

#[tokio::test]
async fn requests_over_http2_share_a_connection_and_take_another_when_full() {
    let (address, roots, taken) = serve(Manner::AnswersTenTogether).await;
    let destination = destination(&format!("https://{address}/"));
    let channel = HttpChannel::new(&destination, &Outbound { roots, ..outbound() });
    let event = event(&[], b"{}");
    for _ in 0..2 {
        assert_eq!(channel.send(&event, attempted_at()).await, Ok(Delivered { status: 200 }));
    }
    let attempts = (0..50).map(|_| channel.send(&event, attempted_at()));
    for result in join_all(attempts).await {
        assert_eq!(result, Ok(Delivered { status: 200 }));
    }
    assert_eq!((taken.requests(), taken.connections.load(Ordering::SeqCst)), (52, 5));
}
