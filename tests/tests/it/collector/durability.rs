//! Nothing that was answered with 2xx is lost: not by a kill, not by going away, not by a new file.

use std::{
    collections::BTreeSet,
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rand::RngExt;
use rustix::process::Signal;
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};
use visnyk_tests::{
    collector::{COLLECTOR, Collector},
    manifest,
    power::{Disk, FileSystem, Lab},
    process::Process,
    proof::{report, seed, test_effort},
};

/// Lines that were answered with 2xx.
type Promised = Arc<Mutex<BTreeSet<String>>>;

/// Sends lines, eight at once, until told to stop.
fn load(collector: &Collector, promised: &Promised, stop: &Arc<AtomicBool>) -> JoinSet<()> {
    let (client, url) = (collector.client(), collector.url());
    let mut tasks = JoinSet::new();
    for sender in 0..8 {
        let (client, url, promised, stop) = (client.clone(), url.clone(), promised.clone(), stop.clone());
        tasks.spawn(async move {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                number += 1;
                let line = format!("sender {sender} line {number} {}", "x".repeat(500));
                match client.post(&url).body(line.clone()).send().await {
                    Ok(answer) if answer.status().is_success() => {
                        promised.lock().unwrap().insert(line);
                    }
                    _ => sleep(Duration::from_millis(5)).await,
                }
            }
        });
    }
    tasks
}

/// Waits until so many more lines were promised.
async fn more(promised: &Promised, count: usize) {
    let before = promised.lock().unwrap().len();
    let len = async || promised.lock().unwrap().len();
    visnyk_tests::wait::eventually("lines accepted", len, |&len| len >= before + count).await;
}

/// Returns every line of every file of the log.
fn lines(collector: &Collector) -> Vec<String> {
    let files = fs::read_dir(collector.data_dir()).unwrap().map(|entry| entry.unwrap().path());
    let logs = files.filter(|path| path.to_str().unwrap().contains("webhook.log"));
    logs.flat_map(|path| fs::read_to_string(path).unwrap().lines().map(ToOwned::to_owned).collect::<Vec<_>>())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn promised_lines_survive_kills_under_load_and_rotation() {
    let mut manifest = manifest::collector();
    manifest["spec"]["log"]["rotate"] = json!({"size": "64Ki", "keep": 1000});
    let mut collector = Collector::start(&manifest).await;
    let (promised, stop) = (Promised::default(), Arc::<AtomicBool>::default());
    let senders = load(&collector, &promised, &stop);
    for _ in 0..5 {
        more(&promised, 150).await;
        collector.process.kill();
        collector.restart().await;
    }
    stop.store(true, Ordering::Relaxed);
    senders.join_all().await;
    let logged: BTreeSet<String> = lines(&collector).into_iter().collect();
    let lost: Vec<_> = promised.lock().unwrap().difference(&logged).cloned().collect();
    assert_eq!(lost, Vec::<String>::new());
    assert!(collector.data_dir().join("webhook.log.2").exists(), "nothing was rotated");
}

/// Cuts the power as `proof::power_cut` does for the relay.
#[tokio::test(flavor = "multi_thread")]
async fn power_cuts_under_load_and_rotation_lose_no_promised_line() {
    let Some(lab) = Lab::new() else { return };
    let (mut random, disk) = (seed(), lab.disk(FileSystem::Ext4));
    let mut manifest = manifest::collector();
    manifest["spec"]["log"]["rotate"] = json!({"size": "64Ki", "keep": 1000});
    let start =
        |disk: &Disk| Collector::start_in(tempfile::tempdir().unwrap(), disk.path().join("data"), &manifest);
    let collector = start(&disk);
    collector.probes.ready().await;
    let (promised, stop) = (Promised::default(), Arc::<AtomicBool>::default());
    let senders = load(&collector, &promised, &stop);
    let cuts = test_effort(10, 200);
    for _ in 0..cuts {
        more(&promised, random.random_range(1..150)).await;
        sleep(Duration::from_millis(random.random_range(0..20))).await;
        collector.process.stand_still().await;
        let dead = lab.after_power_cut(&disk);
        let before = promised.lock().unwrap().clone();
        let revived = start(&dead);
        revived.probes.ready().await;
        let logged: BTreeSet<String> = lines(&revived).into_iter().collect();
        let lost: Vec<_> = before.difference(&logged).collect();
        assert_eq!(lost, Vec::<&String>::new());
        // Only now: what came meanwhile would push the oldest lines out of a log that keeps a thousand files.
        collector.process.signal(Signal::CONT);
    }
    stop.store(true, Ordering::Relaxed);
    senders.join_all().await;
    assert!(collector.data_dir().join("webhook.log.2").exists(), "nothing was rotated");
    report(
        "power cut of a collector",
        &format!("{cuts} states, {} acknowledged lines, 0 lost", promised.lock().unwrap().len()),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn torn_last_line_is_closed_at_start() {
    let mut collector = Collector::start(&manifest::collector()).await;
    collector.process.kill();
    fs::write(collector.data_dir().join("webhook.log"), "whole\ntorn in the mid").unwrap();
    collector.restart().await;
    collector.client().post(collector.url()).body("next").send().await.unwrap();
    assert_eq!(collector.log(), "whole\ntorn in the mid\nnext\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_finishes_what_is_in_flight_and_exits_cleanly() {
    let mut collector = Collector::start(&manifest::collector()).await;
    let (promised, stop) = (Promised::default(), Arc::<AtomicBool>::default());
    let senders = load(&collector, &promised, &stop);
    more(&promised, 100).await;
    let status = collector.terminate().await;
    assert_eq!(status.code(), Some(0));
    stop.store(true, Ordering::Relaxed);
    senders.join_all().await;
    let logged: BTreeSet<String> = lines(&collector).into_iter().collect();
    assert!(promised.lock().unwrap().is_subset(&logged));
}

#[tokio::test(flavor = "multi_thread")]
async fn second_process_on_a_folder_is_refused() {
    let collector = Collector::start(&manifest::collector()).await;
    let manifest = collector.data_dir().parent().unwrap().join("manifest.yaml");
    let data = collector.data_dir().to_str().unwrap();
    let second = Process::run(
        COLLECTOR,
        ["run", "--manifest", manifest.to_str().unwrap(), "--data-dir", data, "--address=127.0.0.1"],
    );
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains(&format!("in use by process {}", collector.process.id())), "{said}");
}
