//! The one thread that writes: it owns the connection, and commits what waits as a group.
//!
//! A command that fails undoes itself and nothing else. A caller is answered after the commit, never before;
//! a caller that went away is no reason not to commit.
//!
//! What need not outlive a failure of the power is committed before that, in a group of its own which does not wait for the
//! disk: SQLite writes the log in its order, so what is synced later has all before it.
//!
//! A group runs without savepoints: each would make the database keep a copy of every page that its command touches
//! first, which cost more than the commands. Only when one fails is the whole group undone and run once more, with a
//! savepoint around each; so a command may run twice, and must be the same both times.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use gleaner_model::fault;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::error::{StoreError, Trouble};
use crate::write::{Counts, Tx};

mod checkpoint;
mod inbox;

pub(crate) use inbox::Haste;
use inbox::{Command, Inbox, Message};

/// Commands that may wait; then callers do.
const WAITING: usize = 1024;
/// Most commands in one commit.
const GROUP: usize = 1024;
/// No further command joins a group that has run for so long. Commands of a group share the pages that they change, and
/// one wait for the disk: 2 ms cost a quarter of the speed.
const GROUP_TIME: Duration = Duration::from_millis(10);
/// It looks so often whether more have come.
const LOOK: Duration = Duration::from_micros(250);
/// So many commands in a group are many,
const MANY: usize = 8;
/// and so many are enough to begin at once.
const ENOUGH: usize = 256;

/// The log is looked at so often at most, to see whether it is to be merged: not at each commit, as that wakes a thread.
const SIGNAL: Duration = Duration::from_millis(20);

struct Call<F, T> {
    work: F,
    outcome: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Command for Call<F, T>
where
    F: FnMut(&Tx<'_>) -> Result<T, Trouble> + Send,
    T: Send,
{
    fn run(&mut self, tx: &Tx<'_>) -> Result<(), Trouble> {
        self.outcome = None;
        self.outcome = Some((self.work)(tx)?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let answer = match (committed, self.outcome) {
            (Ok(()), Some(outcome)) => Ok(outcome),
            (Err(error), _) => Err(error),
            (Ok(()), None) => return,
        };
        // An error means that the caller does not wait any more.
        let _ = self.reply.send(answer);
    }
}

/// The handle of the writing thread.
#[derive(Debug)]
pub(crate) struct Writer {
    path: PathBuf,
    messages: mpsc::Sender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
    patient: Arc<AtomicBool>,
}

impl Writer {
    /// Starts the thread. `checkpointer` is a second connection to the same database.
    pub(crate) fn start(
        connection: Connection,
        checkpointer: Connection,
        path: PathBuf,
        busy_timeout: Duration,
    ) -> Result<Self, StoreError> {
        let (messages, arrivals) = mpsc::channel(WAITING);
        let (written, signals) = sync_channel(1);
        let refused = |error| StoreError::io("start a thread for", &path, &error);
        let checkpoints = Builder::new()
            .name("library-checkpoint".into())
            .spawn(move || checkpoint::merge_on(&signals, &checkpointer))
            .map_err(refused)?;
        let patient = Arc::new(AtomicBool::new(false));
        let syncs = Synced::of(&connection).map_err(|error| StoreError::of(error, &path, busy_timeout))?;
        let work = Work {
            connection,
            syncs,
            path: path.clone(),
            busy_timeout,
            patient: Arc::clone(&patient),
            inbox: Inbox::new(arrivals),
            written,
            last_group: 0,
        };
        let thread = Builder::new()
            .name("library-writer".into())
            .spawn(move || {
                work.run();
                // Its sender is gone, so it ends too; a panic there has been reported by the panic hook.
                let _ = checkpoints.join();
            })
            .map_err(refused)?;
        Ok(Self { path, messages, thread: Mutex::new(Some(thread)), patient })
    }

    /// Runs `work` in a transaction and answers when it is as durable as its haste says. Runs to its end even if the
    /// caller stops waiting.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        haste: Haste,
        work: impl FnMut(&Tx<'_>) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let call = Message::Run(Box::new(Call { work, outcome: None, reply }), haste);
        self.messages.send(call).await.map_err(|_| self.closed())?;
        answer.await.map_err(|_| self.closed())?
    }

    /// Whether a write waits longer than the busy timeout for another process that holds the database: one that was
    /// stopped amid a write keeps all others waiting, and that is no reason to give up a run.
    pub(crate) fn set_patient(&self, patient: bool) {
        self.patient.store(patient, Ordering::Relaxed);
    }

    /// Commits what waits and ends the thread.
    pub(crate) async fn close(&self) {
        // An error means that it has ended already.
        let _ = self.messages.send(Message::Close).await;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    fn closed(&self) -> StoreError {
        StoreError::Closed { path: self.path.clone() }
    }
}

/// Whether commits wait for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Synced {
    /// None does: `durability = "normal"`.
    Never,
    /// They do, until that is changed.
    Now,
    /// They do not, until that is changed.
    NotNow,
}

impl Synced {
    fn of(connection: &Connection) -> rusqlite::Result<Self> {
        const FULL: i64 = 2;
        let level: i64 = connection.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
        Ok(if level < FULL { Self::Never } else { Self::Now })
    }

    /// What the next commit is to be. Not within a transaction.
    fn set(&mut self, connection: &Connection, is_fleeting: bool) -> rusqlite::Result<()> {
        let (wanted, level) = if is_fleeting { (Self::NotNow, "NORMAL") } else { (Self::Now, "FULL") };
        if *self != Self::Never && *self != wanted {
            connection.pragma_update(None, "synchronous", level)?;
            *self = wanted;
        }
        Ok(())
    }
}

/// What the thread owns.
struct Work {
    connection: Connection,
    syncs: Synced,
    path: PathBuf,
    busy_timeout: Duration,
    patient: Arc<AtomicBool>,
    inbox: Inbox,
    written: SyncSender<()>,
    /// How many commands the last group had that waited for the disk.
    last_group: usize,
}

impl Work {
    fn run(mut self) {
        let mut signalled = Instant::now();
        while self.inbox.wait() {
            self.linger();
            let is_fleeting = !self.inbox.fleeting.is_empty() && !self.inbox.is_due();
            self.group(is_fleeting);
            if signalled.elapsed() >= SIGNAL {
                // Full means that the signal is given already.
                let _ = self.written.try_send(());
                signalled = Instant::now();
            }
        }
        fault::point("log.merge");
        if let Err(error) = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
            tracing::debug!(%error, "the log of the library is left to be merged at the next start");
        }
        fault::point("log.merged");
    }

    /// Runs what waits in one transaction.
    fn group(&mut self, is_fleeting: bool) {
        let begun = self.syncs.set(&self.connection, is_fleeting);
        let begun = begun.map_err(|error| StoreError::of(error, &self.path, self.busy_timeout));
        if let Err(error) = begun.and_then(|()| self.begin()) {
            if let Some(first) = self.inbox.next(is_fleeting) {
                first.answer(Err(error));
            }
            return;
        }
        let begun = Instant::now();
        let tx = Tx::new(&self.connection);
        let (mut group, mut last_fits) = (Vec::new(), true);
        while last_fits && group.len() < GROUP && begun.elapsed() < GROUP_TIME {
            self.inbox.look();
            let Some(mut command) = self.inbox.next(is_fleeting) else { break };
            last_fits = command.run(&tx).is_ok();
            group.push(command);
        }
        let counts = tx.into_counts();
        if !is_fleeting {
            self.last_group = group.len();
        }
        if last_fits {
            let committed = self.commit(&counts);
            group.into_iter().for_each(|command| command.answer(committed.clone()));
        } else {
            self.one_by_one(group);
        }
    }

    /// Lets commands gather before the database is locked, if there were many just now and as long as they keep coming.
    fn linger(&mut self) {
        let mut there = 0;
        while self.inbox.fleeting.is_empty()
            && self.last_group >= MANY
            && there < ENOUGH
            && !self.inbox.is_due()
        {
            std::thread::park_timeout(LOOK);
            self.inbox.look();
            let now = self.inbox.lasting.len();
            if now == there {
                return;
            }
            there = now;
        }
    }

    /// Undoes a group of which a command failed, and runs it again so that each failure undoes itself alone.
    fn one_by_one(&self, group: Vec<Box<dyn Command>>) {
        // A full disk, for one, has undone it already.
        if !self.connection.is_autocommit()
            && let Err(error) = self.statement("ROLLBACK")
        {
            return group.into_iter().for_each(|command| command.answer(Err(error.clone())));
        }
        if let Err(error) = self.begin() {
            return group.into_iter().for_each(|command| command.answer(Err(error.clone())));
        }
        let (mut ran, mut counts) = (Vec::new(), Counts::default());
        let mut group = group.into_iter();
        while let Some(mut command) = group.next() {
            match self.undoable(command.as_mut()) {
                Ok(moved) => {
                    counts.add(moved);
                    ran.push((command, Ok(())));
                }
                // Some failures, a full disk among them, make the database undo the whole transaction.
                Err(error) if self.connection.is_autocommit() => {
                    ran.push((command, Err(error.clone())));
                    ran.extend(group.map(|command| (command, Ok(()))));
                    return answer_all(ran, &Err(error));
                }
                // Answered with the others: who was told must find no transaction open.
                Err(error) => ran.push((command, Err(error))),
            }
        }
        let committed = self.commit(&counts);
        answer_all(ran, &committed);
    }

    /// Commits what ran, with its counts.
    fn commit(&self, counts: &Counts) -> Result<(), StoreError> {
        let counted = counts.write(&self.connection);
        let counted = counted.map_err(|error| StoreError::of(error, &self.path, self.busy_timeout));
        fault::point("store.commit");
        let committed = counted.and_then(|()| self.statement("COMMIT"));
        if committed.is_err() && !self.connection.is_autocommit() {
            let _ = self.statement("ROLLBACK");
        }
        fault::point("store.committed");
        committed
    }

    fn begin(&self) -> Result<(), StoreError> {
        loop {
            match self.statement("BEGIN IMMEDIATE") {
                Err(error @ StoreError::Busy { .. }) if self.patient.load(Ordering::Relaxed) => {
                    tracing::warn!("{error}; this run goes on waiting");
                }
                begun => return begun,
            }
        }
    }

    /// Runs a command so that its failure undoes what it did and nothing else; tells what it moved.
    fn undoable(&self, command: &mut dyn Command) -> Result<Counts, StoreError> {
        self.statement("SAVEPOINT command")?;
        let tx = Tx::new(&self.connection);
        match command.run(&tx) {
            Ok(()) => self.statement("RELEASE command").map(|()| tx.into_counts()),
            Err(trouble) => {
                if !self.connection.is_autocommit() {
                    self.statement("ROLLBACK TO command")?;
                    self.statement("RELEASE command")?;
                }
                Err(trouble.at(&self.path, self.busy_timeout))
            }
        }
    }

    fn statement(&self, text: &str) -> Result<(), StoreError> {
        let done = self.connection.prepare_cached(text).and_then(|mut statement| statement.execute([]));
        done.map(drop).map_err(|error| StoreError::of(error, &self.path, self.busy_timeout))
    }
}

fn answer_all(ran: Vec<(Box<dyn Command>, Result<(), StoreError>)>, committed: &Result<(), StoreError>) {
    for (command, result) in ran {
        command.answer(result.and_then(|()| committed.clone()));
    }
}

#[cfg(test)]
mod tests;
