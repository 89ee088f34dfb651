//! A journal that senders would take long to fill.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use uuid::Uuid;
use visnyk_engine::{
    event::{Envelope, Event},
    journal::{Folder, Journal, Options},
};

/// Does what senders do, faster: events from 1 on, accepted into the data folder of a relay that does not run.
pub async fn fill(data_dir: &Path, events: u64, max_size: u64, body: fn(u64) -> Bytes) {
    let folder = Arc::new(Folder::open(&data_dir.join("journal")).unwrap());
    let options = Options { segment_size: 8 << 20, max_size: max_size / 4 * 3, min_next_seq: 1 };
    let (journal, _) = Journal::open(folder, &options, || ()).unwrap();
    for numbers in (1..=events).collect::<Vec<_>>().chunks(1_000) {
        let appended = numbers.iter().map(|number| {
            let envelope = Envelope {
                id: Uuid::new_v4(),
                received_at_ms: 1_700_000_000_000,
                steady_ms: 1,
                source: "network".into(),
                target: "/".into(),
                headers: vec![("content-type".into(), b"application/json".to_vec())],
                attributes: Box::default(),
            };
            journal.append(Event { envelope, body: body(*number) }.encode())
        });
        for appended in futures::future::join_all(appended).await {
            appended.unwrap();
        }
    }
    journal.close().await;
}
