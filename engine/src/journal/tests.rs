//! Tests of the whole journal.

use std::sync::Arc;

use super::*;

#[tokio::test]
async fn what_was_appended_is_read_in_order_and_again_after_opening_anew() {
    let folder = tempfile::tempdir().unwrap();
    let disk = || Arc::new(Folder::open(&folder.path().join("journal")).unwrap());
    let options = Options { segment_size: 64 << 10, max_size: 1 << 20, min_next_seq: 1 };
    let (journal, _) = Journal::open(disk(), &options, || ()).unwrap();
    let records: Vec<_> = (0..500_usize).map(|at| Bytes::from(vec![b'a'; at])).collect();
    for (at, record) in records.iter().enumerate() {
        assert_eq!(journal.append(record.clone()).await, Ok(at as u64 + 1));
    }
    let read = |journal: &Journal| {
        let mut reader = journal.reader(0);
        std::iter::from_fn(|| reader.next().unwrap()).collect::<Vec<_>>()
    };
    let expected: Vec<_> =
        (1..).zip(&records).map(|(seq, record)| Entry::Record { seq, bytes: record.clone() }).collect();
    assert_eq!(read(&journal), expected);
    assert_eq!(*journal.watermark().borrow(), 500);
    journal.close().await;

    let (journal, recovery) = Journal::open(disk(), &options, || ()).unwrap();
    assert_eq!((recovery.oldest_seq, recovery.next_seq, recovery.torn_tail), (1, 501, 0));
    assert_eq!(recovery.notes, Vec::<String>::new());
    assert_eq!(read(&journal), expected);
    assert_eq!(journal.append(Bytes::from_static(b"next")).await, Ok(501));
    assert_eq!(journal.accepted_through(501), 501);
}
