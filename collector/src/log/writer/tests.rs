use std::{fs, path::Path};

use tempfile::TempDir;
use visnyk_crds::valid::Rotate;
use visnyk_runtime::observe::{readiness::Readiness, watchdog::Watchdog};

use super::*;
use crate::log::storage::Files;
use crate::testing::faulty_storage::{Fault, Faulty};

fn location(folder: &TempDir) -> LogLocation {
    LogLocation { data_dir: folder.path().into(), path: "webhook.log".into(), rotate: None }
}

fn begin<S: Storage>(storage: S, location: LogLocation) -> (LogWriter, LogThread, Readiness) {
    let readiness = Readiness::default();
    let ticker = Watchdog::new().register("log writer", Duration::from_secs(5));
    let (writer, thread) = start(storage, location, ticker, readiness.condition("log", "opening")).unwrap();
    (writer, thread, readiness)
}

fn text(folder: &TempDir, name: &str) -> String {
    fs::read_to_string(folder.path().join(name)).unwrap()
}

async fn until(mut condition: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < patience, "the condition never held");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn appended_line_is_in_the_file_when_its_sender_hears_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let (writer, _thread, readiness) = begin(Files, location(&folder));
    writer.append("one\n".into()).await.unwrap();
    assert_eq!(text(&folder, "webhook.log"), "one\n");
    assert_eq!((writer.written().lines(), writer.written().bytes()), (1, 4));
    assert_eq!(readiness.unmet(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_many_senders_are_each_there_once() {
    let folder = tempfile::tempdir().unwrap();
    let rotate = Some(Rotate { size: 600, keep: 1_000 });
    let (writer, thread, _) = begin(Files, LogLocation { rotate, ..location(&folder) });
    let senders = (0..500).map(|number| {
        let writer = writer.clone();
        tokio::spawn(async move { writer.append(format!("event {number}\n").into()).await.unwrap() })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    thread.close();
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let files: Vec<String> =
        fs::read_dir(folder.path()).unwrap().map(|file| read(&file.unwrap().path())).collect();
    let mut lines: Vec<&str> = files.iter().flat_map(|text| text.lines()).collect();
    lines.sort_unstable();
    let mut expected: Vec<String> = (0..500).map(|number| format!("event {number}")).collect();
    expected.sort_unstable();
    assert_eq!(lines, expected);
    assert!(files.iter().all(|text| text.len() <= 600), "a file outgrew its size");
    assert_eq!(writer.written().lines(), 500);
}

#[tokio::test]
async fn failed_log_refuses_and_recovers_without_what_it_refused() {
    for fault in [Fault::Write(3), Fault::Sync] {
        let folder = tempfile::tempdir().unwrap();
        let storage = Faulty::default();
        let (writer, _thread, readiness) = begin(storage.clone(), location(&folder));
        writer.append("kept\n".into()).await.unwrap();
        storage.set(fault);
        assert_eq!(writer.append("refused\n".into()).await, Err(AppendError::Unwritable));
        assert_eq!(writer.append("at once\n".into()).await, Err(AppendError::Unwritable));
        assert_eq!(readiness.unmet()[0].name, "log");
        storage.set(Fault::None);
        until(|| readiness.unmet().is_empty()).await;
        writer.append("next\n".into()).await.unwrap();
        assert_eq!(text(&folder, "webhook.log"), "kept\nnext\n");
        assert_eq!((writer.written().lines(), writer.written().bytes()), (2, 10));
    }
}

#[tokio::test]
async fn failed_log_is_left_alone_for_a_while_however_many_ask() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Faulty::default();
    let (writer, _thread, _) = begin(storage.clone(), location(&folder));
    storage.set(Fault::Sync);
    let (began, opened) = (Instant::now(), storage.opened());
    for _ in 0..200 {
        assert_eq!(writer.append("refused\n".into()).await, Err(AppendError::Unwritable));
    }
    let tries = storage.opened() - opened;
    assert!(tries as u64 <= began.elapsed().as_secs(), "tried {tries} times in {:?}", began.elapsed());
}

#[tokio::test]
async fn log_that_moves_to_an_existing_file_continues_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("other.log"), "much longer than the first\n").unwrap();
    let (writer, _thread, _) = begin(Files, location(&folder));
    writer.append("one\n".into()).await.unwrap();
    writer.move_to(LogLocation { path: "other.log".into(), ..location(&folder) }).await.unwrap();
    writer.append("two\n".into()).await.unwrap();
    assert_eq!(text(&folder, "other.log"), "much longer than the first\ntwo\n");
}

#[tokio::test]
async fn log_moves_only_to_a_place_it_can_open() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let (writer, _thread, readiness) = begin(Files, location(&folder));
    writer.append("one\n".into()).await.unwrap();
    writer.move_to(LogLocation { path: "file/below.log".into(), ..location(&folder) }).await.unwrap_err();
    writer.append("two\n".into()).await.unwrap();
    writer.move_to(LogLocation { path: "other.log".into(), ..location(&folder) }).await.unwrap();
    writer.append("three\n".into()).await.unwrap();
    assert_eq!(text(&folder, "webhook.log"), "one\ntwo\n");
    assert_eq!(text(&folder, "other.log"), "three\n");
    assert_eq!(readiness.unmet(), []);
}

#[tokio::test]
async fn closing_writes_what_is_waiting_and_refuses_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let (writer, thread, _) = begin(Files, location(&folder));
    let (answer, outcome) = oneshot::channel();
    writer.commands.send(Command::Append { line: "last\n".into(), answer }).unwrap();
    thread.close();
    assert_eq!(outcome.await, Ok(Ok(())));
    assert_eq!(writer.append("late\n".into()).await, Err(AppendError::Closed));
    assert_eq!(text(&folder, "webhook.log"), "last\n");
}
