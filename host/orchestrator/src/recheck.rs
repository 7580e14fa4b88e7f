//! Asking for the library's files again, whether they are as they were: a loop of its own beside the queue.
//!
//! No job is leased: a done job stays done. What came of each file is written down at once, under the condition that the
//! job still holds it, so that the loop may end anywhere and go on later. Hosts are asked under the same limits as by a
//! run, by the owner of their key only. Must never remove a file or a name.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use gleaner_content::{Revisit, Revisited};
use gleaner_egress::Scope;
use gleaner_model::clock::UnixMillis;
use gleaner_model::job::JobId;
use gleaner_model::key::{HostKey, Key};
use gleaner_model::reason::{FailureClass, Reason};
use gleaner_store::{Fenced, Held, StoredFile};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use url::Url;

use crate::pieces::{Pieces, RunError};
use crate::run::Stop;
use crate::sharing;

/// Files looked at ahead: among so many one is found whose host has room.
const AHEAD: usize = 1000;
/// Files read at a time.
const PAGE: u32 = 200;
/// Files of one host under way at a time, waiting for its limit included; the limit may allow fewer.
const PER_HOST: usize = 4;
/// How long until it is worth looking for a slot again.
const SLOT: Duration = Duration::from_millis(50);

/// What to ask for again.
#[derive(Debug, Clone)]
pub struct Recheck {
    /// The files of these jobs; none: of all.
    pub jobs: Option<Vec<JobId>>,
    /// Of those, what was last asked for, or stored, at this time or before.
    pub by: UnixMillis,
    /// Files without validators too, all of their bytes.
    pub force: bool,
    /// The longest pause of a host to sit out.
    pub max_wait: Duration,
}

/// What became of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The source says that it is as it was.
    NotModified,
    /// The same bytes came.
    Unchanged,
    /// The library had lost its bytes, or they were damaged, and the same came again.
    Renewed,
    /// Other bytes came: they are the file now, the earlier ones stay.
    Changed,
    /// The source does not have it any more (404, 410). The file stays.
    Gone,
    /// The source answered with something that is no full text, or not at all. The file stays.
    Failed,
    /// Its host asks to wait for longer than was allowed; or the loop was stopped.
    PutOff,
    /// Neither the source's validators are known nor was it to be asked for without.
    WithoutValidators,
    /// No record says where it is from.
    WithoutSource,
}

/// One file that was asked for again.
#[derive(Debug, Clone)]
pub struct Rechecked {
    /// Whose.
    pub artifact_id: String,
    /// Where.
    pub url: String,
    /// What became of it.
    pub verdict: Verdict,
    /// As in its record.
    pub reason: Option<Reason>,
    /// As in its record.
    pub detail: String,
    /// Bytes received.
    pub bytes: u64,
}

/// How many files came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// [`Verdict::NotModified`].
    pub not_modified: u64,
    /// [`Verdict::Unchanged`].
    pub unchanged: u64,
    /// [`Verdict::Renewed`].
    pub renewed: u64,
    /// [`Verdict::Changed`].
    pub changed: u64,
    /// [`Verdict::Gone`].
    pub gone: u64,
    /// [`Verdict::Failed`].
    pub failed: u64,
    /// [`Verdict::PutOff`].
    pub put_off: u64,
    /// [`Verdict::WithoutValidators`].
    pub without_validators: u64,
    /// [`Verdict::WithoutSource`].
    pub without_source: u64,
    /// Bytes received.
    pub bytes: u64,
}

impl Tally {
    fn add(&mut self, one: &Rechecked) {
        self.bytes += one.bytes;
        *match one.verdict {
            Verdict::NotModified => &mut self.not_modified,
            Verdict::Unchanged => &mut self.unchanged,
            Verdict::Renewed => &mut self.renewed,
            Verdict::Changed => &mut self.changed,
            Verdict::Gone => &mut self.gone,
            Verdict::Failed => &mut self.failed,
            Verdict::PutOff => &mut self.put_off,
            Verdict::WithoutValidators => &mut self.without_validators,
            Verdict::WithoutSource => &mut self.without_source,
        } += 1;
    }
}

/// The host's key that is free again, and what became of the file; nothing, when it was not asked for after all.
type Ended = Result<(Option<Key>, Option<Rechecked>), RunError>;
type Tasks = JoinSet<Ended>;

impl Pieces {
    /// Asks for files again until all have been, or `stop` says so; `tell` hears of each. What runs then may finish
    /// within the grace period. This process must have joined those that work on the library.
    ///
    /// # Errors
    /// When the library or its disk fails.
    pub async fn recheck(
        self: &Arc<Self>,
        what: Recheck,
        mut stop: watch::Receiver<Stop>,
        mut tell: impl FnMut(&Rechecked),
    ) -> Result<Tally, RunError> {
        let claims = Arc::clone(&self.sharing) as Arc<dyn gleaner_limits::Claims>;
        self.sources.limiter.share(claims, Instant::now() + sharing::ALIVE_FOR);
        self.sources.limiter.apply(&self.library.key_settings().await?);
        let mut neighbour = tokio::spawn(sharing::keep_up(Arc::clone(self)));
        let (mut tasks, mut tally) = (Tasks::new(), Tally::default());
        let mut queue = Queue { what: Arc::new(what), after: None, held: VecDeque::new(), is_read: false };
        let mut under_way: HashMap<Key, usize> = HashMap::new();
        let most = usize::from(self.config.max_fetches.get());
        let result = loop {
            if *stop.borrow() != Stop::Go {
                break Ok(());
            }
            if let Err(error) = queue.read(self).await {
                break Err(error);
            }
            while tasks.len() < most {
                let Some((held, key)) = queue.take(self, &under_way) else { break };
                if let Some(key) = &key {
                    *under_way.entry(key.clone()).or_default() += 1;
                }
                let (pieces, what, stop) = (Arc::clone(self), Arc::clone(&queue.what), stop.clone());
                tasks.spawn(async move { pieces.recheck_one(held, key, &what, stop).await });
            }
            tokio::select! {
                ended = tasks.join_next() => match ended {
                    None => break Ok(()),
                    Some(ended) => if let Err(error) = note(ended, &mut under_way, &mut tally, &mut tell) {
                        break Err(error);
                    },
                },
                _ = stop.changed() => {}
                failed = &mut neighbour => break Err(failed.map_or(RunError::Heartbeat, RunError::Store)),
            }
            if let Err(error) = self.save_cooldowns().await {
                break Err(error);
            }
        };
        let finishing = async {
            while let Some(ended) = tasks.join_next().await {
                note(ended, &mut under_way, &mut tally, &mut tell)?;
            }
            Ok::<(), RunError>(())
        };
        let finished = tokio::select! {
            finished = finishing, if result.is_ok() => finished,
            () = tokio::time::sleep(self.config.grace.0) => Ok(()),
            _ = stop.wait_for(|stop| *stop == Stop::Now) => Ok(()),
        };
        neighbour.abort();
        tasks.abort_all();
        self.save_cooldowns().await?;
        result.and(finished).map(|()| tally)
    }

    async fn recheck_one(
        &self,
        held: Held,
        key: Option<Key>,
        what: &Recheck,
        mut stop: watch::Receiver<Stop>,
    ) -> Ended {
        let mut one = Rechecked {
            artifact_id: held.artifact.id.to_string(),
            url: held.origin.as_ref().and_then(|origin| origin.candidate_url.clone()).unwrap_or_default(),
            verdict: Verdict::WithoutSource,
            reason: None,
            detail: String::new(),
            bytes: 0,
        };
        let (Some(key), Ok(url)) = (key, Url::parse(&one.url)) else { return Ok((None, Some(one))) };
        let whole = self.content.is_whole(&held.file.sha256, &held.file.name).await;
        let was_whole = whole.map_err(|failure| RunError::Files { detail: failure.detail })?;
        let has_validators = held.etag.is_some() || held.last_modified.is_some();
        if was_whole && !has_validators && !what.force {
            one.verdict = Verdict::WithoutValidators;
            return Ok((Some(key), Some(one)));
        }
        let until = Instant::now() + what.max_wait;
        let Revisited { facts, outcome } = loop {
            one.verdict = Verdict::PutOff;
            let left = until.saturating_duration_since(Instant::now());
            let permit = tokio::select! {
                permit = self.sources.limiter.try_acquire(&key, left) => permit,
                _ = stop.wait_for(|stop| *stop != Stop::Go) => return Ok((Some(key), None)),
            };
            let permit = match permit {
                Ok(permit) => permit,
                Err(_) => return Ok((Some(key), Some(one))),
            };
            // So that other processes see the key in use, as a run's.
            let _seat = loop {
                match self.seat(&key) {
                    Ok(seat) => break seat,
                    Err(_) => tokio::time::sleep(SLOT).await,
                }
            };
            let scope = Scope::download(Instant::now() + self.config.fetch_deadline.0);
            scope.reserve(permit);
            let (etag, last_modified) = (held.etag.as_deref(), held.last_modified.as_deref());
            let (sha256, name) = (&*held.file.sha256, &*held.file.name);
            let revisit = Revisit { url: &url, sha256, name, etag, last_modified };
            let egress = self.sources.now().egress.clone();
            let revisited = self.content.revisit(&egress, &scope, &revisit, &held.artifact).await;
            match &revisited.outcome {
                // The next permit comes when the pause is over, or not at all.
                Err(failure) if matches!(failure.class, FailureClass::Throttled { .. }) => {
                    if until <= Instant::now() {
                        return Ok((Some(key), Some(one)));
                    }
                    tokio::time::sleep(SLOT).await;
                }
                Err(failure) if failure.reason == Reason::Storage => {
                    return Err(RunError::Files { detail: failure.detail.clone() });
                }
                _ => break revisited,
            }
        };
        one.verdict = match &outcome {
            Ok(None) => Verdict::NotModified,
            Ok(Some(blob)) if blob.sha256 != held.file.sha256 => Verdict::Changed,
            Ok(Some(_)) if was_whole => Verdict::Unchanged,
            Ok(Some(_)) => Verdict::Renewed,
            Err(failure) if failure.reason == Reason::NotFound => Verdict::Gone,
            Err(_) => Verdict::Failed,
        };
        let record = self.record_of_recheck(&held, &facts, &outcome);
        (one.reason, one.detail) = (Some(record.reason), record.detail.clone());
        one.bytes = record.bytes.unwrap_or(0);
        let file = outcome.ok().flatten().map(|blob| {
            // Bytes that came again are the file they were; it has its name, unless that was lost.
            let name = if one.verdict == Verdict::Unchanged { held.file.name.clone() } else { blob.name };
            StoredFile { sha256: blob.sha256, size: blob.size, media_type: blob.media_type, name }
        });
        match self.library.visited(held.file.job, &held.file.sha256, record, file).await? {
            Fenced::Held(()) => {}
            Fenced::Lost => tracing::warn!(job = %held.file.job, "another process was faster with this file"),
        }
        Ok((Some(key), Some(one)))
    }
}

/// Files still to be asked for, in the order of their jobs.
struct Queue {
    what: Arc<Recheck>,
    after: Option<JobId>,
    held: VecDeque<Held>,
    is_read: bool,
}

impl Queue {
    /// Reads on until enough is known ahead.
    async fn read(&mut self, pieces: &Pieces) -> Result<(), RunError> {
        while !self.is_read && self.held.len() < AHEAD {
            if let Some(jobs) = &self.what.jobs {
                for job in jobs {
                    let held = pieces.library.held_by(*job).await?;
                    self.held.extend(held.filter(|held| held.last_asked() <= self.what.by));
                }
                self.is_read = true;
                return Ok(());
            }
            let page = pieces.library.due(self.after, self.what.by, PAGE).await?;
            self.is_read = page.len() < PAGE as usize;
            self.after = page.last().map(|held| held.file.job).or(self.after);
            self.held.extend(page);
        }
        Ok(())
    }

    /// The next file whose host has room, and its host's key; without one, a file that nobody can ask for.
    fn take(&mut self, pieces: &Pieces, under_way: &HashMap<Key, usize>) -> Option<(Held, Option<Key>)> {
        let key = |held: &Held| {
            let url = held.origin.as_ref()?.candidate_url.as_deref()?;
            let host = HostKey::of(&Url::parse(url).ok()?)?;
            Some(pieces.sources.limiter.canonical(&Key::Host(host)))
        };
        let has_room = |held: &Held| {
            key(held).is_none_or(|key| under_way.get(&key).is_none_or(|count| *count < PER_HOST))
        };
        let held = self.held.iter().position(has_room).and_then(|at| self.held.remove(at))?;
        let key = key(&held);
        Some((held, key))
    }
}

fn note(
    ended: Result<Ended, tokio::task::JoinError>,
    under_way: &mut HashMap<Key, usize>,
    tally: &mut Tally,
    tell: &mut impl FnMut(&Rechecked),
) -> Result<(), RunError> {
    let (key, one) = match ended {
        Ok(ended) => ended?,
        Err(panicked) => {
            // Its host's count stays up by one, which only slows that host down.
            tracing::error!(%panicked, "asking for a file again panicked; it stays due");
            tally.failed += 1;
            return Ok(());
        }
    };
    if let Some(count) = key.and_then(|key| under_way.get_mut(&key)) {
        *count -= 1;
    }
    if let Some(one) = &one {
        tally.add(one);
        tell(one);
    }
    Ok(())
}
