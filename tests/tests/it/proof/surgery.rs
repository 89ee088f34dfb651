//! Each file of a dead relay's data folder removed, cut, emptied, doubled, renamed, made somebody else's: the relay opens
//! and says what is lost, or refuses and says why; never a restart, never an empty spool in place of a full one.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
};

use futures::{StreamExt, stream};
use serde_json::json;
use visnyk_tests::{
    conservation::assert_adds_up,
    files::{copy_all, files_below, folder_in_memory},
    flood::Flood,
    manifest::{self, destination},
    proof::report,
    relay::Relay,
    tally::{Manner, Tally},
    wait::eventually,
};

const EVENTS: usize = 600;
/// The user that the images run as.
const USER: u32 = 65_532;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Surgery {
    Removed,
    CutInHalf,
    Emptied,
    Doubled,
    Renamed,
    OfAnotherOwner,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Whole,
    Counted,
    Refused,
}

const SURGERIES: [Surgery; 6] = [
    Surgery::Removed,
    Surgery::CutInHalf,
    Surgery::Emptied,
    Surgery::Doubled,
    Surgery::Renamed,
    Surgery::OfAnotherOwner,
];

impl Surgery {
    fn on(self, file: &Path) {
        // A name that the relay takes for one of its own, where there is such a thing.
        let is_segment = file.extension().is_some_and(|ending| ending == "seg");
        let other = if is_segment { file.with_file_name("000077.seg") } else { file.with_extension("other") };
        match self {
            Self::Removed => fs::remove_file(file).unwrap(),
            Self::CutInHalf => {
                let bytes = fs::read(file).unwrap();
                fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
            }
            Self::Emptied => fs::write(file, b"").unwrap(),
            Self::Doubled => {
                fs::copy(file, &other).unwrap();
                chown(other, Some(USER), Some(USER)).unwrap();
            }
            Self::Renamed => fs::rename(file, other).unwrap(),
            Self::OfAnotherOwner => {
                chown(file, Some(0), Some(0)).unwrap();
                fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_can_be_lost_or_damaged_without_a_silent_loss() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    let sink = Tally::start(Manner::Hangs).await;
    let manifest = manifest::relay([destination("sink", &sink.url())]);
    let mut relay = Relay::start(&manifest).await;
    let flood = Flood::of(&relay, 8);
    flood.resume();
    eventually("accepted", async || flood.accepted(), |accepted| *accepted >= EVENTS).await;
    flood.pause();
    // The state knows of all of it a moment later.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    relay.kill();
    let accepted: Vec<u64> = flood.answers().accepted.into_keys().collect();
    let patients = files_below(relay.data_dir());
    let operations = patients.iter().flat_map(|file| SURGERIES.map(|surgery| (file, surgery)));
    let operated =
        stream::iter(operations).map(|(file, surgery)| operate(relay.data_dir(), file, surgery, &accepted));
    let outcomes: Vec<_> = operated.buffer_unordered(6).collect().await;
    let count = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count();
    report(
        "file surgery",
        &format!(
            "{} operations on {} files: {} opened and nothing lost, {} opened and the loss counted, {} refused with the \
             reason; 0 silent losses, 0 restarts",
            outcomes.len(),
            patients.len(),
            count(Outcome::Whole),
            count(Outcome::Counted),
            count(Outcome::Refused)
        ),
    );
}

/// Copies a data folder, does it to one file, starts a relay on it, and says what came of it.
async fn operate(data_dir: &Path, file: &Path, surgery: Surgery, accepted: &[u64]) -> Outcome {
    let what = format!("{} {surgery:?}", file.display());
    let sink = Tally::start(Manner::Takes).await;
    let folder = folder_in_memory();
    let copy = folder.path().join("data");
    copy_all(data_dir, &copy);
    give_to(USER, folder.path());
    surgery.on(&copy.join(file));
    let mut manifest = manifest::relay([destination("sink", &sink.url())]);
    manifest["spec"]["destinations"][0]["timeout"] = "10s".into();
    let mut relay = Relay::launch_in(folder, copy, &manifest, USER);
    let settled = |answer: &Option<(http::StatusCode, String)>| {
        answer.as_ref().is_some_and(|(status, body)| *status == 200 || body.contains(" cannot "))
    };
    let answer = eventually(&what, async || relay.probes.get("/readyz").await, settled).await;
    let (status, reason) = answer.unwrap();
    assert!(relay.probes.alive().await, "{what}: {reason}");
    if status != 200 {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        relay.process.assert_running();
        let cause = reason.split(": ").last().unwrap_or_default();
        assert!(cause.trim().len() > 10, "{what}: no reason is given: {reason}");
        return Outcome::Refused;
    }
    let status = relay.until("sink", "nothing pending", |sink| sink["pending"] == 0).await;
    assert_adds_up(&relay.probes.status().await);
    let book = sink.book();
    let lost = accepted.iter().filter(|number| !book.taken.contains_key(number)).count();
    assert_eq!(book.altered, 0, "{what}");
    assert_eq!(status["damaged"], json!(lost), "{what}: {lost} are missing: {status}");
    assert!(status["accepted"].as_u64().unwrap() >= accepted.len() as u64, "{what}: {status}");
    if lost == 0 { Outcome::Whole } else { Outcome::Counted }
}

fn give_to(user: u32, folder: &Path) {
    chown(folder, Some(user), Some(user)).unwrap();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { give_to(user, &entry) } else { chown(entry, Some(user), Some(user)).unwrap() }
    }
}
