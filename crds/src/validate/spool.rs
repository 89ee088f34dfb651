//! Where accepted events are kept.

use super::the_one;
use crate::api;
use crate::bounds;
use crate::problem::{Place, Problems};
use crate::valid::{Spool, SpoolKind};

pub(super) fn spool(spool: &api::Spool, place: &Place, problems: &mut Problems) -> Option<Spool> {
    let persistent = spool.persistent.as_ref().map(|persistent| {
        let at = place.field("persistent").field("size");
        let size = problems.note(at, bounds::SPOOL_SIZE.check(&persistent.size))?;
        Some(SpoolKind::Persistent { size })
    });
    let ephemeral = spool.ephemeral.as_ref().map(|ephemeral| {
        let at = place.field("ephemeral").field("size");
        let size = ephemeral.size.as_ref().map(|size| problems.note(at, bounds::SPOOL_SIZE.check(size)));
        Some(SpoolKind::Ephemeral { size: size.flatten() })
    });
    let kind = the_one(api::SPOOL_KINDS, [persistent, ephemeral], place, problems).flatten();
    let retained = bounds::RETAIN_REMOVED.check(&spool.retain_removed);
    let retain_removed = problems.note(place.field("retainRemoved"), retained);
    Some(Spool { kind: kind?, retain_removed: retain_removed? })
}
