//! A destination that changes keeps what is not concerned: its connections, and its token.

use visnyk_crds::valid::{DestinationTls, Format, Retry};

use super::tls::{authority, roots};
use super::*;
use crate::deliver::channels;

/// Sends once, and returns how many connections there have been since the sink began.
async fn connections_after_sending(channel: &dyn Channel, sink: &Sink) -> usize {
    assert_eq!(channel.send(&event(&[], b"{}"), attempted_at()).await.unwrap().status, 200);
    sink.connections()
}

#[tokio::test]
async fn changed_destination_keeps_connections_that_do_not_depend_on_it() {
    let sink = Sink::new(Answer::status("200 OK")).await;
    let first = destination(&sink.url());
    let elsewhere = format!("http://{}/other", sink.address).parse().unwrap();
    let patient = Retry { schedule: vec![Duration::from_secs(1)], jitter_percent: 0 };
    let mut channel = channels::open(&first, &outbound(), None);
    assert_eq!(connections_after_sending(&*channel, &sink).await, 1);
    for changed in [
        Destination { retry: patient, ..first.clone() },
        Destination { concurrency: 1, ..first.clone() },
        Destination { concurrency: 64, ..first.clone() },
        Destination { timeout: Duration::from_secs(9), ..first.clone() },
        Destination { format: Format::Line, ..first.clone() },
        Destination { target: Target::Url(elsewhere), ..first.clone() },
    ] {
        channel = channel.changed_to(&changed);
        assert_eq!(connections_after_sending(&*channel, &sink).await, 1, "{changed:?}");
    }
}

#[tokio::test]
async fn changes_of_what_connections_depend_on_close_them() {
    let sink = Sink::new(Answer::status("200 OK")).await;
    let first = destination(&sink.url());
    let ranges = vec!["127.0.0.0/8".parse().unwrap()];
    let named = format!("http://localhost:{}/in", sink.address.port()).parse().unwrap();
    let mut channel = channels::open(&first, &Outbound { roots: roots(&authority()), ..outbound() }, None);
    assert_eq!(connections_after_sending(&*channel, &sink).await, 1);
    let tls = |tls| Destination { tls, ..first.clone() };
    for (index, changed) in [
        Destination { allow: ranges, ..first.clone() },
        Destination { target: Target::Url(named), ..first.clone() },
        tls(DestinationTls { pins: vec![[7; 32]], ..DestinationTls::default() }),
        tls(DestinationTls { server_name: Some("other.test".into()), ..DestinationTls::default() }),
    ]
    .into_iter()
    .enumerate()
    {
        channel = channel.changed_to(&changed);
        assert_eq!(connections_after_sending(&*channel, &sink).await, index + 2, "{changed:?}");
    }
}
