//! Tokens of an authorization server, and what follows when there is none or it is refused.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use visnyk_crds::valid::{Authorization, ClientCredentials, SecretRef};

use super::*;
use crate::deliver::channels;
use crate::deliver::testing::name_server;

const CANARY: &str = "canary:c1/ient secret";

/// A destination and an authorization server that hands out `token-1`, `token-2`, ...
struct World {
    _secrets: tempfile::TempDir,
    outbound: Outbound,
    destination: Destination,
}

fn write(folder: &Path, key: &str, text: &str) {
    fs::create_dir_all(folder.join("login")).unwrap();
    fs::write(folder.join("login").join(key), text).unwrap();
}

fn world(destination_url: &str, token_url: &str) -> World {
    let secrets = tempfile::tempdir().unwrap();
    write(secrets.path(), "id", "relay & co\n");
    write(secrets.path(), "secret", CANARY);
    let secret = |key: &str| SecretRef { name: "login".into(), key: key.into() };
    let client = ClientCredentials {
        token_url: token_url.parse().unwrap(),
        client_id: secret("id"),
        client_secret: secret("secret"),
        scope: "tide berth:write".into(),
        audience: Some("https://pilot.example.org".into()),
        authorities: None,
    };
    let authorization = Some(Authorization::ClientCredentials(client));
    World {
        outbound: Outbound { secrets_dir: secrets.path().to_owned(), ..outbound() },
        _secrets: secrets,
        destination: Destination { authorization, ..destination(destination_url) },
    }
}

async fn send(channel: &dyn Channel) -> Result<u16, (FailureKind, String)> {
    let result = channel.send(&event(&[], b"{}"), attempted_at()).await;
    result.map(|delivered| delivered.status).map_err(|failure| (failure.kind, failure.detail))
}

/// A server of this answer for each request, by its number and its `Authorization`.
async fn serve(
    answer: impl Fn(usize, &str) -> Response<String> + Send + Sync + 'static,
) -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let (answer, count) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (answer, counter) = (Arc::clone(&answer), Arc::clone(&counter));
            let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                let (answer, counter) = (Arc::clone(&answer), Arc::clone(&counter));
                async move {
                    let authorization = request.headers().get(AUTHORIZATION).cloned();
                    let _ = request.into_body().collect().await;
                    let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
                    let authorization = authorization.map(|value| value.to_str().unwrap().to_owned());
                    Ok::<_, hyper::Error>(answer(number, authorization.as_deref().unwrap_or_default()))
                }
            });
            let io = hyper_util::rt::TokioIo::new(stream);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
        }
    });
    (url, count)
}

fn token(number: usize, seconds: &str) -> Response<String> {
    let json = format!(r#"{{"access_token":"token-{number}","token_type":"Bearer","expires_in":{seconds}}}"#);
    Response::new(json)
}

fn status(status: u16) -> Response<String> {
    Response::builder().status(status).body(String::new()).unwrap()
}

#[tokio::test]
async fn the_token_is_asked_for_as_the_rfc_has_it_and_sent_with_each_request() {
    let json = r#"{"access_token":"t0ken","token_type":"bearer","expires_in":3600}"#;
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{json}", json.len());
    let server = Sink::new(Answer::Whole(answer)).await;
    let sink = Sink::new(Answer::status("200 OK")).await;
    let world = world(&sink.url(), &server.url());
    let channel = HttpChannel::new(&world.destination, &world.outbound);
    for _ in 0..3 {
        assert_eq!(send(&channel).await, Ok(200));
    }
    let [asked] = &server.requests()[..] else { panic!("{:?}", server.requests()) };
    // printf 'relay+%26+co:canary%3Ac1%2Fient+secret' | base64
    for line in [
        "POST /in HTTP/1.1",
        "authorization: Basic cmVsYXkrJTI2K2NvOmNhbmFyeSUzQWMxJTJGaWVudCtzZWNyZXQ=",
        "content-type: application/x-www-form-urlencoded",
        "grant_type=client_credentials&scope=tide+berth%3Awrite&audience=https%3A%2F%2Fpilot.example.org",
    ] {
        assert!(asked.contains(line), "{line} in {asked}");
    }
    assert!(sink.requests().iter().all(|request| request.contains("authorization: Bearer t0ken\r\n")));
}

#[tokio::test]
async fn many_requests_at_once_fetch_one_token() {
    let (tokens, fetched) = serve(|number, _| token(number, "3600")).await;
    let (url, delivered) = serve(|_, proof| status(if proof == "Bearer token-1" { 200 } else { 401 })).await;
    let world = world(&url, &tokens);
    let channel = HttpChannel::new(&world.destination, &world.outbound);
    let all = futures::future::join_all((0..50).map(|_| send(&channel))).await;
    assert!(all.iter().all(|result| *result == Ok(200)), "{all:?}");
    assert_eq!((fetched.load(Ordering::SeqCst), delivered.load(Ordering::SeqCst)), (1, 50));
}

#[tokio::test]
async fn a_changed_destination_keeps_its_token_until_the_token_s_secrets_change() {
    let (tokens, fetched) = serve(|number, _| token(number, "3600")).await;
    let (url, _) = serve(|_, _| status(200)).await;
    let world = world(&url, &tokens);
    let channel = channels::open(&world.destination, &world.outbound, None);
    assert_eq!(send(&*channel).await, Ok(200));
    let channel = channel.changed_to(&Destination { concurrency: 9, ..world.destination.clone() });
    assert_eq!(send(&*channel).await, Ok(200));
    assert_eq!(fetched.load(Ordering::SeqCst), 1);
    write(&world.outbound.secrets_dir, "secret", "another");
    let channel = channel.refreshed().unwrap();
    assert_eq!(send(&*channel).await, Ok(200));
    assert_eq!(fetched.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_and_the_same_attempt_goes_on() {
    let (tokens, fetched) = serve(|number, _| token(number, "3600")).await;
    let (url, asked) = serve(|_, proof| status(if proof == "Bearer token-2" { 200 } else { 401 })).await;
    let world = world(&url, &tokens);
    let channel = HttpChannel::new(&world.destination, &world.outbound);
    assert_eq!(send(&channel).await, Ok(200));
    assert_eq!(send(&channel).await, Ok(200));
    assert_eq!((fetched.load(Ordering::SeqCst), asked.load(Ordering::SeqCst)), (2, 3));
}

#[tokio::test]
async fn destination_that_refuses_every_token_causes_no_further_fetch() {
    let (tokens, fetched) = serve(|number, _| token(number, "3600")).await;
    let (url, _) = serve(|_, _| status(401)).await;
    let world = world(&url, &tokens);
    let channel = HttpChannel::new(&world.destination, &world.outbound);
    for _ in 0..10 {
        assert_eq!(send(&channel).await, Err((FailureKind::Status(401), "answered 401".into())));
    }
    assert_eq!(fetched.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_token_is_not_used_to_its_very_end() {
    let (tokens, fetched) = serve(|number, _| token(number, r#""1""#)).await;
    let sink = Sink::new(Answer::status("200 OK")).await;
    let world = world(&sink.url(), &tokens);
    let channel = HttpChannel::new(&world.destination, &world.outbound);
    assert_eq!(send(&channel).await, Ok(200));
    assert_eq!(send(&channel).await, Ok(200));
    assert_eq!(fetched.load(Ordering::SeqCst), 1);
    tokio::time::sleep(Duration::from_millis(850)).await;
    assert_eq!(send(&channel).await, Ok(200));
    assert_eq!(fetched.load(Ordering::SeqCst), 2, "four fifths of its second are over");
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_the_reason_tells_no_secret() {
    let json = |status: u16, text: &str| {
        let body = text.replace("CANARY", CANARY);
        Response::builder().status(status).body(body).unwrap()
    };
    let sink = Sink::new(Answer::status("200 OK")).await;
    for (status, text, reason) in [
        (401, r#"{"error":"invalid_client"}"#, "token request: answered 401 (invalid_client)"),
        (400, r#"{"error":"CANARY","error_description":"CANARY"}"#, "token request: answered 400"),
        (
            200,
            r#"{"access_token":"","token_type":"Bearer"}"#,
            "token request: the answer holds no bearer token",
        ),
        (
            200,
            r#"{"access_token":"a\r\nb","token_type":"Bearer"}"#,
            "token request: the answer holds no bearer token",
        ),
        (
            200,
            r#"{"access_token":"CANARY","token_type":"mac"}"#,
            "token request: the answer holds no bearer token",
        ),
        (200, "CANARY", "token request: the answer holds no bearer token"),
        (503, "", "token request: answered 503"),
    ] {
        let text = text.to_owned();
        let (tokens, _) = serve(move |_, _| json(status, &text)).await;
        let world = world(&sink.url(), &tokens);
        let result = send(&HttpChannel::new(&world.destination, &world.outbound)).await;
        assert_eq!(result, Err((FailureKind::Token, reason.to_owned())));
    }
    assert_eq!(sink.connections(), 0);
}

#[tokio::test]
async fn those_that_waited_for_a_fetch_that_failed_fail_with_it() {
    let (tokens, fetched) = serve(|_, _| status(500)).await;
    let world = world("http://127.0.0.1:1/", &tokens);
    let channel = HttpChannel::new(&world.destination, &world.outbound);
    let all = futures::future::join_all((0..20).map(|_| send(&channel))).await;
    assert!(all.iter().all(|result| matches!(result, Err((FailureKind::Token, _)))), "{all:?}");
    assert_eq!(fetched.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_token_request_is_not_redirected() {
    let (elsewhere, reached) = serve(|number, _| token(number, "3600")).await;
    let (tokens, _) = serve(move |_, _| {
        Response::builder().status(307).header("location", &elsewhere).body(String::new()).unwrap()
    })
    .await;
    let world = world("http://127.0.0.1:1/", &tokens);
    let result = send(&HttpChannel::new(&world.destination, &world.outbound)).await;
    assert_eq!(result, Err((FailureKind::Token, "token request: answered 307".into())));
    assert_eq!(reached.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_token_request_passes_the_address_guard() {
    for url in ["http://169.254.169.254/token", "http://127.0.0.2:1/token", "http://[::1]:1/token"] {
        let world = world("http://127.0.0.1:1/", url);
        let (kind, detail) = send(&HttpChannel::new(&world.destination, &world.outbound)).await.unwrap_err();
        assert_eq!(kind, FailureKind::Token);
        assert!(detail.starts_with("token request: ") && detail.ends_with(" address"), "{detail}");
    }
}

/// The name is good when it is looked at first, and leads elsewhere on this machine when it counts.
#[tokio::test]
async fn a_name_that_changes_its_answer_leads_the_token_request_nowhere_else() {
    let trap = Sink::at((Ipv4Addr::new(127, 0, 0, 2), 0).into(), Answer::status("200 OK")).await;
    let turn = AtomicUsize::new(0);
    let resolver = name_server(move |_| {
        let answer = if turn.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) { 2 } else { 1 };
        (None, vec![Ipv4Addr::new(127, 0, 0, answer)])
    })
    .await;
    let mut world = world("http://127.0.0.1:1/", &format!("http://login.test:{}/token", trap.address.port()));
    world.outbound.resolver = resolver;
    let mut denied = 0;
    for _ in 0..20 {
        // A new channel each time: no failure is remembered, and no connection kept.
        let (kind, detail) = send(&HttpChannel::new(&world.destination, &world.outbound)).await.unwrap_err();
        assert_eq!(kind, FailureKind::Token);
        denied += usize::from(detail.ends_with("is a private or special-purpose address"));
    }
    assert!(denied >= 5, "{denied} of 20 were denied");
    assert_eq!(trap.connections(), 0);
}

#[tokio::test]
async fn a_client_without_its_secret_waits_and_asks_for_nothing() {
    let (tokens, fetched) = serve(|number, _| token(number, "3600")).await;
    let world = world("http://127.0.0.1:1/", &tokens);
    write(&world.outbound.secrets_dir, "secret", "\n");
    let channel = HttpChannel::new(&world.destination, &world.outbound);
    assert_eq!(channel.waits_for(), Some("secret login/secret is empty"));
    assert!(send(&channel).await.is_err());
    assert_eq!(fetched.load(Ordering::SeqCst), 0);
    write(&world.outbound.secrets_dir, "secret", CANARY);
    assert_eq!(channel.refreshed().unwrap().waits_for(), None);
}
