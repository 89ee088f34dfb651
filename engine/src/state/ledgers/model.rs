//! The ledgers beside a trivial model: a map from each event to its term of the sum.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::fake::{FakeFile, FakeJournal, postponed, record, wanted};
use super::super::{Accepted, Admission, Death, DestinationStatus, Ending, EventAt, Repairs, Select, Seq};
use super::{Batch, DestinationId, Ledger, Ledgers};
use crate::test_effort::cases;

fn death() -> Death {
    Death { attempts: 10, died_at_ms: 9_000, reason: "status 500".into() }
}

/// The term of the sum that an event is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Term {
    Fresh,
    Waiting,
    Dead,
    Delivered,
    Dropped,
    Filtered,
    Damaged,
}

type Model = BTreeMap<(usize, Seq), Term>;

#[derive(Clone, Copy, Debug)]
enum Action {
    Accept,
    Void,
    Finish(usize, Seq, Ending),
    Postpone(usize, Seq),
    Die(usize, Seq),
    FinishWaiting(usize, Seq, Ending),
    PostponeWaiting(usize, Seq),
    DieWaiting(usize, Seq),
    Damage(usize, Seq, Seq),
    Pass(usize, Seq, Seq),
    DamageDead(usize, Seq),
    Redrive(usize, Option<Seq>),
    Discard(usize, Seq),
    DiscardDead(usize),
    Take,
    Committed,
    Failed,
    Crash,
}

fn action() -> impl Strategy<Value = Action> {
    let who = 0..2usize;
    let seq = 1..40u64;
    let ending = prop_oneof![
        Just(Ending::Delivered),
        Just(Ending::Dropped),
        Just(Ending::Filtered),
        Just(Ending::Damaged)
    ];
    let one = (who.clone(), seq.clone());
    prop_oneof![
        12 => Just(Action::Accept),
        2 => Just(Action::Void),
        8 => (who.clone(), seq.clone(), ending.clone()).prop_map(|(w, s, e)| Action::Finish(w, s, e)),
        6 => one.clone().prop_map(|(w, s)| Action::Postpone(w, s)),
        3 => one.clone().prop_map(|(w, s)| Action::Die(w, s)),
        6 => (who.clone(), seq.clone(), ending).prop_map(|(w, s, e)| Action::FinishWaiting(w, s, e)),
        3 => one.clone().prop_map(|(w, s)| Action::PostponeWaiting(w, s)),
        4 => one.clone().prop_map(|(w, s)| Action::DieWaiting(w, s)),
        2 => (who.clone(), seq.clone(), 0..6u64).prop_map(|(w, s, n)| Action::Damage(w, s, s + n)),
        4 => (who.clone(), seq.clone(), 0..6u64).prop_map(|(w, s, n)| Action::Pass(w, s, s + n)),
        1 => one.clone().prop_map(|(w, s)| Action::DamageDead(w, s)),
        2 => (who.clone(), proptest::option::of(seq.clone())).prop_map(|(w, s)| Action::Redrive(w, s)),
        1 => one.prop_map(|(w, s)| Action::Discard(w, s)),
        1 => who.prop_map(Action::DiscardDead),
        4 => Just(Action::Take),
        4 => Just(Action::Committed),
        1 => Just(Action::Failed),
        2 => Just(Action::Crash),
    ]
}

/// Ledgers of two destinations beside the trivial model: a term per event.
struct Run {
    journal: FakeJournal,
    file: FakeFile,
    ledgers: Ledgers,
    ids: Vec<DestinationId>,
    model: Model,
    /// The model of the file's content.
    kept: Model,
    out: Option<(Batch, Model)>,
}

impl Run {
    fn new() -> Self {
        let journal = FakeJournal::default();
        let mut file = FakeFile::default();
        let (mut ledgers, _) = file.open(&journal);
        let ids = ledgers.configure(&[wanted("archive"), wanted("pager")], 0, &journal).ids;
        file.commit(&mut ledgers, &journal);
        Self { journal, file, ledgers, ids, model: Model::new(), kept: Model::new(), out: None }
    }

    fn ledger(&mut self, who: usize) -> &mut Ledger {
        self.ledgers.get_mut(self.ids[who]).unwrap()
    }

    /// Moves an event in the model if it is where it must be; what the ledger must say to that.
    fn go(&mut self, who: usize, seq: Seq, from: Term, to: Term) -> bool {
        let place = self.model.get_mut(&(who, seq)).filter(|term| **term == from);
        place.map(|term| *term = to).is_some()
    }

    /// Applies an action to the journal or to the file.
    fn act(&mut self, action: Action) -> Result<(), TestCaseError> {
        match action {
            Action::Accept => {
                let seq = self.journal.push(true);
                self.model.extend((0..2).map(|who| ((who, seq), Term::Fresh)));
            }
            Action::Void => {
                self.journal.push(false);
            }
            Action::Take => {
                if let Some(batch) = self.ledgers.take_batch() {
                    self.out = Some((batch, self.model.clone()));
                }
            }
            Action::Committed => {
                if let Some((batch, model)) = self.out.take() {
                    self.file.apply(&batch);
                    self.kept = model;
                    let free = self.ledgers.committed(&batch).unwrap();
                    self.journal.free_through(free);
                }
            }
            Action::Failed => {
                if let Some((batch, _)) = self.out.take() {
                    self.ledgers.failed(batch);
                }
            }
            Action::Crash => {
                self.out = None;
                let (ledgers, repairs) = self.file.open(&self.journal);
                self.ledgers = ledgers;
                prop_assert_eq!(repairs, Repairs::default());
                // What was accepted stays accepted; what happened since the last commit did not happen.
                let kept = &self.kept;
                self.model
                    .iter_mut()
                    .for_each(|(key, term)| *term = kept.get(key).copied().unwrap_or(Term::Fresh));
            }
            _ => self.complete(action)?,
        }
        Ok(())
    }

    /// Applies an action to events.
    fn complete(&mut self, action: Action) -> Result<(), TestCaseError> {
        let ended = |ending| match ending {
            Ending::Delivered => Term::Delivered,
            Ending::Dropped => Term::Dropped,
            Ending::Filtered => Term::Filtered,
            Ending::Damaged => Term::Damaged,
        };
        match action {
            Action::Finish(who, seq, ending) if self.is_event(seq) => {
                let expected = self.go(who, seq, Term::Fresh, ended(ending));
                let begin = self.ledger(who).begin(seq, 0);
                prop_assert_eq!(begin, if expected { Admission::Yes } else { Admission::AlreadyFinished });
                prop_assert_eq!(self.ledger(who).finish_fresh(seq, ending), expected);
            }
            Action::Postpone(who, seq) if self.is_event(seq) => {
                let expected = self.go(who, seq, Term::Fresh, Term::Waiting);
                let did = self.ledger(who).postpone_fresh(seq, record(seq), &postponed(1));
                prop_assert_eq!(did, Ok(expected));
            }
            Action::Die(who, seq) if self.is_event(seq) => {
                let expected = self.go(who, seq, Term::Fresh, Term::Dead);
                let did = self.ledger(who).dead_letter_fresh(seq, record(seq), &death());
                prop_assert_eq!(did, Ok(expected));
            }
            Action::FinishWaiting(who, seq, ending) => {
                let expected = self.go(who, seq, Term::Waiting, ended(ending));
                prop_assert_eq!(self.ledger(who).finish_waiting(seq, ending), expected);
            }
            Action::PostponeWaiting(who, seq) => {
                let expected = self.go(who, seq, Term::Waiting, Term::Waiting);
                prop_assert_eq!(self.ledger(who).postpone_waiting(seq, &postponed(2)), expected);
            }
            Action::DieWaiting(who, seq) => {
                let expected = self.go(who, seq, Term::Waiting, Term::Dead);
                prop_assert_eq!(self.ledger(who).dead_letter_waiting(seq, &death()), Ok(expected));
            }
            Action::Damage(who, first, last) => {
                let hit: Vec<Seq> = (first..=last).filter(|seq| self.is_event(*seq)).collect();
                // A reader reports voids as such, so a damaged range has none.
                if hit.len() as u64 == last - first + 1 {
                    let count =
                        hit.iter().filter(|seq| self.go(who, **seq, Term::Fresh, Term::Damaged)).count();
                    prop_assert_eq!(self.ledger(who).damaged(first, last), count as u64);
                }
            }
            Action::Pass(who, first, last) => {
                for seq in first..=last.min(self.journal.watermark()) {
                    if !self.journal.is_event(seq) {
                        self.ledger(who).void(seq, seq);
                    }
                }
            }
            Action::DamageDead(who, seq) => {
                let expected = self.go(who, seq, Term::Dead, Term::Damaged);
                prop_assert_eq!(self.ledger(who).damaged_dead_letter(seq), expected);
            }
            Action::Redrive(who, seq) => {
                let seqs: Vec<Seq> = seq.map_or_else(|| (1..40).collect(), |seq| vec![seq]);
                let moved: Vec<Seq> = seqs
                    .iter()
                    .copied()
                    .filter(|seq| self.go(who, *seq, Term::Dead, Term::Waiting))
                    .collect();
                let select = if seq.is_some() { Select::Seqs(&seqs) } else { Select::All };
                prop_assert_eq!(self.ledger(who).redrive(select, 7).seqs, moved);
            }
            Action::Discard(who, through) => {
                let mut count = 0;
                for ((_, _), term) in self.model.range_mut((who, 0)..=(who, through)) {
                    if matches!(term, Term::Fresh | Term::Waiting) {
                        *term = Term::Dropped;
                        count += 1;
                    }
                }
                let ledger = self.ledgers.get_mut(self.ids[who]).unwrap();
                prop_assert_eq!(ledger.discard(through, &self.journal), count);
            }
            Action::DiscardDead(who) => {
                let count = (1..40).filter(|seq| self.go(who, *seq, Term::Dead, Term::Dropped)).count();
                prop_assert_eq!(self.ledger(who).discard_dead_letters(Select::All), count as u64);
            }
            _ => {}
        }
        Ok(())
    }

    fn is_event(&self, seq: Seq) -> bool {
        seq <= self.journal.watermark() && self.journal.is_event(seq)
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for (who, status) in self.ledgers.snapshot(&self.journal).iter().enumerate() {
            let count =
                |term| self.model.iter().filter(|((w, _), t)| *w == who && **t == term).count() as u64;
            let expected = DestinationStatus {
                accepted: self.journal.accepted_through(self.journal.watermark()),
                delivered: count(Term::Delivered),
                dead_lettered: count(Term::Dead),
                dropped: count(Term::Dropped),
                filtered: count(Term::Filtered),
                damaged: count(Term::Damaged),
                pending: count(Term::Fresh) + count(Term::Waiting),
                waiting: count(Term::Waiting),
                oldest_pending_ms: status.oldest_pending_ms,
                ..status.clone()
            };
            prop_assert_eq!(status, &expected);
            prop_assert!(status.adds_up());
            let ledger = self.ledgers.get(self.ids[who]).unwrap();
            for ((_, seq), term) in self.model.range((who, 0)..(who + 1, 0)) {
                // Whatever is still to be read is still in the journal.
                prop_assert!(*term != Term::Fresh || *seq >= self.journal.oldest());
                prop_assert_eq!(ledger.window.needs(*seq), *term == Term::Fresh);
                let bytes = match ledger.event(*seq) {
                    None => None,
                    Some(EventAt::Memory(bytes)) => Some(bytes),
                    Some(EventAt::Stored(at)) => self.file.held[&at.row].record.clone(),
                };
                let held = matches!(term, Term::Waiting | Term::Dead).then(|| record(*seq).bytes);
                prop_assert_eq!(bytes, held);
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn every_event_is_in_exactly_one_term_whatever_happens(actions in proptest::collection::vec(action(), 0..160)) {
        let mut run = Run::new();
        for action in actions {
            run.act(action)?;
            run.check()?;
        }
    }
}
