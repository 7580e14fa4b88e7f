//! One call of a resolver for several jobs, where the resolver can be asked about many works at once.
//!
//! The jobs are leased together and each has a task of its own, as any other: losing one lease ends one job. Each brings
//! its question here, the last to come makes the call, under the one reservation, and each goes on with its own answer.
//! Must never fail a job for what another did: where a call ends without answers nothing is recorded, and the jobs are
//! asked about again, half as many at a time.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gleaner_limits::Permit;
use gleaner_model::key::ResolverName;
use gleaner_runtime::{CallReport, Query};
use tokio::sync::oneshot;
use tracing::Instrument;

use crate::generation::Generation;
use crate::install::Installed;
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
        // Of its own: no single job's end may end it. Its requests are in the trace of the last who came.
        let this = Arc::clone(this);
        tokio::spawn(async move { this.call(reservation, questions).await }.in_current_span());
    }

    async fn call(&self, mut reservation: Reservation, questions: Vec<Question>) {
        let Some(installed) = self.generation.resolvers.get(&self.resolver) else { return };
        // Another component may have come since the jobs were leased. Whose question is left out asks again.
        let most = installed.plugin.info.most.map_or(1, NonZeroU32::get) as usize;
        let (queries, mut answers): (Vec<_>, Vec<_>) =
            questions.into_iter().take(most).map(|question| (question.query, question.answer)).unzip();
        reservation.permit.spend();
        let host = reservation.host.take();
        let call = self.ask(installed, &queries, host);
        let nobody_listens = async {
            for answer in &mut answers {
                answer.closed().await;
            }
        };
        let reports = tokio::select! {
            reports = call => reports,
            () = nobody_listens => return,
        };
        let (trial, paces) = (reservation.trial.as_ref(), &self.pieces.paces);
        let reports = match reports {
            Ok(reports) if !is_of_the_call(&reports) => reports,
            apart => {
                // What failed is the call, and one work may have done it: its plugin is judged by the call about that one
                // alone, its service by this one.
                let report = apart.map(|mut reports| reports.swap_remove(0)).unwrap_or_else(|report| *report);
                if !report.is_fault() {
                    self.pieces.note_call(installed, &report, trial);
                }
                paces.note_batch(&self.resolver, queries.len(), false);
                let detail = report.outcome.err().map(|failure| failure.detail).unwrap_or_default();
                tracing::warn!(
                    resolver = %self.resolver, works = queries.len(), detail,
                    "a call for several works ended without answers; they are asked about again, fewer at a time"
                );
                return;
            }
        };
        paces.note_batch(&self.resolver, queries.len(), reports.iter().any(|report| report.outcome.is_ok()));
        // What the call says of its resolver, once: that it is to be left alone, or that it works.
        let worked = |report: &&CallReport| report.outcome.is_ok();
        let telling = reports.iter().find(|report| report.is_throttled());
        let telling = telling.or_else(|| reports.iter().find(worked)).or(reports.first());
        let pause = telling.and_then(|telling| self.pieces.note_call(installed, telling, trial));
        drop(reservation);
        for (report, answer) in reports.into_iter().zip(answers) {
            // Who is gone needs none.
            let _ = answer.send(Answer::Report(Box::new(report), pause));
        }
    }

    /// One report a query. Where the others have gone, one is asked about as it would be alone.
    async fn ask(
        &self,
        installed: &Installed,
        queries: &[Query],
        host: Option<Permit>,
    ) -> Result<Vec<CallReport>, Box<CallReport>> {
        let sources = &self.pieces.sources;
        match queries {
            [one] => Ok(vec![sources.call(&self.generation, installed, one, host).await]),
            several => sources.call_many(&self.generation, installed, several, host).await,
        }
    }
}

/// Whether all of several works have the same failure: then it is of what they share, such as a request that one of them
/// has spoilt. A wish to slow down is none of theirs.
fn is_of_the_call(reports: &[CallReport]) -> bool {
    let Some(first) = reports.first().filter(|first| reports.len() > 1 && first.outcome.is_err()) else {
        return false;
    };
    let is_wait = first.is_throttled() || first.rate_limited.is_some();
    !is_wait && reports.iter().all(|report| report.outcome == first.outcome)
}
