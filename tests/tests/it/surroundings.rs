//! Behaviour of the two binaries on signals, and with a log that nobody reads.

use std::{
    fs::File,
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, mknodat},
    process::Signal,
};
use serde_json::Value;
use visnyk_tests::{
    address::Address,
    collector::{COLLECTOR, Collector},
    conservation::assert_conserved,
    manifest::{self, destination},
    process::Process,
    relay::{RELAY, Relay},
    sender::Sender,
    sink::{Behaviour, Sink},
    wait::eventually,
};

fn make_fifo(path: PathBuf) -> PathBuf {
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    path
}

/// Asks a binary to go while it reads its manifest, which is a pipe, and waits until it has gone.
async fn go_while_the_manifest_is_read(binary: &str, manifest: &Value) -> Option<i32> {
    let folder = tempfile::tempdir().unwrap();
    let pipe = make_fifo(folder.path().join("manifest.yaml"));
    let address = Address::take();
    let flag = |name: &str, value: &Path| format!("--{name}={}", value.display());
    let args = [
        "run".to_owned(),
        flag("manifest", &pipe),
        flag("data-dir", &folder.path().join("data")),
        format!("--address={}", address.ip()),
        "--drain-grace=0".to_owned(),
    ];
    let mut process = Process::start(binary, args, &folder.path().join("out"));
    // Opens once the process has opened the other end.
    let opened = tokio::task::spawn_blocking(|| File::options().write(true).open(pipe));
    let mut writer = opened.await.unwrap().unwrap();
    process.signal(Signal::TERM);
    // One that was ended by the signal takes no more.
    let _ = writer.write_all(manifest.to_string().as_bytes());
    drop(writer);
    process.ended().await.code()
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_that_comes_before_the_manifest_is_read_is_heard() {
    let relay = manifest::relay([destination("sink", "http://127.0.0.1:1/")]);
    assert_eq!(go_while_the_manifest_is_read(RELAY, &relay).await, Some(0));
    assert_eq!(go_while_the_manifest_is_read(COLLECTOR, &manifest::collector()).await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_without_a_terminal_reads_the_files_again_and_ends_nothing() {
    let mut relay = Relay::start(&manifest::relay([destination("sink", "http://127.0.0.1:1/")])).await;
    let mut collector = Collector::start(&manifest::collector()).await;
    for process in [&mut relay.process, &mut collector.process] {
        process.signal(Signal::HUP);
        let said = async || process.said();
        eventually("told of", said, |said| said.contains("SIGHUP: reading all files again")).await;
        process.assert_running();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn relay_whose_log_nobody_reads_delivers_and_ends_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let out = make_fifo(folder.path().join("relay.out"));
    let non_blocking = OFlags::NONBLOCK.bits().cast_signed();
    let mut unread = File::options().read(true).write(true).custom_flags(non_blocking).open(&out).unwrap();
    let sink = Sink::start(Behaviour::Ok).await;
    let data_dir = folder.path().join("data");
    let mut relay =
        Relay::start_in(folder, data_dir, &manifest::relay([destination("sink", &sink.url())])).await;
    // Reading it is no part of this test, not even when it fails.
    std::fs::remove_file(out).unwrap();
    let full = loop {
        if let Err(error) = unread.write_all(&[b'\n'; 4096]) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);

    let sender = Sender::to(&relay);
    sender.send(200, 4).await;
    let (_, metrics) = relay.probes.get("/metrics").await.unwrap();
    assert!(metrics.contains("\nvisnyk_log_lines_dropped_total "), "{metrics}");
    assert_conserved(&mut relay, &sender, &[("sink", &sink)]).await;
    assert_eq!(relay.terminate().await.code(), Some(0));
}
