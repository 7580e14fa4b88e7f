//! A response's body, chunk by chunk, under caps of time and size.
//!
//! Holds the permit of its request until the last byte, and tells its key how it ended. Must never end like a whole body when it is not one.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use crate::cache::Recording;
use crate::connect::root_cause;
use crate::errand::Errand;
use crate::error::{EgressError, Stage};
use crate::scope::Scope;
use crate::unpack::{BROKEN_OFF, Packing, Unpacker};

/// What a packed body may have before its ratio counts: a page of spaces is no bomb.
const BEFORE_RATIO: u64 = 1 << 20;

/// What a body must keep to.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) host: String,
    pub(crate) scope: Scope,
    pub(crate) cap: u64,
    /// Bytes that may come out of a packed one; see [`crate::EgressConfig::max_ratio`].
    pub(crate) max_ratio: u32,
    pub(crate) idle: Duration,
    pub(crate) started: Instant,
    pub(crate) end: Instant,
}

/// A body that is still coming. Dropping it ends the request and gives the permit back.
#[derive(Debug)]
pub struct Body {
    state: State,
    terms: Terms,
    declared: Option<u64>,
    received: u64,
    recording: Option<Recording>,
}

#[derive(Debug)]
enum State {
    Open { source: Source, errand: Errand },
    Kept(Bytes),
    Ended,
    Failed,
}

#[derive(Debug)]
enum Source {
    AsIs(reqwest::Response),
    Packed(Unpacker),
}

/// Why no more bytes come.
enum Broken {
    Garbage(String),
    TooMany,
    Off,
}

impl Source {
    async fn chunk(&mut self) -> Result<Option<Bytes>, Broken> {
        match self {
            Self::AsIs(response) => response.chunk().await.map_err(|_| Broken::Off),
            Self::Packed(unpacker) => unpacker.chunk().await.map_err(|error| match error.kind() {
                BROKEN_OFF | io::ErrorKind::UnexpectedEof => Broken::Off,
                io::ErrorKind::FileTooLarge => Broken::TooMany,
                _ => Broken::Garbage(root_cause(&error)),
            }),
        }
    }
}

impl Body {
    /// `is_sent`: not after HEAD, whose answer declares a length and has no body.
    pub(crate) fn new(response: reqwest::Response, errand: Errand, terms: Terms, is_sent: bool) -> Self {
        let packing = response.extensions().get::<Packing>().copied().filter(|_| is_sent);
        let declared = response.content_length().filter(|_| is_sent && packing.is_none());
        let source = match packing {
            Some(packing) => Source::Packed(Unpacker::new(response, packing, terms.cap)),
            None => Source::AsIs(response),
        };
        let state = State::Open { source, errand };
        Self { state, terms, declared, received: 0, recording: None }
    }

    /// A body that the cache has kept.
    pub(crate) fn kept(bytes: Bytes, terms: Terms) -> Self {
        let declared = Some(bytes.len() as u64);
        Self { state: State::Kept(bytes), terms, declared, received: 0, recording: None }
    }

    /// The cache keeps what comes, if all of it comes.
    pub(crate) fn recorded(self, recording: Option<Recording>) -> Self {
        Self { recording, ..self }
    }

    /// How many bytes were announced; none when nobody said, or when they come compressed.
    pub fn declared(&self) -> Option<u64> {
        self.declared
    }

    /// The next bytes, decompressed; none after the last. The permit goes back with that answer.
    ///
    /// # Errors
    /// When the body breaks off, is too slow or too large; and after any such error.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, EgressError> {
        let chunk = self.next().await;
        match &chunk {
            Ok(None) => {
                if let State::Open { errand, .. } = std::mem::replace(&mut self.state, State::Ended) {
                    errand.ended();
                }
                if let Some(recording) = self.recording.take() {
                    recording.whole().await;
                }
            }
            Err(error) => {
                if let State::Open { errand, .. } = std::mem::replace(&mut self.state, State::Failed) {
                    errand.failed(error);
                }
                self.recording = None;
            }
            Ok(Some(chunk)) => {
                self.recording = self.recording.take().and_then(|recording| recording.with(chunk));
            }
        }
        chunk
    }

    /// Whoever reads it judges it too slow: its host learns that, and no more bytes come.
    pub fn found_too_slow(&mut self) {
        if let State::Open { errand, .. } = std::mem::replace(&mut self.state, State::Failed) {
            errand.too_slow();
        }
        self.recording = None;
    }

    /// All bytes that are left, in one piece; at most as many as the request's cap.
    ///
    /// # Errors
    /// As [`Body::chunk`].
    pub async fn collect(mut self) -> Result<Bytes, EgressError> {
        let mut all = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }

    async fn next(&mut self) -> Result<Option<Bytes>, EgressError> {
        let source = match &mut self.state {
            State::Open { source, .. } => source,
            State::Kept(bytes) if bytes.is_empty() => return Ok(None),
            State::Kept(bytes) => {
                let all = std::mem::take(bytes);
                return self.count(all).map(Some);
            }
            State::Ended => return Ok(None),
            State::Failed => return Err(self.broken_off()),
        };
        let idle_until = Instant::now() + self.terms.idle;
        let until = idle_until.min(self.terms.end);
        match tokio::time::timeout_at(until, source.chunk()).await {
            Ok(Ok(Some(chunk))) => self.count(chunk).map(Some),
            Ok(Ok(None)) if self.declared.is_none_or(|declared| declared == self.received) => Ok(None),
            Ok(Ok(None) | Err(Broken::Off)) => Err(self.broken_off()),
            Ok(Err(Broken::TooMany)) => Err(self.too_large()),
            Ok(Err(Broken::Garbage(found))) => Err(EgressError::Connection {
                host: self.terms.host.clone(),
                detail: format!("the body cannot be decompressed: {found}"),
            }),
            Err(_) if until == idle_until => Err(self.too_slow(Stage::Idle, self.terms.idle)),
            Err(_) => Err(self.too_slow(Stage::Whole, self.terms.started.elapsed())),
        }
    }

    fn count(&mut self, chunk: Bytes) -> Result<Bytes, EgressError> {
        self.received += chunk.len() as u64;
        if self.received > self.terms.cap {
            return Err(self.too_large());
        }
        if let State::Open { source: Source::Packed(unpacker), .. } = &self.state {
            let (packed, ratio) = (unpacker.packed(), self.terms.max_ratio);
            if self.received > BEFORE_RATIO.max(packed.saturating_mul(ratio.into())) {
                let (host, unpacked) = (self.terms.host.clone(), self.received);
                return Err(EgressError::Bomb { host, packed, unpacked, ratio });
            }
        }
        self.terms.scope.count_bytes(chunk.len())?;
        Ok(chunk)
    }

    fn too_large(&self) -> EgressError {
        EgressError::TooLarge { host: self.terms.host.clone(), cap: self.terms.cap }
    }

    fn broken_off(&self) -> EgressError {
        let (received, declared) = (self.received, self.declared);
        EgressError::Truncated { host: self.terms.host.clone(), received, declared }
    }

    fn too_slow(&self, stage: Stage, after: Duration) -> EgressError {
        EgressError::Timeout { host: self.terms.host.clone(), stage, after }
    }
}
