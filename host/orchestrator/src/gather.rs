//! One call of a resolver for several jobs, where the resolver can be asked about many works at once.
//!
//! The jobs are leased together and each has a task of its own, as any other: losing one lease ends one job. Each brings
//! its question here, the last to come makes the call, under the one reservation, and each goes on with its own answer.
//! Must never fail a job for what another did: where a call ends without answers nothing is recorded, and the jobs are
//! asked about again, half as many at a time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gleaner_model::key::ResolverName;
use gleaner_model::reason::FailureClass;
use gleaner_runtime::{CallReport, Query};
use tokio::sync::oneshot;

use crate::generation::Generation;
use crate::pieces::{Pieces, lock};
use crate::reserve::Reservation;

/// A call that waits for its questions.
struct Gathering {
    pieces: Arc<Pieces>,
    generation: Arc<Generation>,
    resolver: ResolverName,
    state: Mutex<State>,
}

struct State {
    /// Given away with the call.
    reservation: Option<Reservation>,
    questions: Vec<Question>,
    /// Jobs that have yet to bring a question, or to say that they have none.
    missing: usize,
}

struct Question {
    query: Query,
    answer: oneshot::Sender<Answer>,
}

/// What a job hears of the call.
pub(crate) enum Answer {
    /// The report of its own question, and for how long its resolver is not to be asked, if the call showed that.
    Report(Box<CallReport>, Option<Duration>),
    /// The call ended without answers: ask again.
    Apart,
}

/// A job's place in the call. Dropped without a question, the others do not wait for it.
pub(crate) struct Member {
    gathering: Arc<Gathering>,
    has_come: bool,
}

impl Member {
    /// Places for so many jobs in one call.
    pub(crate) fn places(
        pieces: &Arc<Pieces>,
        resolver: &ResolverName,
        reservation: Reservation,
        jobs: usize,
    ) -> Vec<Self> {
        let gathering = Arc::new(Gathering {
            pieces: Arc::clone(pieces),
            // One for all of them, whatever changes meanwhile.
            generation: pieces.sources.now(),
            resolver: resolver.clone(),
            state: Mutex::new(State { reservation: Some(reservation), questions: Vec::new(), missing: jobs }),
        });
        (0..jobs).map(|_| Self { gathering: Arc::clone(&gathering), has_come: false }).collect()
    }

    /// What the steps of its jobs go by.
    pub(crate) fn generation(&self) -> Arc<Generation> {
        Arc::clone(&self.gathering.generation)
    }

    /// Brings a question, waits for the call, and returns what came of it.
    pub(crate) async fn ask(mut self, query: Query) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.has_come = true;
        Gathering::arrive(&self.gathering, Some(Question { query, answer }));
        // Let go, so that the generation is not held longer than the call needs it.
        drop(self);
        answered.await.unwrap_or(Answer::Apart)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if !self.has_come {
            Gathering::arrive(&self.gathering, None);
        }
    }
}

impl Gathering {
    fn arrive(this: &Arc<Self>, question: Option<Question>) {
        let mut state = lock(&this.state);
        state.missing = state.missing.saturating_sub(1);
        state.questions.extend(question);
        if state.missing > 0 || state.questions.is_empty() {
            return;
        }
        let Some(reservation) = state.reservation.take() else { return };
        let questions = std::mem::take(&mut state.questions);
        drop(state);
        // Of its own: no single job's end may end it.
        let this = Arc::clone(this);
        tokio::spawn(async move { this.call(reservation, questions).await });
    }

    async fn call(&self, mut reservation: Reservation, questions: Vec<Question>) {
        let (queries, mut answers): (Vec<_>, Vec<_>) =
            questions.into_iter().map(|question| (question.query, question.answer)).unzip();
        let Some(installed) = self.generation.resolvers.get(&self.resolver) else { return };
        let host = reservation.host.take();
        let call = self.pieces.sources.call_many(&self.generation, installed, &queries, host);
        let nobody_listens = async {
            for answer in &mut answers {
                answer.closed().await;
            }
        };
        let reports = tokio::select! {
            reports = call => reports,
            () = nobody_listens => return,
        };
        reservation.permit.spend();
        let paces = &self.pieces.paces;
        match reports {
            Ok(reports) => {
                paces.note_batch(&self.resolver, queries.len(), true);
                // What the call says of its resolver, once: that it is to be left alone, or that it works.
                let throttled = |report: &&CallReport| {
                    let failure = report.outcome.as_ref().err();
                    failure.is_some_and(|failure| matches!(failure.class, FailureClass::Throttled { .. }))
                };
                let worked = |report: &&CallReport| report.outcome.is_ok();
                let telling = reports
                    .iter()
                    .find(throttled)
                    .or_else(|| reports.iter().find(worked))
                    .or(reports.first());
                let pause = telling.and_then(|telling| {
                    self.pieces.note_call(installed, telling, reservation.trial.as_ref())
                });
                drop(reservation);
                for (report, answer) in reports.into_iter().zip(answers) {
                    // Who is gone needs none.
                    let _ = answer.send(Answer::Report(Box::new(report), pause));
                }
            }
            Err(report) => {
                self.pieces.note_call(installed, &report, reservation.trial.as_ref());
                paces.note_batch(&self.resolver, queries.len(), false);
                let failure = report.outcome.as_ref().err();
                let detail = failure.map(|failure| failure.detail.as_str()).unwrap_or_default();
                tracing::warn!(
                    resolver = %self.resolver, works = queries.len(), detail,
                    "a call for several works ended without answers; they are asked about again, fewer at a time"
                );
            }
        }
    }
}
