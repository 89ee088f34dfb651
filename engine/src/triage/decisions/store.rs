//! The decision files beside the segments of a journal: written by triage, read by everything that needs a decision.
//!
//! A file is made when the first event of a segment is decided, or when the destinations or rules have changed since;
//! then the segment has several, each from its `first_seq` on. A file is never used again.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::attempt;
use super::file::{DecisionFile, file_name, numbers, read_header};
use super::format::{BadHeader, Decision, Header, Tables};
use crate::journal::{Disk, SegmentUse, Seq};

/// The decisions of a journal's events.
pub struct Decisions {
    disk: Arc<dyn Disk>,
    /// In ascending order of their first sequences.
    files: RwLock<Vec<Arc<DecisionFile>>>,
    /// Bytes of all files.
    bytes: Arc<AtomicU64>,
    /// The last sequence that triage has decided; the maximum while no event needs a decision.
    decided_to: AtomicU64,
    /// A file was created, or could not be and was removed, and the folder is not synced since.
    is_folder_changed: AtomicBool,
}

/// Decision about an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Decided {
    /// No decision was needed, because no rules were in force: the event goes to all destinations.
    #[default]
    Default,
    /// A decision, and the names that it refers to.
    Decision(Decision, Arc<Tables>),
}

/// The live segments of a journal.
pub trait Segments {
    /// Returns the segment that owns a sequence; `None` if that was freed.
    fn owner(&self, seq: Seq) -> Option<SegmentUse>;

    /// Returns the oldest live segment; `None` if there is none yet.
    fn oldest(&self) -> Option<SegmentUse>;
}

/// The reason for which the decision files cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder or a file cannot be read, synced or removed.
    #[error("decision file {file} cannot be opened")]
    Disk {
        /// Name of the file, or `folder`.
        file: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A later version of Visnyk wrote it.
    #[error("decision file {file} has version {version}: start the version that wrote it, or a later one")]
    Newer {
        /// Name of the file.
        file: String,
        /// Version in its header.
        version: u32,
    },
}

impl Decisions {
    /// Opens the files of a folder, and makes what the newest holds outlast a power cut. A file is believed only beside the
    /// segment for which it was made. Others are removed, but for the newest of a segment that was freed: it says how the
    /// last events were decided.
    ///
    /// # Errors
    /// Nothing may be decided without them; another call tries again.
    pub fn open(disk: Arc<dyn Disk>, segments: &dyn Segments) -> Result<Self, OpenError> {
        let failed = |file: &str| {
            let file = file.to_owned();
            move |source| OpenError::Disk { file, source }
        };
        let mut names = disk.list().map_err(failed("folder"))?;
        names.retain(|name| numbers(name).is_some());
        names.sort_unstable();
        let (mut files, mut gone) = (Vec::new(), Vec::new());
        let mut freed = None;
        for name in names {
            let file = disk.open(&name).map_err(failed(&name))?;
            match read_header(&*file).map_err(failed(&name))? {
                Err(BadHeader::Newer(version)) => return Err(OpenError::Newer { file: name, version }),
                Ok(header) if header.is_beside(segments) && header.is_named(&name) => {
                    let size = file.len().map_err(failed(&name))?;
                    files.push(Arc::new(DecisionFile::new(name, header, file, size)));
                }
                Ok(header) if header.is_of_freed(segments) && header.is_named(&name) => {
                    let size = file.len().map_err(failed(&name))?;
                    gone.extend(
                        freed.replace(DecisionFile::new(name, header, file, size)).map(|file| file.name),
                    );
                }
                Err(BadHeader::Unreadable) if is_beside(&name, segments) => {
                    tracing::warn!(
                        file = name,
                        "header of a decision file is damaged, its events are decided again"
                    );
                    let size = file.len().map_err(failed(&name))?;
                    files.extend(DecisionFile::unreadable(name, file, size).map(Arc::new));
                }
                Ok(_) | Err(BadHeader::Unreadable) => {
                    tracing::warn!(
                        file = name,
                        "decision file is not of this journal or damaged, its events are decided again"
                    );
                    gone.push(name);
                }
            }
        }
        match freed {
            Some(freed) if files.is_empty() => files.push(Arc::new(freed)),
            Some(freed) => gone.push(freed.name),
            None => {}
        }
        for name in gone {
            disk.remove(&name).map_err(failed(&name))?;
        }
        disk.sync_dir().map_err(failed("folder"))?;
        if let Some(newest) = files.last() {
            newest.make_durable().map_err(failed(&newest.name))?;
        }
        let bytes = files.iter().map(|file| file.size()).sum();
        Ok(Self {
            disk,
            files: RwLock::new(files),
            bytes: Arc::new(AtomicU64::new(bytes)),
            decided_to: AtomicU64::new(Seq::MAX),
            is_folder_changed: AtomicBool::new(false),
        })
    }

    /// Returns the first sequence of the newest file, and its names. Everything before it is decided; of what follows,
    /// each event has an entry or is to be decided.
    pub fn newest(&self) -> Option<(Seq, Arc<Tables>)> {
        let files = self.files();
        files.last().map(|newest| (newest.first_seq, Arc::clone(&newest.tables)))
    }

    /// Bytes of all files, as they change.
    pub fn bytes(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bytes)
    }

    /// Says through which sequence every event is decided; `None`: no event needs a decision.
    pub fn set_decided_to(&self, seq: Option<Seq>) {
        self.decided_to.store(seq.unwrap_or(Seq::MAX), Ordering::Relaxed);
    }

    /// Returns the sequence through which every event is decided.
    pub fn decided_to(&self) -> Seq {
        self.decided_to.load(Ordering::Relaxed)
    }

    /// Records that triage begins at this event after a start. Returns the number of earlier starts that did not get past
    /// it.
    ///
    /// # Errors
    /// The disk fails: nothing is to be decided.
    pub fn begin_attempt(&self, seq: Seq) -> io::Result<u32> {
        attempt::begin(&*self.disk, seq)
    }

    /// Returns whether nothing is recorded about any event.
    pub fn is_empty(&self) -> bool {
        self.files().is_empty()
    }

    /// Returns whether a segment has a file. Then each of its events behind the file's first needs an entry.
    pub fn has_file(&self, segment: &SegmentUse) -> bool {
        self.files().iter().rev().any(|file| file.segment == segment.number)
    }

    /// Records decisions about events of one segment, in ascending order, and syncs them.
    ///
    /// # Errors
    /// None of them may have an effect. They are to be recorded again; that goes to another file.
    pub fn record(
        &self,
        segment: &SegmentUse,
        tables: &Arc<Tables>,
        decided: &[(Seq, Decision)],
    ) -> io::Result<()> {
        let newest = self.files().last().cloned();
        let split = |seq| decided.partition_point(|(at, _)| *at < seq);
        // What is missing in an older file is decided again each time: a file begins behind all that is recorded.
        let (from, behind) = match &newest {
            Some(newest) if newest.segment > segment.number => (decided.len(), decided.len()),
            Some(newest) if newest.segment == segment.number => {
                (split(newest.first_seq), split(newest.last() + 1))
            }
            Some(_) | None => (0, 0),
        };
        let (holes, later) = (&decided[from..behind], &decided[behind..]);
        if let Some(newest) = newest.as_ref().filter(|file| !holes.is_empty() && !file.is_poisoned()) {
            let translated: Vec<_> =
                holes.iter().map(|(seq, one)| (*seq, one.translated(tables, &newest.tables))).collect();
            self.write_and_sync(newest, &translated)?;
        }
        self.record_later(segment, tables, later, newest)
    }

    /// Records decisions behind all that are recorded.
    fn record_later(
        &self,
        segment: &SegmentUse,
        tables: &Arc<Tables>,
        decided: &[(Seq, Decision)],
        newest: Option<Arc<DecisionFile>>,
    ) -> io::Result<()> {
        let Some((first, _)) = decided.first() else { return Ok(()) };
        let goes_on = |file: &Arc<DecisionFile>| {
            file.segment == segment.number && file.tables == *tables && !file.is_poisoned()
        };
        if let Some(file) = newest.filter(goes_on) {
            return self.write_and_sync(&file, decided);
        }
        self.is_folder_changed.store(true, Ordering::Relaxed);
        let file = Arc::new(self.create(segment, *first, Arc::clone(tables))?);
        if let Err(error) = self.write_and_sync(&file, decided) {
            self.remove(&file);
            return Err(error);
        }
        self.files_mut().push(file);
        Ok(())
    }

    fn write_and_sync(&self, file: &DecisionFile, decided: &[(Seq, Decision)]) -> io::Result<()> {
        let before = file.size();
        let synced = file.write_and_sync(decided);
        self.bytes.fetch_add(file.size() - before, Ordering::Relaxed);
        synced?;
        // Also after a new file could not be written and was removed: were it back, it would hide what is recorded now.
        if self.is_folder_changed.load(Ordering::Relaxed) {
            self.disk.sync_dir()?;
            self.is_folder_changed.store(false, Ordering::Relaxed);
        }
        if let Some((last, _)) = decided.last() {
            file.recorded_through(*last);
        }
        Ok(())
    }

    /// Returns what is recorded about the events from `first` through `last`, which all are of this segment. `None`:
    /// nothing that can be read, so that the event is to be decided. If it `insists`, what the disk does not let be
    /// read counts as such.
    ///
    /// # Errors
    /// The disk cannot be read. Another call tries again.
    pub fn recorded(
        &self,
        segment: &SegmentUse,
        first: Seq,
        last: Seq,
        insists: bool,
    ) -> io::Result<Vec<Option<Decided>>> {
        let files: Vec<_> =
            self.files().iter().filter(|file| file.segment == segment.number).cloned().collect();
        let mut recorded = Vec::new();
        let mut seq = first;
        while seq <= last {
            let after = files.partition_point(|file| file.first_seq <= seq);
            let end = files.get(after).map_or(last, |next| last.min(next.first_seq - 1));
            match after.checked_sub(1).and_then(|index| files.get(index)) {
                Some(file) => file.read(seq, end, insists, &mut recorded)?,
                None => recorded.extend((seq..=end).map(|_| Some(Decided::Default))),
            }
            seq = end + 1;
        }
        Ok(recorded)
    }

    /// Removes the files of segments that are gone, which are those before `oldest`, but not the newest.
    pub fn free_before(&self, oldest: u64) {
        let freed: Vec<_> = {
            let mut files = self.files_mut();
            let newest = files.last().map(|newest| newest.first_seq);
            let is_freed =
                |file: &mut Arc<DecisionFile>| file.segment < oldest && Some(file.first_seq) != newest;
            files.extract_if(.., is_freed).collect()
        };
        for file in freed {
            self.remove(&file);
        }
    }

    fn create(&self, segment: &SegmentUse, first_seq: Seq, tables: Arc<Tables>) -> io::Result<DecisionFile> {
        let name = file_name(segment.number, first_seq);
        // A file that could not be written, or whose header cannot be read.
        self.files_mut().retain(|file| file.name != name);
        match self.disk.remove(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let header = Header {
            segment: segment.number,
            segment_salt: segment.salt,
            salt: rand::random(),
            first_seq,
            tables: (*tables).clone(),
        };
        let bytes = header.encode();
        let file = self.disk.create(&name)?;
        let size = bytes.len() as u64;
        self.bytes.fetch_add(size, Ordering::Relaxed);
        let written = file.write_all_at(&bytes, 0);
        let mut made = DecisionFile::new(name, header, file, size);
        made.tables = tables;
        if let Err(error) = written {
            self.remove(&made);
            return Err(error);
        }
        Ok(made)
    }

    /// Removes a file that is not used. One that cannot be removed is removed by the next start.
    fn remove(&self, file: &DecisionFile) {
        if let Err(error) = self.disk.remove(&file.name) {
            tracing::debug!(file = file.name, error = %error, "decision file cannot be removed");
        }
        self.bytes.fetch_sub(file.size(), Ordering::Relaxed);
    }

    // Nothing that runs under the lock can panic half-way.
    fn files(&self) -> RwLockReadGuard<'_, Vec<Arc<DecisionFile>>> {
        self.files.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn files_mut(&self) -> RwLockWriteGuard<'_, Vec<Arc<DecisionFile>>> {
        self.files.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether a name is that of a file beside a live segment.
fn is_beside(name: &str, segments: &dyn Segments) -> bool {
    let owner = |first_seq| segments.owner(first_seq).map(|owner| owner.number);
    numbers(name).is_some_and(|(segment, first_seq)| owner(first_seq) == Some(segment))
}

impl Header {
    fn is_named(&self, name: &str) -> bool {
        file_name(self.segment, self.first_seq) == name
    }

    fn is_beside(&self, segments: &dyn Segments) -> bool {
        segments.owner(self.first_seq).is_some_and(|owner| self.is_of(&owner))
    }

    fn is_of_freed(&self, segments: &dyn Segments) -> bool {
        segments
            .oldest()
            .is_some_and(|oldest| self.segment < oldest.number && self.first_seq < oldest.first_seq)
    }
}
