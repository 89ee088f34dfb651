//! Certificates are swapped as a kubelet swaps them while senders connect, and none of them notices; a pair that is of no
//! use is never shown, and what was before it stays.

use std::{
    fs,
    net::Ipv4Addr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::json;
use tokio::time::sleep;
use visnyk_tests::{
    authority::Authority,
    files::Volume,
    manifest::{self, RELAY_PORT, destination},
    pace::beside,
    proof::{report, test_effort},
    relay::Relay,
    tally::{Manner, Tally},
    wait::eventually,
    wire::{Protocol, Wire},
};

const SENDER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// A hundred handshakes a second.
const EVERY: Duration = Duration::from_millis(10);
/// One pair in so many is bad.
const BAD: u64 = 4;
/// Further files that the relay may have open: the tests' own requests to it.
const FILES: usize = 2;
/// Memory in bytes by which it may grow, most of which is what many handshakes take at once on a busy machine.
const GROWN: u64 = 16 << 20;

/// The certificates that could be shown, in the order in which they were swapped in.
#[derive(Debug, Default)]
struct Served {
    written: Vec<CertificateDer<'static>>,
    /// The one that a handshake has seen; those before it have had their time.
    settled: usize,
}

/// Outcomes of the handshakes of a swap.
#[derive(Debug, Default)]
struct Seen {
    succeeded: u64,
    failures: Vec<String>,
}

/// Connects anew again and again for as long as something else takes.
async fn connect_beside(wire: &Wire, served: &Arc<Mutex<Served>>, other: impl Future<Output = ()>) -> Seen {
    let (outcomes, ()) = beside(EVERY, other, |_| {
        let (wire, served) = (wire.clone(), served.clone());
        async move { connect(&wire, &served).await }
    })
    .await;
    let mut seen = Seen::default();
    for outcome in outcomes {
        match outcome {
            Ok(()) => seen.succeeded += 1,
            Err(failure) => seen.failures.push(failure),
        }
    }
    seen
}

/// Makes one handshake, which is to be shown the certificate that was active when it began, or one that came while it
/// lasted.
async fn connect(wire: &Wire, served: &Mutex<Served>) -> Result<(), String> {
    let settled = served.lock().unwrap().settled;
    let certificate = shown(wire).await?;
    let served = served.lock().unwrap();
    if !served.written[settled..].contains(&certificate) {
        return Err("was shown what was not in force".into());
    }
    Ok(())
}

async fn shown(wire: &Wire) -> Result<CertificateDer<'static>, String> {
    let stream = wire.tls(Protocol::Http1).await.map_err(|error| error.to_string())?;
    Ok(stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned())
}

fn in_folder(folder: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(folder.join("tls.crt")).unwrap()
}

/// Writes a pair that is bad in one of several ways.
fn write_bad(way: u64, authority: &Authority, folder: &Path) {
    authority.write_server(folder);
    let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    match way % 5 {
        0 => {
            let anothers = fs::read(&key).unwrap();
            authority.write_server(folder);
            fs::write(key, anothers).unwrap();
        }
        1 => fs::write(certificate, "no certificate").unwrap(),
        2 => fs::write(key, "").unwrap(),
        3 => fs::remove_file(certificate).unwrap(),
        _ => authority.write_expired_server(folder),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_swapped_under_handshakes_and_none_fails() {
    let sink = Tally::start(Manner::Takes).await;
    let mut manifest = manifest::relay([destination("sink", &sink.url())]);
    manifest["spec"]["listener"]["tls"] = json!({"secretName": "front"});
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("front");
    let ca = folder.path().join("ca.crt");
    fs::write(&ca, &authority.certificate).unwrap();
    let front = folder.path().join("secrets/front");
    let mut volume = Volume::new(front.clone(), &["tls.crt", "tls.key"]);
    volume.swap(|folder| authority.write_server(folder));
    let data_dir = folder.path().join("data");
    let mut relay = Relay::start_in(folder, data_dir, &manifest).await;
    let wire = Wire::new(relay.address().port(RELAY_PORT), SENDER, &ca);
    let served = Arc::new(Mutex::new(Served { written: vec![in_folder(&front)], settled: 0 }));

    let files = relay.process.open_files();
    let warm = connect_beside(&wire, &served, sleep(Duration::from_secs(1))).await;
    assert_eq!(warm.failures, Vec::<String>::new());
    let memory = relay.process.memory();
    let swaps = test_effort(100, 1_000);
    let told = async || relay.process.said().matches("not all of tls was loaded").count();
    let swapping = async {
        for turn in 1..=swaps {
            if turn.is_multiple_of(BAD) {
                let before = told().await;
                volume.swap(|folder| write_bad(turn / BAD, &authority, folder));
                eventually("bad pair told of", told, |times| *times > before).await;
                continue;
            }
            let mut wanted = None;
            volume.swap(|folder| {
                authority.write_server(folder);
                wanted = Some(in_folder(folder));
                served.lock().unwrap().written.extend(wanted.clone());
            });
            let newest = async || shown(&wire).await.ok() == wanted;
            eventually("the newest is shown", newest, |newest| *newest).await;
            let mut served = served.lock().unwrap();
            served.settled = served.written.len() - 1;
        }
    };
    let seen = connect_beside(&wire, &served, swapping).await;

    relay.process.assert_running();
    let open = async || relay.process.open_files();
    let open = eventually("files given back", open, |open| *open <= files + FILES).await;
    let grown = relay.process.memory().saturating_sub(memory);
    report(
        "certificates swapped",
        &format!(
            "{swaps} swaps, {} of them bad pairs, {} handshakes, {} failed, {files} files open before, {open} after, \
             {} KiB more memory",
            swaps / BAD,
            seen.succeeded,
            seen.failures.len(),
            grown >> 10
        ),
    );
    assert_eq!(seen.failures, Vec::<String>::new());
    assert!(grown <= GROWN, "memory grew by {} KiB", grown >> 10);
}
