//! Support of tests: a triage over segments that are a list, and rules that are a function.

use std::sync::Arc;

use super::decisions::{Decisions, Segments};
use super::desk::Triage;
use super::policy::{Judge, Judgement};
use super::report::TriageReport;
use crate::event::Event;
use crate::journal::sim::SimDisk;
use crate::journal::{SegmentUse, Seq};

/// A journal of one segment.
pub(crate) struct OneSegment;

impl Segments for OneSegment {
    fn owner(&self, _: Seq) -> Option<SegmentUse> {
        self.oldest()
    }

    fn oldest(&self) -> Option<SegmentUse> {
        Some(SegmentUse { number: 1, salt: 7, first_seq: 1 })
    }
}

/// Makes a triage on this disk, as after a start.
pub(crate) fn triage(disk: &SimDisk) -> Arc<Triage> {
    let decisions = Decisions::open(Arc::new(disk.clone()), &OneSegment).unwrap();
    Arc::new(Triage::new(Box::new(OneSegment), Arc::new(decisions), TriageReport::default()))
}

/// Makes a triage without rules.
pub(crate) fn without_rules() -> Arc<Triage> {
    triage(&SimDisk::new())
}

/// Rules that are a function.
pub(crate) struct Function<F>(pub F);

impl<F: Fn(&Event) -> Judgement + Send + Sync> Judge for Function<F> {
    fn judge(&self, event: &Event) -> Judgement {
        self.0(event)
    }
}
