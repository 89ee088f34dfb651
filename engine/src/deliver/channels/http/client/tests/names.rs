//! The address guard from the outside: where connections go, whatever the URL says and names answer.

use std::net::Ipv4Addr;

use super::*;
use crate::deliver::testing::{knock, name_server};

const FORBIDDEN: &[&str] = &include!("../../../../../../../runtime/src/guard/forbidden.in");

const OPEN: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// On this machine too, so that a connection to it would succeed, but not allowed.
const DENIED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Two sinks on one port: where it is allowed to go, and where it is not.
async fn open_and_trap() -> (Sink, Sink) {
    loop {
        let open = Sink::new(Answer::ThenClose("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".into())).await;
        let trap = (DENIED, open.address.port()).into();
        if tokio::net::TcpListener::bind(trap).await.is_ok() {
            return (open, Sink::at(trap, Answer::status("200 OK")).await);
        }
    }
}

async fn send_through(resolver: Resolver, name: &str, port: u16) -> Result<u16, FailureKind> {
    let outbound = Outbound { resolver, ..outbound() };
    let channel = HttpChannel::new(&destination(&format!("http://{name}:{port}/in")), &outbound);
    let result = channel.send(&event(&[], b"{}"), attempted_at()).await;
    result.map(|delivered| delivered.status).map_err(|failure| failure.kind)
}

#[tokio::test]
async fn no_forbidden_literal_is_connected_to() {
    for url in FORBIDDEN {
        let Ok(url) = url.parse() else { continue };
        let closed = Destination { target: Target::Url(url), allow: vec![], ..destination("http://unused/") };
        let failure = send_to(&closed).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Denied, "{:?}: {failure}", closed.target);
    }
}

#[tokio::test]
async fn names_of_this_machine_are_denied() {
    for name in ["localhost", "LOCALHOST", "localhost.", "a.localhost"] {
        let closed = Destination { allow: vec![], ..destination(&format!("http://{name}:1/")) };
        let failure = send_to(&closed).await.unwrap_err();
        assert!(matches!(failure.kind, FailureKind::Denied | FailureKind::Dns), "{name}: {failure:?}");
    }
}

#[tokio::test]
async fn denied_answers_of_a_name_are_skipped() {
    let (open, trap) = open_and_trap().await;
    let resolver = name_server(|_| (None, vec![DENIED, OPEN, Ipv4Addr::new(10, 0, 0, 1)])).await;
    assert_eq!(send_through(resolver, "mixed.test", open.address.port()).await, Ok(200));
    assert_eq!((open.requests().len(), trap.connections()), (1, 0));
}

#[tokio::test]
async fn name_with_none_but_denied_answers_is_denied() {
    let (open, trap) = open_and_trap().await;
    for answers in
        [vec![DENIED], vec![DENIED, Ipv4Addr::new(169, 254, 169, 254)], vec![Ipv4Addr::UNSPECIFIED]]
    {
        let resolver = name_server(move |_| (None, answers.clone())).await;
        assert_eq!(send_through(resolver, "inner.test", open.address.port()).await, Err(FailureKind::Denied));
    }
    assert_eq!((open.connections(), trap.connections()), (0, 0));
    knock(trap.address).await;
    while trap.connections() == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn alias_is_judged_by_the_address_behind_it() {
    let (open, trap) = open_and_trap().await;
    let port = open.address.port();
    let resolver = name_server(|_| (Some("behind.test"), vec![DENIED])).await;
    assert_eq!(send_through(resolver, "alias.test", port).await, Err(FailureKind::Denied));
    let resolver = name_server(|_| (Some("behind.test"), vec![OPEN])).await;
    assert_eq!(send_through(resolver, "alias.test", port).await, Ok(200));
    assert_eq!(trap.connections(), 0);
}

/// Each look-up gets another answer, and each attempt needs a new connection.
#[tokio::test]
async fn name_that_changes_its_answer_never_leads_astray() {
    let (open, trap) = open_and_trap().await;
    let turn = std::sync::atomic::AtomicUsize::new(0);
    let resolver = name_server(move |_| match turn.fetch_add(1, std::sync::atomic::Ordering::SeqCst) % 3 {
        0 => (None, vec![OPEN]),
        1 => (None, vec![DENIED]),
        _ => (None, vec![DENIED, OPEN]),
    })
    .await;
    let (mut delivered, mut denied) = (0, 0);
    for _ in 0..300 {
        match send_through(resolver.clone(), "turning.test", open.address.port()).await {
            Ok(200) => delivered += 1,
            Err(FailureKind::Denied) => denied += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(delivered >= 100 && denied >= 50, "{delivered} delivered, {denied} denied");
    assert_eq!((open.requests().len(), trap.connections()), (delivered, 0));
}

/// The answers for its name may change. Only the addresses that the operator wrote are used.
#[tokio::test]
async fn service_is_reached_at_its_own_addresses_and_at_no_others() {
    let (open, trap) = open_and_trap().await;
    let peers = tempfile::tempdir().unwrap();
    std::fs::write(peers.path().join("it.desk.addresses"), "127.0.0.1\n").unwrap();
    let url = format!("http://desk.it.svc:{}/hooks", open.address.port()).parse().unwrap();
    let target = Target::Service { namespace: "it".into(), name: "desk".into(), url };
    let send = async |answers: Vec<Ipv4Addr>| {
        let resolver = name_server(move |_| (None, answers.clone())).await;
        let outbound = Outbound { resolver, peers_dir: peers.path().into(), ..outbound() };
        let destination = Destination { target: target.clone(), ..destination("http://unused/") };
        let result = HttpChannel::new(&destination, &outbound).send(&event(&[], b"{}"), attempted_at()).await;
        result.map(|delivered| delivered.status).map_err(|failure| failure.kind)
    };
    assert_eq!(send(vec![OPEN]).await, Ok(200));
    assert_eq!(send(vec![DENIED]).await, Err(FailureKind::Denied));
    assert_eq!(
        send(vec![Ipv4Addr::new(93, 184, 216, 34)]).await,
        Err(FailureKind::Denied),
        "a public one neither"
    );
    std::fs::remove_file(peers.path().join("it.desk.addresses")).unwrap();
    assert_eq!(send(vec![OPEN]).await, Err(FailureKind::Misconfigured));
    assert_eq!((open.requests().len(), trap.connections()), (1, 0));
}

#[tokio::test]
async fn name_without_answers_is_a_failure_of_dns() {
    let resolver = name_server(|_| (None, vec![])).await;
    assert_eq!(send_through(resolver, "nobody.test", 80).await, Err(FailureKind::Dns));
}
