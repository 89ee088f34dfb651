//! Validates the storage of relays and collectors.

use super::exactly_one;
use crate::api;
use crate::bounds;
use crate::problem::{FieldPath, Problems};
use crate::valid::{Spool, SpoolKind};

pub(super) fn spool(spool: &api::Spool, place: &FieldPath, problems: &mut Problems) -> Option<Spool> {
    let kind = kind(spool.persistent.as_ref(), spool.ephemeral.as_ref(), place, problems);
    let retained = bounds::RETAIN_REMOVED.check(&spool.retain_removed);
    let retain_removed = problems.note(place.field("retainRemoved"), retained);
    let drained = bounds::DRAIN_TIMEOUT.check(&spool.drain_timeout);
    let drain_timeout = problems.note(place.field("drainTimeout"), drained);
    Some(Spool { kind: kind?, retain_removed: retain_removed?, drain_timeout: drain_timeout? })
}

/// Validates a collector's storage. The process takes the size of the file system; only the operator needs more.
pub(super) fn storage(storage: &api::Storage, place: &FieldPath, problems: &mut Problems) {
    kind(storage.persistent.as_ref(), storage.ephemeral.as_ref(), place, problems);
}

fn kind(
    persistent: Option<&api::Persistent>,
    ephemeral: Option<&api::Ephemeral>,
    place: &FieldPath,
    problems: &mut Problems,
) -> Option<SpoolKind> {
    let persistent = persistent.map(|persistent| {
        let at = place.field("persistent").field("size");
        let size = problems.note(at, bounds::SPOOL_SIZE.check(&persistent.size))?;
        Some(SpoolKind::Persistent { size })
    });
    let ephemeral = ephemeral.map(|ephemeral| {
        let at = place.field("ephemeral").field("size");
        let size = ephemeral.size.as_ref().map(|size| problems.note(at, bounds::SPOOL_SIZE.check(size)));
        Some(SpoolKind::Ephemeral { size: size.flatten() })
    });
    exactly_one(api::STORAGE_KINDS, [persistent, ephemeral], place, problems).flatten()
}
