//! What waits for the writing thread, by what it waits for itself.
//!
//! Must never keep a command that is to last waiting for longer than [`LINGER`] behind fleeting ones.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::error::{StoreError, Trouble};
use crate::write::Tx;

/// While many write, a group waits so long for others to join it, if they keep coming: a commit costs as much as dozens
/// of commands, and the more commands change a page, the less each has cost.
const LINGER: Duration = Duration::from_millis(8);

/// Work on the connection, answered after the commit.
pub(super) trait Command: Send {
    fn run(&mut self, tx: &Tx<'_>) -> Result<(), Trouble>;
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

pub(super) enum Message {
    Run(Box<dyn Command>, Haste),
    Close,
}

/// What a write waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Haste {
    /// Others that come at the same time: nothing but the job that it is about goes on with its answer. And the disk.
    InCompany,
    /// The disk alone: something stands still until it is answered.
    AtOnce,
    /// Nothing. It is there for this process and all others, also when this one is killed; if the power fails, it may be as
    /// if it had never been asked for.
    Fleeting,
}

/// Commands that came, by what they wait for.
pub(super) struct Inbox {
    arrivals: mpsc::Receiver<Message>,
    pub(super) lasting: VecDeque<Box<dyn Command>>,
    pub(super) fleeting: VecDeque<Box<dyn Command>>,
    /// When the lasting ones are to be written at the latest.
    due: Option<Instant>,
    is_closed: bool,
}

impl Inbox {
    pub(super) fn new(arrivals: mpsc::Receiver<Message>) -> Self {
        let (lasting, fleeting) = (VecDeque::new(), VecDeque::new());
        Self { arrivals, lasting, fleeting, due: None, is_closed: false }
    }

    /// Waits for a command; false when none will come.
    pub(super) fn wait(&mut self) -> bool {
        self.look();
        while self.lasting.is_empty() && self.fleeting.is_empty() {
            let message = if self.is_closed { None } else { self.arrivals.blocking_recv() };
            match message {
                Some(message) => self.sort(message),
                None => return false,
            }
        }
        true
    }

    pub(super) fn look(&mut self) {
        while let Ok(message) = self.arrivals.try_recv() {
            self.sort(message);
        }
    }

    fn sort(&mut self, message: Message) {
        let (command, wait) = match message {
            Message::Close => return self.is_closed = true,
            Message::Run(command, Haste::Fleeting) => return self.fleeting.push_back(command),
            Message::Run(command, Haste::AtOnce) => (command, Duration::ZERO),
            Message::Run(command, Haste::InCompany) => (command, LINGER),
        };
        let due = Instant::now() + wait;
        self.due = Some(self.due.map_or(due, |before| before.min(due)));
        self.lasting.push_back(command);
    }

    /// Whether the lasting ones have waited long enough.
    pub(super) fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now())
    }

    /// The next of a group: in one that waits for the disk, the fleeting ones come along last.
    pub(super) fn next(&mut self, is_fleeting: bool) -> Option<Box<dyn Command>> {
        let lasting = if is_fleeting { None } else { self.lasting.pop_front() };
        if self.lasting.is_empty() {
            self.due = None;
        }
        lasting.or_else(|| self.fleeting.pop_front())
    }
}
