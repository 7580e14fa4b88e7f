//! The one thread that writes: it owns the connection, and commits what waits as a group.
//!
//! A command that fails undoes itself and nothing else. A caller is answered after the commit, never before;
//! a caller that went away is no reason not to commit.
//!
//! A group runs without savepoints: each would make the database keep a copy of every page that its command touches
//! first, which cost more than the commands. Only when one fails is the whole group undone and run once more, with a
//! savepoint around each; so a command may run twice, and must be the same both times.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use gleaner_model::fault;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::error::{StoreError, Trouble};
use crate::write::{Counts, Tx};

/// Commands that may wait; then callers do.
const WAITING: usize = 1024;
/// Most commands in one commit.
const GROUP: usize = 1024;
/// No further command joins a group that has run for so long. Commands of a group share the pages that they change, and
/// one wait for the disk: 2 ms cost a quarter of the speed.
const GROUP_TIME: Duration = Duration::from_millis(10);
/// While many write, a group waits so long for others to join it, if they keep coming: a commit costs as much as dozens
/// of commands, and the more commands change a page, the less each has cost.
const LINGER: Duration = Duration::from_millis(8);
/// It looks so often whether more have come.
const LOOK: Duration = Duration::from_micros(250);
/// So many commands in a group are many,
const MANY: usize = 8;
/// and so many are enough to begin at once.
const ENOUGH: usize = 256;
/// Pages in the log that make a checkpoint worth while.
const CHECKPOINT_PAGES: i64 = 8000;
/// Pages at which the writer is made to wait for the checkpoint: under an endless stream of writes the log
/// would never be reused, and grow.
const RESTART_PAGES: i64 = 2 * CHECKPOINT_PAGES;

/// Work on the connection, answered after the commit.
trait Command: Send {
    fn run(&mut self, tx: &Tx<'_>) -> Result<(), Trouble>;
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

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

enum Message {
    Run(Box<dyn Command>),
    Close,
}

/// Whether a write waits for others that would be committed with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Haste {
    /// No: something stands still until it is answered.
    AtOnce,
    /// Yes: nothing but the job that it is about goes on with its answer.
    InCompany,
}

/// The handle of the writing thread.
#[derive(Debug)]
pub(crate) struct Writer {
    path: PathBuf,
    messages: mpsc::Sender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
    patient: Arc<AtomicBool>,
    /// Somebody comes who does not wait for company.
    hurry: Arc<AtomicBool>,
}

impl Writer {
    /// Starts the thread. `checkpointer` is a second connection to the same database.
    pub(crate) fn start(
        connection: Connection,
        checkpointer: Connection,
        path: PathBuf,
        busy_timeout: Duration,
    ) -> Result<Self, StoreError> {
        let (messages, inbox) = mpsc::channel(WAITING);
        let (written, signals) = sync_channel(1);
        let refused = |error| StoreError::io("start a thread for", &path, &error);
        let checkpoints = Builder::new()
            .name("library-checkpoint".into())
            .spawn(move || checkpoint_on(&signals, &checkpointer))
            .map_err(refused)?;
        let patient = Arc::new(AtomicBool::new(false));
        let hurry = Arc::new(AtomicBool::new(false));
        let work = Work {
            connection,
            path: path.clone(),
            busy_timeout,
            patient: Arc::clone(&patient),
            hurry: Arc::clone(&hurry),
            inbox,
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
        Ok(Self { path, messages, thread: Mutex::new(Some(thread)), patient, hurry })
    }

    /// Runs `work` in a transaction and answers when it is durable. Runs to its end even if the caller
    /// stops waiting.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        haste: Haste,
        work: impl FnMut(&Tx<'_>) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let call = Message::Run(Box::new(Call { work, outcome: None, reply }));
        if haste == Haste::AtOnce {
            self.hurry.store(true, Ordering::Relaxed);
        }
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

/// What the thread owns.
struct Work {
    connection: Connection,
    path: PathBuf,
    busy_timeout: Duration,
    patient: Arc<AtomicBool>,
    hurry: Arc<AtomicBool>,
    inbox: mpsc::Receiver<Message>,
    written: SyncSender<()>,
    /// How many commands the last group had.
    last_group: usize,
}

impl Work {
    fn run(mut self) {
        while let Some(Message::Run(first)) = self.inbox.blocking_recv() {
            let goes_on = self.group(first);
            // Full means that the signal is given already.
            let _ = self.written.try_send(());
            if !goes_on {
                break;
            }
        }
        fault::point("log.merge");
        if let Err(error) = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
            tracing::debug!(%error, "the log of the library is left to be merged at the next start");
        }
        fault::point("log.merged");
    }

    /// Runs `first` and what waits behind it in one transaction; false when the thread shall end.
    fn group(&mut self, first: Box<dyn Command>) -> bool {
        self.linger();
        if let Err(error) = self.begin() {
            first.answer(Err(error));
            return true;
        }
        let begun = Instant::now();
        let tx = Tx::new(&self.connection);
        let (mut group, mut goes_on) = (vec![first], true);
        let mut last_fits = group.last_mut().is_none_or(|command| command.run(&tx).is_ok());
        while last_fits && group.len() < GROUP && begun.elapsed() < GROUP_TIME {
            match self.inbox.try_recv() {
                Ok(Message::Run(command)) => group.push(command),
                Ok(Message::Close) => {
                    goes_on = false;
                    break;
                }
                Err(_) => break,
            }
            last_fits = group.last_mut().is_none_or(|command| command.run(&tx).is_ok());
        }
        let counts = tx.into_counts();
        self.last_group = group.len();
        if last_fits {
            let committed = self.commit(&counts);
            group.into_iter().for_each(|command| command.answer(committed.clone()));
        } else {
            self.one_by_one(group);
        }
        goes_on
    }

    /// Lets commands gather before the database is locked, if there were many just now and as long as they keep coming.
    fn linger(&self) {
        let (begun, mut there) = (Instant::now(), 0);
        let is_over = |waiting: usize| waiting >= ENOUGH || begun.elapsed() >= LINGER;
        // Who hurries may yet be on the way when this has been seen: then it waits as others do, once.
        while !self.hurry.swap(false, Ordering::Relaxed) && self.last_group >= MANY && !is_over(there) {
            std::thread::park_timeout(LOOK);
            let now = self.inbox.len();
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

/// Merges the log into the database beside the writer, so that no commit waits for it.
fn checkpoint_on(signals: &Receiver<()>, connection: &Connection) {
    let frames = |mode: &str| {
        connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
            Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        })
    };
    while signals.recv().is_ok() {
        let done = frames("NOOP").and_then(|(log, merged)| match log {
            log if log - merged < CHECKPOINT_PAGES => Ok((0, 0)),
            log if log < RESTART_PAGES => frames("PASSIVE"),
            _ => frames("PASSIVE").and_then(|_| frames("RESTART")),
        });
        if let Err(error) = done {
            tracing::warn!(%error, "the log of the library could not be merged; it grows until the next try");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{Mode, open};
    use crate::sql;
    use crate::tests::options;

    /// A full disk makes the database undo the transaction: every command in it has to hear of it.
    #[tokio::test]
    async fn a_full_disk_undoes_the_group_and_the_writer_lives_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("library.db");
        let connection = open(&path, Mode::Write, &options()).unwrap();
        let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        let allow = move |connection: &Connection, more: i64| {
            connection.query_row(&format!("PRAGMA max_page_count = {}", pages + more), [], |_| Ok(()))
        };
        allow(&connection, 2).unwrap();
        let checkpointer = open(&path, Mode::Write, &options()).unwrap();
        let writer = Writer::start(connection, checkpointer, path.clone(), options().busy_timeout.0).unwrap();
        let add = |name: &'static str, bytes: usize| {
            writer.call(Haste::InCompany, move |connection| {
                let artifact = format!("\"{}\"", "x".repeat(bytes));
                Ok(connection.prepare_cached(sql::JOB_INSERT)?.execute((name, artifact))?)
            })
        };
        let (small, large) = tokio::join!(add("small", 10), add("large", 1 << 20));
        let full = StoreError::Full { path };
        assert_eq!(large, Err(full.clone()));
        // Whether both came into one group is a matter of time.
        assert!(small == Ok(1) || small == Err(full), "{small:?}");
        writer.call(Haste::AtOnce, move |tx| Ok(allow(tx, 1000)?)).await.unwrap();
        assert_eq!(add("large", 1 << 20).await, Ok(1));
        let count = "SELECT count(*) FROM job";
        let jobs: i64 = writer
            .call(Haste::AtOnce, move |connection| Ok(connection.query_row(count, [], |row| row.get(0))?))
            .await
            .unwrap();
        assert_eq!(jobs, 1 + i64::from(small.is_ok()));
        writer.close().await;
    }
}
