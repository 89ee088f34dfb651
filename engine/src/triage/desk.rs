//! Decides about events, and says what was decided. A decision is synced before anything may follow from it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;

use super::decisions::{Addressee, Decided, Decision, Decisions, Segments, Tables, Verdict};
use super::item::Item;
use super::policy::{Judgement, Policy};
use super::report::TriageReport;
use crate::journal::{SegmentUse, Seq};

/// The rules in force, and the decisions that were made.
pub struct Triage {
    segments: Box<dyn Segments + Send + Sync>,
    decisions: Arc<Decisions>,
    policy: ArcSwap<Policy>,
    report: TriageReport,
    /// Events were decided since the start, without dying.
    is_steady: AtomicBool,
    /// The process died at the first event that was to be decided.
    died: AtomicBool,
}

/// Way in which the decision about an event begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begin {
    WithOthers,
    Alone,
    WithoutRules,
}

/// Outcome of a decision for one destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The destination gets it.
    Deliver,
    /// The destination's `when` did not select it.
    Filtered,
    /// A rule dropped it.
    Dropped,
    /// It is a dead letter, because an expression failed.
    DeadLetter,
}

impl Triage {
    /// Makes a triage without rules, which counts in `report`.
    pub fn new(
        segments: Box<dyn Segments + Send + Sync>,
        decisions: Arc<Decisions>,
        report: TriageReport,
    ) -> Self {
        let policy = ArcSwap::from_pointee(Policy::without_rules());
        let (is_steady, died) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { segments, decisions, policy, report, is_steady, died }
    }

    /// Decides by this policy from now on.
    pub fn set_policy(&self, policy: Policy) {
        self.policy.store(Arc::new(policy));
    }

    /// Returns the decision files that it writes.
    pub fn decisions(&self) -> &Decisions {
        &self.decisions
    }

    /// Returns the condition that a destination had in the policy in force or, after a start, when events were last decided.
    pub fn last_condition(&self, name: &str) -> Option<Addressee> {
        let policy = self.policy.load();
        let newest = self.decisions.newest().map(|(_, tables)| tables);
        let tables = [Some(Arc::clone(&policy.tables)), newest];
        let mut known = tables.iter().flatten().flat_map(|tables| &tables.destinations);
        known.find(|destination| destination.name == name).cloned()
    }

    /// Returns the counts of rules and decisions.
    pub fn report(&self) -> &TriageReport {
        &self.report
    }

    /// Returns whether every event is to be decided before any destination gets it: there are rules, or the events of the
    /// segment behind `after` have entries.
    pub fn decides(&self, after: Seq) -> bool {
        let has_file = || self.segments.owner(after + 1).is_some_and(|owner| self.decisions.has_file(&owner));
        self.policy.load().judge.is_some() || has_file()
    }

    /// Says through which sequence every event is decided; `None`: no event needs a decision.
    pub fn set_decided_to(&self, seq: Option<Seq>) {
        self.decisions.set_decided_to(seq);
    }

    /// Returns the sequence behind which to begin after a start. `lowest` is the lowest cursor of the destinations.
    pub fn begins_after(&self, lowest: Seq) -> Seq {
        let after = self.decisions.newest().map_or(lowest, |(first, _)| first - 1);
        let freed = self.segments.oldest().map_or(0, |oldest| oldest.first_seq - 1);
        after.max(freed)
    }

    /// Decides about the events among these, and records what is not recorded yet.
    ///
    /// # Errors
    /// The disk fails. None of them may be handed on.
    pub(super) fn decide(&self, items: &mut [Item]) -> io::Result<()> {
        let policy = self.policy.load();
        if policy.judge.is_none() && self.decisions.is_empty() {
            return Ok(());
        }
        self.by_segment(items, |segment, events| {
            let needs_entry = policy.judge.is_some() || self.decisions.has_file(segment);
            let mut fresh = Vec::new();
            for (event, recorded) in self.recorded(segment, events, true)? {
                let Item::Event { seq, event, decided, .. } = event else { continue };
                *decided = match recorded {
                    Some(known @ Decided::Decision(..)) => known,
                    Some(Decided::Default) | None if needs_entry => {
                        let begin = self.begin(&policy, *seq, fresh.is_empty())?;
                        let judgement = match begin {
                            Begin::WithoutRules => Policy::give_up(event),
                            Begin::Alone | Begin::WithOthers => policy.decide(event),
                        };
                        let decision = judgement.decision;
                        fresh.push((*seq, judgement));
                        if begin != Begin::WithOthers {
                            self.record(segment, &policy, &mut fresh)?;
                        }
                        Decided::Decision(decision, Arc::clone(&policy.tables))
                    }
                    Some(Decided::Default) | None => Decided::Default,
                };
            }
            if !fresh.is_empty() {
                self.record(segment, &policy, &mut fresh)?;
                self.is_steady.store(true, Ordering::Relaxed);
            }
            Ok(())
        })?;
        // Whole chunks again, once one was decided event by event.
        self.is_steady.fetch_or(self.died.load(Ordering::Relaxed), Ordering::Relaxed);
        if let Some(oldest) = self.segments.oldest() {
            self.decisions.free_before(oldest.number);
        }
        Ok(())
    }

    /// Records decisions, and counts them once they are synced.
    fn record(
        &self,
        segment: &SegmentUse,
        policy: &Policy,
        fresh: &mut Vec<(Seq, Judgement)>,
    ) -> io::Result<()> {
        let decided: Vec<_> = fresh.iter().map(|(seq, judgement)| (*seq, judgement.decision)).collect();
        self.decisions.record(segment, &policy.tables, &decided)?;
        for (_, judgement) in fresh.drain(..) {
            self.report.count(policy, &judgement);
        }
        Ok(())
    }

    /// Records where triage begins after a start. Where the process died before, each event is decided and recorded alone,
    /// so that the one at which it dies is known, and where it died twice, that one is decided without rules.
    fn begin(&self, policy: &Policy, seq: Seq, is_first: bool) -> io::Result<Begin> {
        if policy.judge.is_none() || !is_first || self.is_steady.load(Ordering::Relaxed) {
            return Ok(Begin::WithOthers);
        }
        Ok(match self.decisions.begin_attempt(seq)? {
            0 if !self.died.load(Ordering::Relaxed) => Begin::WithOthers,
            deaths => {
                self.died.store(true, Ordering::Relaxed);
                if deaths < 2 { Begin::Alone } else { Begin::WithoutRules }
            }
        })
    }

    /// Says what was decided about the events among these. An entry that cannot be read is decided again: if it `insists`,
    /// at once, and else after other tries.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub(super) fn look_up(&self, items: &mut [Item], insists: bool) -> io::Result<()> {
        if self.decisions.is_empty() {
            return Ok(());
        }
        let policy = self.policy.load();
        self.by_segment(items, |segment, events| {
            for (event, recorded) in self.recorded(segment, events, insists)? {
                let Item::Event { event, decided, .. } = event else { continue };
                let decide = || Decided::Decision(policy.decide(event).decision, Arc::clone(&policy.tables));
                *decided = recorded.unwrap_or_else(decide);
            }
            Ok(())
        })
    }

    /// Returns what becomes of an event at a destination; what is no event is not decided about. One that the decision does
    /// not know, since it is newer, is asked by its own `when`.
    pub fn fate(&self, name: &str, item: &Item) -> Fate {
        let Item::Event { event, decided: Decided::Decision(decision, tables), .. } = item else {
            return Fate::Deliver;
        };
        fate(name, decision, tables).unwrap_or_else(|| {
            let policy = self.policy.load();
            let again = policy.decide(event).decision;
            fate(name, &again, &policy.tables).unwrap_or(Fate::Deliver)
        })
    }

    /// Calls `each` with the items of one segment after the other.
    fn by_segment(
        &self,
        items: &mut [Item],
        each: impl Fn(&SegmentUse, &mut [Item]) -> io::Result<()>,
    ) -> io::Result<()> {
        let owner = |item: Option<&Item>| self.segments.owner(item?.last_seq());
        if owner(items.first()) == owner(items.last()) {
            return owner(items.first()).map_or(Ok(()), |segment| each(&segment, items));
        }
        for run in items.chunk_by_mut(|a, b| owner(Some(a)) == owner(Some(b))) {
            if let Some(segment) = owner(run.first()) {
                each(&segment, run)?;
            }
        }
        Ok(())
    }

    /// Pairs events of one segment with what is recorded about them; `None`: nothing that can be read.
    fn recorded<'a>(
        &self,
        segment: &SegmentUse,
        events: &'a mut [Item],
        insists: bool,
    ) -> io::Result<impl Iterator<Item = (&'a mut Item, Option<Decided>)>> {
        let first = events.first().map_or(0, Item::last_seq);
        let last = events.last().map_or(0, Item::last_seq);
        let mut all = self.decisions.recorded(segment, first, last, insists)?;
        let take = move |item: &'a mut Item| {
            let index = usize::try_from(item.last_seq() - first).unwrap_or(usize::MAX);
            (item, all.get_mut(index).and_then(Option::take))
        };
        Ok(events.iter_mut().map(take))
    }
}

/// Returns what a decision says for a destination; `None` if it does not know it.
fn fate(name: &str, decision: &Decision, tables: &Tables) -> Option<Fate> {
    match decision.verdict {
        Verdict::WithoutRules => return Some(Fate::Deliver),
        Verdict::Dropped(_) => return Some(Fate::Dropped),
        Verdict::Decided => {}
    }
    let bit = tables.destinations.iter().position(|destination| destination.name == name)?;
    let has = |bits: u64| bits >> bit & 1 == 1;
    Some(match (has(decision.dead), has(decision.selected)) {
        (true, _) => Fate::DeadLetter,
        (false, true) => Fate::Deliver,
        (false, false) => Fate::Filtered,
    })
}
