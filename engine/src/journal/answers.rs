//! The answers to the appenders of one batch. The journal's thread wakes one task of all that it answers, and that one
//! wakes the others: from within their runtime that costs a fraction, and no thread is woken for each.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::{AppendError, Seq};

/// Answers to the records of a batch, by their place in it.
#[derive(Debug, Default)]
pub(super) struct Answers {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Sequence of the first record, once it is accepted.
    first: Seq,
    /// Number of records that are accepted. They have sequences in a row.
    accepted: usize,
    /// Reason for which all others are refused.
    refusal: Option<AppendError>,
    /// The tasks that wait, by the place of their record.
    waiting: Vec<Option<Waker>>,
    /// Tasks that are answered and not woken yet.
    answered: Vec<Waker>,
}

/// The outcome of an append, to be waited for. The record is in the queue already: dropped, this changes nothing about
/// it.
#[derive(Debug)]
#[must_use = "the record counts as accepted only once this says so"]
pub struct Appending {
    answers: Arc<Answers>,
    place: usize,
    is_told: bool,
}

impl Answers {
    /// Returns the outcome of the record at this place of the batch.
    pub(super) fn of(self: &Arc<Self>, place: usize) -> Appending {
        Appending { answers: Arc::clone(self), place, is_told: false }
    }

    /// Returns an outcome that is known already.
    pub(super) fn refused(refusal: AppendError) -> Appending {
        let state = State { refusal: Some(refusal), ..State::default() };
        Arc::new(Self { state: Mutex::new(state) }).of(0)
    }

    /// Says that the next `count` records are accepted, with the sequences from `first` on.
    pub(super) fn accept(&self, first: Seq, count: usize) {
        let one = {
            let mut state = self.lock();
            if state.accepted == 0 {
                state.first = first;
            }
            let from = state.accepted;
            state.accepted += count;
            state.answer(from..from + count)
        };
        one.into_iter().for_each(Waker::wake);
    }

    /// Says that all records that are not accepted by now are refused.
    pub(super) fn refuse(&self, refusal: AppendError) {
        let one = {
            let mut state = self.lock();
            state.refusal.get_or_insert(refusal);
            let (from, to) = (state.accepted, state.waiting.len());
            state.answer(from..to)
        };
        one.into_iter().for_each(Waker::wake);
    }

    /// Wakes each task that is answered and that no other has woken.
    pub(super) fn wake_rest(&self) {
        let answered = std::mem::take(&mut self.lock().answered);
        answered.into_iter().for_each(Waker::wake);
    }

    // Nothing under the lock can panic half-way but the clone of a waker, which leaves all as it is.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn outcome(&self, place: usize) -> Option<Result<Seq, AppendError>> {
        if place < self.accepted { Some(Ok(self.first + place as u64)) } else { self.refusal.map(Err) }
    }

    /// Moves the tasks of these places to those that are answered, and returns one to be woken. It is woken without the
    /// lock, which its end would take.
    fn answer(&mut self, places: std::ops::Range<usize>) -> Option<Waker> {
        let end = places.end.min(self.waiting.len());
        let waiting = self.waiting.get_mut(places.start..end).unwrap_or_default();
        self.answered.extend(waiting.iter_mut().filter_map(Option::take));
        self.answered.pop()
    }

    fn wait(&mut self, place: usize, waker: &Waker) {
        if self.waiting.len() <= place {
            self.waiting.resize(place + 1, None);
        }
        match &mut self.waiting[place] {
            Some(known) => known.clone_from(waker),
            new => *new = Some(waker.clone()),
        }
    }
}

impl Future for Appending {
    type Output = Result<Seq, AppendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.answers.lock();
        let Some(outcome) = state.outcome(self.place) else {
            state.wait(self.place, cx.waker());
            return Poll::Pending;
        };
        let others = std::mem::take(&mut state.answered);
        drop(state);
        self.is_told = true;
        others.into_iter().for_each(Waker::wake);
        Poll::Ready(outcome)
    }
}

impl Drop for Appending {
    /// Wakes the others in place of a task that was woken for it and ends before it hears the outcome.
    fn drop(&mut self) {
        if self.is_told {
            return;
        }
        let others = {
            let mut state = self.answers.lock();
            if let Some(waiting) = state.waiting.get_mut(self.place) {
                *waiting = None;
            }
            std::mem::take(&mut state.answered)
        };
        others.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use futures::FutureExt;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct Waiter {
        appending: Appending,
        woken: Arc<Count>,
    }

    impl Waiter {
        fn of(answers: &Arc<Answers>, place: usize) -> Self {
            let mut waiter = Self { appending: answers.of(place), woken: Arc::default() };
            assert!(waiter.poll().is_pending());
            waiter
        }

        fn poll(&mut self) -> Poll<Result<Seq, AppendError>> {
            let waker = self.woken.clone().into();
            self.appending.poll_unpin(&mut Context::from_waker(&waker))
        }
    }

    fn woken(waiters: &[Waiter]) -> usize {
        waiters.iter().map(|waiter| waiter.woken.0.load(Ordering::Relaxed)).sum()
    }

    #[test]
    fn one_is_woken_and_wakes_the_others() {
        let answers = Arc::new(Answers::default());
        let mut waiters: Vec<_> = (0..5).map(|place| Waiter::of(&answers, place)).collect();
        answers.accept(11, 3);
        assert_eq!(woken(&waiters), 1);
        assert_eq!(waiters[2].poll(), Poll::Ready(Ok(13)));
        assert_eq!(woken(&waiters), 3);
        answers.refuse(AppendError::Full);
        assert_eq!(woken(&waiters), 4);
        assert_eq!(waiters[3].poll(), Poll::Ready(Err(AppendError::Full)));
        assert_eq!(woken(&waiters), 5);
        assert_eq!(waiters[0].poll(), Poll::Ready(Ok(11)));
        assert_eq!(
            Waiter { appending: answers.of(9), woken: Arc::default() }.poll(),
            Poll::Ready(Err(AppendError::Full))
        );
    }

    #[test]
    fn task_that_ends_before_it_hears_the_outcome_keeps_nobody_asleep() {
        let answers = Arc::new(Answers::default());
        let mut waiters: Vec<_> = (0..3).map(|place| Waiter::of(&answers, place)).collect();
        drop(waiters.remove(1));
        answers.accept(1, 3);
        assert_eq!(woken(&waiters), 1);
        let first = waiters.iter().position(|waiter| waiter.woken.0.load(Ordering::Relaxed) == 1).unwrap();
        drop(waiters.remove(first));
        assert_eq!(woken(&waiters), 1, "the other");
    }

    #[test]
    fn tasks_that_nobody_woke_are_woken_by_the_journal() {
        let answers = Arc::new(Answers::default());
        let waiters: Vec<_> = (0..3).map(|place| Waiter::of(&answers, place)).collect();
        answers.accept(1, 3);
        answers.wake_rest();
        assert_eq!(woken(&waiters), 3);
    }
}
