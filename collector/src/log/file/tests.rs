use std::collections::BTreeMap;

use tempfile::TempDir;

use super::*;
use crate::log::storage::Files;
use crate::testing::faulty_storage::{Fault, Faulty};

fn location(folder: &TempDir, rotate: Option<Rotate>) -> LogLocation {
    LogLocation { data_dir: folder.path().into(), path: "webhook.log".into(), rotate }
}

fn open(folder: &TempDir, rotate: Option<Rotate>) -> LogFile<Files> {
    LogFile::open(Files, location(folder, rotate), None).unwrap()
}

fn append_all<S: Storage>(log: &mut LogFile<S>, lines: &[&str]) -> io::Result<()> {
    let mut rest = lines;
    while !rest.is_empty() {
        rest = &rest[log.append(rest)?..];
    }
    Ok(())
}

/// Returns every file in the folder with its text.
fn files(folder: &TempDir) -> BTreeMap<String, String> {
    fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
        .collect()
}

fn expected<const N: usize>(files: [(&str, &str); N]) -> BTreeMap<String, String> {
    files.map(|(name, text)| (name.into(), text.into())).into()
}

#[test]
fn reopened_log_is_continued() {
    let folder = tempfile::tempdir().unwrap();
    append_all(&mut open(&folder, None), &["one\n"]).unwrap();
    append_all(&mut open(&folder, None), &["two\n", "three\n"]).unwrap();
    assert_eq!(files(&folder), expected([("webhook.log", "one\ntwo\nthree\n")]));
}

#[test]
fn folders_of_the_log_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let location = LogLocation { path: "a/b/webhook.log".into(), ..location(&folder, None) };
    append_all(&mut LogFile::open(Files, location, None).unwrap(), &["one\n"]).unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("a/b/webhook.log")).unwrap(), "one\n");
}

#[test]
fn torn_last_line_is_closed_at_start() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("webhook.log"), "whole\nto").unwrap();
    append_all(&mut open(&folder, None), &["next\n"]).unwrap();
    assert_eq!(files(&folder), expected([("webhook.log", "whole\nto\nnext\n")]));
}

#[test]
fn full_file_is_closed_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(&folder, Some(Rotate { size: 10, keep: 3 }));
    append_all(&mut log, &["aaaa\n", "bbbb\n", "cccc\n", "longer than a file\n", "dddd\n"]).unwrap();
    let all = [
        ("webhook.log", "dddd\n"),
        ("webhook.log.1", "longer than a file\n"),
        ("webhook.log.2", "cccc\n"),
        ("webhook.log.3", "aaaa\nbbbb\n"),
    ];
    assert_eq!(files(&folder), expected(all));
}

#[test]
fn only_the_oldest_file_beyond_keep_goes() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(&folder, Some(Rotate { size: 5, keep: 2 }));
    append_all(&mut log, &["aaaa\n", "bbbb\n", "cccc\n", "dddd\n"]).unwrap();
    let kept = [("webhook.log", "dddd\n"), ("webhook.log.1", "cccc\n"), ("webhook.log.2", "bbbb\n")];
    assert_eq!(files(&folder), expected(kept));
}

#[test]
fn rotation_after_one_that_a_crash_cut_short_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("webhook.log", "new1\n"), ("webhook.log.1", "mid\n"), ("webhook.log.3", "old\n")] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    append_all(&mut open(&folder, Some(Rotate { size: 5, keep: 3 })), &["new2\n"]).unwrap();
    let all = [
        ("webhook.log", "new2\n"),
        ("webhook.log.1", "new1\n"),
        ("webhook.log.2", "mid\n"),
        ("webhook.log.3", "old\n"),
    ];
    assert_eq!(files(&folder), expected(all));
}

#[test]
fn lowered_keep_removes_what_it_has_no_room_for() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["webhook.log", "webhook.log.1", "webhook.log.2", "webhook.log.3"] {
        fs::write(folder.path().join(name), format!("{name}\n")).unwrap();
    }
    append_all(&mut open(&folder, Some(Rotate { size: 5, keep: 1 })), &["next\n"]).unwrap();
    assert_eq!(files(&folder), expected([("webhook.log", "next\n"), ("webhook.log.1", "webhook.log\n")]));
}

#[test]
fn refused_lines_are_cut_off_when_the_log_is_opened_again() {
    for fault in [Fault::Write(7), Fault::Write(0), Fault::Sync] {
        let folder = tempfile::tempdir().unwrap();
        let storage = Faulty::default();
        let mut log = LogFile::open(storage.clone(), location(&folder, None), None).unwrap();
        append_all(&mut log, &["kept\n"]).unwrap();
        storage.set(fault);
        append_all(&mut log, &["one\n", "two\n"]).unwrap_err();
        storage.set(Fault::None);
        let durable = log.durable();
        drop(log);
        let mut log = LogFile::open(storage, location(&folder, None), Some(durable)).unwrap();
        append_all(&mut log, &["next\n"]).unwrap();
        assert_eq!(files(&folder), expected([("webhook.log", "kept\nnext\n")]), "{fault:?}");
    }
}

#[test]
fn new_file_takes_no_line_before_its_name_is_synced() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Faulty::default();
    storage.set(Fault::SyncDir);
    let rotate = Some(Rotate { size: 5, keep: 2 });
    assert!(LogFile::open(storage.clone(), location(&folder, rotate), None).is_err());
    storage.set(Fault::None);
    let mut log = LogFile::open(storage.clone(), location(&folder, rotate), None).unwrap();
    append_all(&mut log, &["aaaa\n"]).unwrap();

    storage.set(Fault::SyncDir);
    append_all(&mut log, &["bbbb\n"]).unwrap_err();
    assert_eq!(files(&folder), expected([("webhook.log", ""), ("webhook.log.1", "aaaa\n")]));
    storage.set(Fault::None);
    let durable = log.durable();
    drop(log);
    let mut log = LogFile::open(storage, location(&folder, rotate), Some(durable)).unwrap();
    append_all(&mut log, &["bbbb\n"]).unwrap();
    assert_eq!(files(&folder), expected([("webhook.log", "bbbb\n"), ("webhook.log.1", "aaaa\n")]));
}

/// A change by another program to an open log, and the files expected after one more line.
type Meddling = (&'static str, fn(&Path), &'static [(&'static str, &'static str)]);

#[test]
fn line_is_in_the_file_of_the_log_whatever_was_done_to_the_file_before() {
    let meddling: &[Meddling] = &[
        ("removed", |log| fs::remove_file(log).unwrap(), &[("webhook.log", "two\n")]),
        (
            "moved",
            |log| fs::rename(log, log.with_file_name("moved")).unwrap(),
            &[("moved", "one\n"), ("webhook.log", "two\n")],
        ),
        (
            "replaced",
            |log| {
                fs::rename(log, log.with_file_name("moved")).unwrap();
                fs::write(log, "another's\n").unwrap();
            },
            &[("moved", "one\n"), ("webhook.log", "another's\ntwo\n")],
        ),
        ("emptied", |log| fs::write(log, "").unwrap(), &[("webhook.log", "two\n")]),
        (
            "cut in the middle of a line",
            |log| fs::File::options().write(true).open(log).unwrap().set_len(2).unwrap(),
            &[("webhook.log", "on\ntwo\n")],
        ),
        ("written to", |log| fs::write(log, "one\nmore").unwrap(), &[("webhook.log", "one\nmore\ntwo\n")]),
    ];
    for (what, meddle, left) in meddling {
        let folder = tempfile::tempdir().unwrap();
        let mut log = open(&folder, None);
        append_all(&mut log, &["one\n"]).unwrap();
        meddle(&folder.path().join("webhook.log"));
        append_all(&mut log, &["two\n"]).unwrap();
        let left: BTreeMap<String, String> =
            left.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
        assert_eq!(files(&folder), left, "{what}");
        assert_eq!(log.durable(), Extent::at(&folder.path().join("webhook.log")).unwrap().unwrap(), "{what}");
    }
}

#[test]
fn line_whose_file_is_removed_while_it_is_written_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Faulty::default();
    let mut log = LogFile::open(storage.clone(), location(&folder, None), None).unwrap();
    storage.set(Fault::Remove(2));
    append_all(&mut log, &["one\n", "two\n"]).unwrap();
    assert_eq!(files(&folder), expected([("webhook.log", "one\ntwo\n")]));

    storage.set(Fault::Remove(usize::MAX));
    append_all(&mut log, &["refused\n"]).unwrap_err();
}

#[test]
fn removed_folder_of_the_log_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let location = LogLocation { path: "a/webhook.log".into(), ..location(&folder, None) };
    let mut log = LogFile::open(Files, location, None).unwrap();
    append_all(&mut log, &["one\n"]).unwrap();
    fs::remove_dir_all(folder.path().join("a")).unwrap();
    append_all(&mut log, &["two\n"]).unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("a/webhook.log")).unwrap(), "two\n");
}

#[test]
fn file_that_took_the_place_of_a_failed_one_is_not_cut() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Faulty::default();
    let mut log = LogFile::open(storage.clone(), location(&folder, None), None).unwrap();
    storage.set(Fault::Write(2));
    append_all(&mut log, &["refused\n"]).unwrap_err();
    storage.set(Fault::None);
    let durable = log.durable();
    drop(log);
    fs::remove_file(folder.path().join("webhook.log")).unwrap();
    fs::write(folder.path().join("webhook.log"), "another's\n").unwrap();
    let mut log = LogFile::open(storage, location(&folder, None), Some(durable)).unwrap();
    append_all(&mut log, &["next\n"]).unwrap();
    assert_eq!(files(&folder), expected([("webhook.log", "another's\nnext\n")]));
}

#[test]
fn probe_fails_as_the_disk_does_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Faulty::default();
    for (fault, writable) in [(Fault::None, true), (Fault::Write(9), false), (Fault::Sync, false)] {
        storage.set(fault);
        assert_eq!(location(&folder, None).probe(&storage).is_ok(), writable, "{fault:?}");
        assert_eq!(files(&folder), expected([]));
    }
}
