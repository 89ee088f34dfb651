use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::deliver::testing::{Answer, Sink, knock, name_server, outbound};

const TIMEOUT: Duration = Duration::from_secs(10);

fn loopback() -> Policy {
    Policy::Allow(vec!["127.0.0.0/8".parse().unwrap()])
}

async fn get(fetch: &Fetch, url: &str) -> Result<Bytes, FetchError> {
    fetch.get(url.parse().unwrap(), 10, TIMEOUT).await
}

fn whole(body: &str) -> Answer {
    Answer::Whole(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
}

#[tokio::test]
async fn document_comes_whole_and_no_larger_than_asked_for() {
    let fetch = Fetch::new(&outbound(), loopback()).unwrap();
    let sink = Sink::new(whole("0123456789")).await;
    assert_eq!(get(&fetch, &sink.url()).await.unwrap(), "0123456789");
    let head = sink.requests().remove(0).to_lowercase();
    assert!(head.starts_with("get /in http/1.1\r\n"), "{head}");

    let large = Sink::new(whole("0123456789a")).await;
    assert!(matches!(get(&fetch, &large.url()).await, Err(FetchError::TooLarge(10))));
    let endless = Answer::ThenForever(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".into(),
        "4\r\nmore\r\n".into(),
    );
    let endless = Sink::new(endless).await;
    assert!(matches!(get(&fetch, &endless.url()).await, Err(FetchError::TooLarge(10))));
    let silent = Sink::new(Answer::ThenHang("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n".into())).await;
    let late = fetch.get(silent.url().parse().unwrap(), 10, Duration::from_millis(50)).await;
    assert!(matches!(late, Err(FetchError::Late(_))), "{late:?}");
}

#[tokio::test]
async fn redirect_is_an_answer_like_any_other_that_is_no_document() {
    let trap = Sink::new(whole("trapped")).await;
    let location = format!("location: {}\r\n", trap.url());
    let sink = Sink::new(Answer::with_headers("302 Found", &location)).await;
    let fetch = Fetch::new(&outbound(), loopback()).unwrap();
    assert!(matches!(get(&fetch, &sink.url()).await, Err(FetchError::Status(StatusCode::FOUND))));
    assert_eq!(trap.connections(), 0);
    knock(trap.address).await;
}

#[tokio::test]
async fn guard_judges_the_address_that_is_connected_to() {
    let trap = Sink::new(whole("trapped")).await;
    let port = trap.address.port();
    let allowed = Sink::at(([127, 0, 0, 2], port).into(), whole("allowed")).await;
    let look_ups = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&look_ups);
    // Whoever asks first is told the allowed address, and then the trap's.
    let resolver = name_server(move |_| {
        let last = if count.fetch_add(1, Ordering::SeqCst) == 0 { 2 } else { 1 };
        (None, vec![[127, 0, 0, last].into()])
    })
    .await;
    let only_the_allowed = Policy::Allow(vec!["127.0.0.2/32".parse().unwrap()]);
    let fetch = Fetch::new(&Outbound { resolver, ..outbound() }, only_the_allowed).unwrap();
    let name = format!("http://changing.example.org:{port}/");
    assert_eq!(get(&fetch, &name).await.unwrap(), "allowed");
    for url in [name, format!("http://127.0.0.1:{port}/"), format!("http://[::ffff:127.0.0.1]:{port}/")] {
        assert!(matches!(get(&fetch, &url).await, Err(FetchError::Request(_))), "{url}");
    }
    assert_eq!((allowed.connections(), trap.connections()), (1, 0));
    assert!(look_ups.load(Ordering::SeqCst) >= 2);
    knock(trap.address).await;
}
