//! Keys as the library knows them: who owns one, what was set for it, what waits under it.
//!
//! Must never hold a limit that is not set here: those of the configuration are not in the library.

use gleaner_model::clock::UnixMillis;
use gleaner_model::key::Key;
use gleaner_model::setting::{Condition, KeyLimit, KeySetting};

use crate::Library;
use crate::error::StoreError;
use crate::queue::ProcessId;
use crate::{read, write};

/// What became of asking for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// This process owns it.
    Owned {
        /// An upstream's pause, if it lies in the future.
        cooldown_until: UnixMillis,
        /// Leases of it that other processes hold, and until when: they count as in flight.
        busy_until: Vec<UnixMillis>,
        /// When the last owner let go of it; 0 when nobody ever owned it.
        released_at: UnixMillis,
    },
    /// Another process owns it and lives. It has been told that somebody waits.
    Foreign,
}

/// Everything about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Which, and what is set for it.
    pub setting: KeySetting,
    /// Jobs that may run when it may.
    pub ready: u64,
    /// Jobs that wait for a time.
    pub delayed: u64,
    /// Jobs under a lease.
    pub leased: u64,
    /// The system's number of the process that owns it.
    pub owner_pid: Option<u32>,
}

impl KeyRow {
    /// A key under which nothing waits and that nobody owns.
    pub fn without_jobs(key: Key) -> Self {
        Self { setting: KeySetting::none(key), ready: 0, delayed: 0, leased: 0, owner_pid: None }
    }
}

/// A process that wishes for a key of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The key.
    pub key: Key,
    /// Who.
    pub process: ProcessId,
    /// A step of it cannot go on without the key.
    pub is_needed: bool,
}

impl Library {
    /// Makes this process the owner of these keys, or tells that another process is: that one then hears, until
    /// `wish_until`, that they are wished for, or needed.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn claim(
        &self,
        keys: Vec<Key>,
        wish_until: UnixMillis,
        is_needed: bool,
    ) -> Result<Vec<Claim>, StoreError> {
        let holder = self.holder();
        self.write(move |tx, now| write::claim(tx, &keys, holder, (wish_until, is_needed), now)).await
    }

    /// Lets go of keys, each to nobody or to a process that wishes for it. What this process does not own is
    /// passed over.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn give(&self, keys: Vec<(Key, Option<ProcessId>)>) -> Result<(), StoreError> {
        let holder = self.holder();
        self.write(move |tx, now| write::give(tx, &keys, holder, now)).await
    }

    /// The keys that this process owns.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn owned(&self) -> Result<Vec<Key>, StoreError> {
        let holder = self.holder();
        self.read(move |c| read::keys::owned(c, holder.id)).await
    }

    /// Remembers that a key is not to be used before then, over restarts.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn save_cooldown(&self, key: Key, until: UnixMillis) -> Result<(), StoreError> {
        self.write(move |tx, _| write::save_cooldown(tx, &key, until)).await
    }

    /// Remembers how a key fares, over restarts.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn save_condition(&self, key: Key, condition: Condition) -> Result<(), StoreError> {
        self.write(move |tx, _| write::save_condition(tx, &key, &condition)).await
    }

    /// What holds for keys beyond the configuration: pauses of upstreams and operators, and limits that were set.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn key_settings(&self) -> Result<Vec<KeySetting>, StoreError> {
        let now = self.now();
        self.read(move |c| read::keys::settings(c, now)).await
    }

    /// Every key that has jobs, an owner, or something that was set for it, by name.
    ///
    /// # Errors
    /// When the read fails.
    pub async fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        self.read(read::keys::all).await
    }

    /// Stops a key, whoever works on it, or lets it go on. A step that runs goes on either way.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn pause(&self, key: Key, paused: bool) -> Result<(), StoreError> {
        self.write(move |tx, _| write::pause(tx, &key, paused)).await
    }

    /// Sets a key's limit. What the empty limit leaves out is the configuration's.
    ///
    /// # Errors
    /// When the write fails.
    pub async fn limit(&self, key: Key, limit: KeyLimit) -> Result<(), StoreError> {
        self.write(move |tx, _| write::limit(tx, &key, limit)).await
    }
}
