//! A loop that hangs while the rest of the process goes on: the watchdog sees it, and a restart loses no line.

use visnyk_tests::{collector::Collector, manifest};

async fn send(collector: &Collector, line: &str) {
    let answer = collector.client().post(collector.url()).body(line.to_owned()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

async fn hung_loop_is_noticed_and_a_restart_loses_nothing(name: &str) {
    let mut collector = Collector::start(&manifest::collector()).await;
    send(&collector, "before").await;
    assert!(collector.probes.alive().await);

    collector.stall(name).await;
    collector.probes.notice_hung(&[name]).await;

    collector.process.kill();
    collector.restart().await;
    send(&collector, "after").await;
    let log = collector.log();
    let lines: Vec<_> = log.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(lines, ["before", "after"], "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_writer_that_hangs() {
    hung_loop_is_noticed_and_a_restart_loses_nothing("log writer").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accept_loop_that_hangs() {
    hung_loop_is_noticed_and_a_restart_loses_nothing("accept loop").await;
}
