//! Where a body's bytes go: hashed, written, and noted from time to time so that a later try can go on from there.
//!
//! Must never note more than is written. What is neither finished nor resumable is removed when it is dropped.

use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use bytes::Bytes;
use gleaner_model::manifest::Transport;
use gleaner_model::reason::Failure;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::blobs::hex;
use crate::download::{HEAD, Received, TAIL};
use crate::gathered::{Gathered, PIECE};
use crate::parts::{Note, Parts, Slot};
use crate::{ContentError, ErrorContext, blocking, uncached};

/// A crash costs at most so many bytes of a download, and a smaller file is asked for again.
const NOTED: u64 = 4 << 20;

/// Makes the file when the first bytes are written: a trip to the disk's thread less.
type Make = Box<dyn FnOnce() -> Result<NamedTempFile, ContentError> + Send>;

/// Bytes on their way to a file.
pub(crate) struct Sink {
    /// Those that are still to be written.
    gathered: Gathered,
    file: Place,
    hasher: Sha256,
    head: Vec<u8>,
    tail: Vec<u8>,
    length: u64,
    keep: Option<Keep>,
}

enum Place {
    NotYet(Make),
    File(NamedTempFile),
    Gone,
}

/// What makes a sink resumable.
pub(crate) struct Keep {
    pub(crate) parts: Arc<Parts>,
    pub(crate) slot: Slot,
    /// Its length and hash are those of the last time that it was written.
    pub(crate) note: Note,
}

impl Sink {
    /// An empty one.
    pub(crate) fn new(make: Make) -> Self {
        Self::at(Place::NotYet(make))
    }

    fn at(file: Place) -> Self {
        let (gathered, hasher) = (Gathered::default(), Sha256::new());
        Self { gathered, file, hasher, head: Vec::new(), tail: Vec::new(), length: 0, keep: None }
    }

    /// One that has a beginning, if the file still begins with what was noted; what lies behind is cut off. Blocks.
    pub(crate) fn resume(mut file: NamedTempFile, keep: Keep) -> Option<Self> {
        let mut sink = Self::at(Place::Gone);
        let mut buffer = vec![0; PIECE];
        let mut beginning = file.as_file_mut().take(keep.note.length);
        loop {
            match beginning.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => sink.note(&buffer[..length]),
                Err(_) => return None,
            }
        }
        let is_it = sink.length == keep.note.length && sink.sha256() == keep.note.sha256;
        if !is_it {
            keep.slot.forget_note();
            return None;
        }
        file.as_file().set_len(sink.length).ok()?;
        file.as_file_mut().seek(SeekFrom::Start(sink.length)).ok()?;
        sink.file = Place::File(file);
        sink.keep = Some(keep);
        Some(sink)
    }

    /// From now on what came is kept.
    pub(crate) fn make_resumable(&mut self, keep: Keep) {
        self.keep = Some(keep);
    }

    /// The rest comes over this; says what holds for the whole.
    pub(crate) fn goes_on_over(&mut self, transport: Transport) -> Transport {
        let Some(keep) = &mut self.keep else { return transport };
        keep.note.transport = keep.note.transport.max(transport);
        keep.note.transport
    }

    /// So many bytes are to come, if that is known.
    pub(crate) fn expect(&mut self, length_declared: Option<u64>) {
        if self.length == 0 {
            self.gathered = Gathered::of_body(length_declared);
        }
    }

    /// Whether so many bytes may be added before others are written.
    pub(crate) fn has_room(&self, more: usize) -> bool {
        self.gathered.has_room(more)
    }

    /// Adds bytes that there is room for.
    pub(crate) fn add(&mut self, chunk: Bytes) {
        self.gathered.add(chunk);
    }

    /// Bytes that are written.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// What came is of no use to anybody.
    pub(crate) fn give_up(&mut self) {
        if let Some(keep) = self.keep.take() {
            keep.slot.forget_note();
        }
    }

    /// Writes what was added.
    pub(crate) async fn write(mut self) -> Result<Self, Failure> {
        blocking(move || {
            let bytes = self.gathered.take();
            self.take(&bytes)?;
            if self.keep.as_ref().is_some_and(|keep| self.length - keep.note.length >= NOTED) {
                self.save();
            }
            Ok(self)
        })
        .await
    }

    /// The body broke off.
    pub(crate) async fn keep(mut self) -> Result<(), Failure> {
        blocking(move || self.write_if_resumable()).await
    }

    fn write_if_resumable(&mut self) -> Result<(), ContentError> {
        let bytes = self.gathered.take();
        if self.keep.is_some() && !bytes.is_empty() { self.take(&bytes) } else { Ok(()) }
    }

    /// The body has ended. Blocks on the disk.
    pub(crate) fn finish(mut self) -> Result<Received, ContentError> {
        let bytes = self.gathered.take();
        if self.length == 0 {
            // Nobody reads them from the file soon: they are at hand.
            let file = self.open()?;
            uncached::write_all(file.as_file(), &bytes).context("write", file.path())?;
            self.note(&bytes);
        } else {
            self.take(&bytes)?;
        }
        let whole = (self.length == bytes.len() as u64).then_some(bytes);
        if let Some(keep) = self.keep.take().filter(|keep| keep.note.length > 0) {
            keep.slot.forget_note();
        }
        let sha256 = self.sha256();
        let (head, tail) = (std::mem::take(&mut self.head), std::mem::take(&mut self.tail));
        match std::mem::replace(&mut self.file, Place::Gone) {
            Place::File(file) => Ok(Received { file, sha256, size: self.length, head, tail, whole }),
            _ => Err(lost()),
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), ContentError> {
        let file = self.open()?;
        file.write_all(bytes).context("write", file.path())?;
        self.note(bytes);
        Ok(())
    }

    fn open(&mut self) -> Result<&mut NamedTempFile, ContentError> {
        if matches!(self.file, Place::NotYet(_))
            && let Place::NotYet(make) = std::mem::replace(&mut self.file, Place::Gone)
        {
            self.file = Place::File(make()?);
        }
        match &mut self.file {
            Place::File(file) => Ok(file),
            _ => Err(lost()),
        }
    }

    fn note(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.hasher.update(bytes);
        let wanted = HEAD - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(wanted)]);
        self.keep_tail(bytes);
    }

    fn sha256(&self) -> String {
        hex(&self.hasher.clone().finalize())
    }

    /// White space and zeros behind a file are no part of its end; some servers pad to whole blocks.
    fn keep_tail(&mut self, bytes: &[u8]) {
        let is_padding = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace();
        let end = bytes.iter().rposition(|byte| !is_padding(byte)).map_or(0, |last| last + 1);
        self.tail.extend_from_slice(&bytes[end.saturating_sub(TAIL)..end]);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
    }

    /// Notes what is written. When that fails, the download goes on and is not resumable any more.
    fn save(&mut self) {
        let Some(mut keep) = self.keep.take() else { return };
        (keep.note.length, keep.note.sha256) = (self.length, self.sha256());
        let Place::File(file) = std::mem::replace(&mut self.file, Place::Gone) else { return };
        match keep.parts.put(file, &keep.slot, &keep.note) {
            Ok(file) => {
                self.file = Place::File(file);
                self.keep = Some(keep);
            }
            Err(file) => self.file = Place::File(file),
        }
    }
}

impl Drop for Sink {
    /// Also when the download is stopped half-way.
    fn drop(&mut self) {
        // What a write that failed has left of them is cut off.
        let _ = self.write_if_resumable();
        let Place::File(file) = &self.file else { return };
        if self.length == 0 {
            return;
        }
        // A write that failed may have left half of its bytes. On a disk that is full, the note needs their room.
        let _ = file.as_file().set_len(self.length);
        self.save();
        let file = std::mem::replace(&mut self.file, Place::Gone);
        if let (Some(keep), Place::File(file)) = (&self.keep, file) {
            // What cannot be kept is gone, which costs time and nothing else.
            let _ = file.keep();
            keep.parts.tidy_up();
        }
    }
}

/// Cannot happen: a sink whose write failed is not used again.
fn lost() -> ContentError {
    let source = std::io::Error::from(std::io::ErrorKind::NotFound);
    ContentError::Storage { action: "write", path: "tmp".into(), source }
}
