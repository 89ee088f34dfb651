//! A disk that syncs when it is told to: who waits for which sync.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use bytes::Bytes;
use futures::poll;

use crate::journal::sim::SimDisk;
use crate::journal::{Disk, DiskFile, Journal, Options};

/// Number of further syncs that may end.
#[derive(Clone, Default)]
struct Permits(Arc<(Mutex<usize>, Condvar)>);

impl Permits {
    fn set(&self, count: usize) {
        *self.0.0.lock().unwrap() = count;
        self.0.1.notify_all();
    }

    fn take(&self) {
        let mut permits = self.0.1.wait_while(self.0.0.lock().unwrap(), |permits| *permits == 0).unwrap();
        *permits -= 1;
    }
}

struct SlowDisk(SimDisk, Permits);
struct SlowFile(Arc<dyn DiskFile>, Permits);

impl SlowDisk {
    fn slow(&self, file: io::Result<Arc<dyn DiskFile>>) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(SlowFile(file?, self.1.clone())))
    }
}

impl Disk for SlowDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.slow(self.0.open(name))
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.slow(self.0.create(name))
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.0.sync_dir()
    }
    fn available_space(&self) -> io::Result<u64> {
        self.0.available_space()
    }
}

impl DiskFile for SlowFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.1.take();
        self.0.sync_data()
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
}

#[tokio::test]
async fn each_sync_of_a_long_queue_is_told_of_as_soon_as_it_is_over() {
    let permits = Permits::default();
    permits.set(usize::MAX);
    let options = Options { segment_size: 8 << 20, max_size: 32 << 20, min_next_seq: 1 };
    let ticks = Arc::new(AtomicUsize::new(0));
    let counter = ticks.clone();
    let tick = move || _ = counter.fetch_add(1, Ordering::SeqCst);
    let disk = Arc::new(SlowDisk(SimDisk::new(), permits.clone()));
    let (journal, _) = Journal::open(disk, &options, tick).unwrap();
    // So that the segment is there, and the next one zeroed.
    journal.append(Bytes::from_static(b"first")).await.unwrap();
    while !journal.inner.view.has_next() {
        tokio::task::yield_now().await;
    }

    permits.set(0);
    // Each is more than half of what is written at once. The first is on its way while the others queue up.
    let record = Bytes::from(vec![7; 600 << 10]);
    let mut appends: Vec<_> = (0..5).map(|_| Box::pin(journal.append(record.clone()))).collect();
    for append in &mut appends {
        assert!(poll!(append).is_pending());
    }
    for (seq, mut append) in (2..).zip(appends) {
        let before = ticks.load(Ordering::SeqCst);
        assert!(poll!(&mut append).is_pending());
        permits.set(1);
        assert_eq!(append.await, Ok(seq));
        assert_eq!(*journal.watermark().borrow(), seq);
        assert!(ticks.load(Ordering::SeqCst) > before);
    }
    permits.set(usize::MAX);
    journal.close().await;
}
