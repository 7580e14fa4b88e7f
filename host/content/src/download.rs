//! Streams a body to a temporary file, hashed as it arrives.
//!
//! Must never write more than the cap, and never say that a body is whole when its length is not the
//! declared one.

use std::io::Write;

use bytes::Bytes;
use gleaner_model::reason::{Failure, Reason};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::blobs::hex;
use crate::config::ContentConfig;
use crate::validate::too_large;
use crate::{ErrorContext, blocking};

/// Bytes kept of a body's beginning: enough for the title of most web pages.
pub(crate) const HEAD: usize = 16 << 10;

/// Bytes kept of a body's end.
pub(crate) const TAIL: usize = 1 << 10;

/// Bytes gathered before they are hashed and written: few trips to the disk's thread, little memory.
const WRITE: usize = 256 << 10;

/// Where the bytes come from. The seam between this crate and egress.
pub(crate) trait ByteSource: Send {
    /// The next bytes; `None` after the last.
    fn chunk(&mut self) -> impl Future<Output = Result<Option<Bytes>, Failure>> + Send;
}

impl ByteSource for gleaner_egress::Body {
    async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        gleaner_egress::Body::chunk(self).await.map_err(|error| error.failure())
    }
}

/// A body that arrived whole.
#[derive(Debug)]
pub(crate) struct Received {
    /// Its bytes; removed when dropped.
    pub(crate) file: NamedTempFile,
    /// Lower-case hex.
    pub(crate) sha256: String,
    /// Bytes.
    pub(crate) size: u64,
    /// Its first [`HEAD`] bytes.
    pub(crate) head: Vec<u8>,
    /// Its last [`TAIL`] bytes, padding left out.
    pub(crate) tail: Vec<u8>,
}

/// Reads `source` to its end, into `file`. `bytes` tells how far it came, also after a failure.
///
/// # Errors
/// `too_large` before a byte is read or at the cap, `length_mismatch`, `storage`, or what the source says.
pub(crate) async fn receive(
    source: &mut impl ByteSource,
    length_declared: Option<u64>,
    file: NamedTempFile,
    config: &ContentConfig,
    bytes: &mut u64,
) -> Result<Received, Failure> {
    if length_declared.is_some_and(|length| length > config.max_size()) {
        return Err(too_large(config));
    }
    let mut sink = Sink { file, hasher: Sha256::new(), head: Vec::new(), tail: Vec::new() };
    let mut gathered = Vec::new();
    while let Some(chunk) = source.chunk().await? {
        *bytes += chunk.len() as u64;
        if *bytes > config.max_size() {
            return Err(too_large(config));
        }
        gathered.extend_from_slice(&chunk);
        if gathered.len() >= WRITE {
            (sink, gathered) = sink.write(gathered).await?;
        }
    }
    let (sink, _) = sink.write(gathered).await?;
    if let Some(declared) = length_declared.filter(|declared| declared != bytes) {
        let detail = format!("received {bytes} bytes, declared {declared}");
        return Err(Failure::transient(Reason::LengthMismatch, detail));
    }
    let sha256 = hex(&sink.hasher.finalize());
    Ok(Received { file: sink.file, sha256, size: *bytes, head: sink.head, tail: sink.tail })
}

/// The beginning of a body that is read for its meaning only, at most [`HEAD`] bytes. A source that fails
/// ends it.
pub(crate) async fn peek(source: &mut impl ByteSource) -> Vec<u8> {
    let mut head = Vec::new();
    while head.len() < HEAD {
        let Ok(Some(chunk)) = source.chunk().await else { break };
        head.extend_from_slice(&chunk);
    }
    head.truncate(HEAD);
    head
}

/// Where the bytes go.
struct Sink {
    file: NamedTempFile,
    hasher: Sha256,
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Sink {
    /// Takes the bytes; gives the emptied buffer back.
    async fn write(mut self, mut bytes: Vec<u8>) -> Result<(Self, Vec<u8>), Failure> {
        blocking(move || {
            self.file.write_all(&bytes).context("write", self.file.path())?;
            self.hasher.update(&bytes);
            let wanted = HEAD - self.head.len();
            self.head.extend_from_slice(&bytes[..bytes.len().min(wanted)]);
            self.keep_tail(&bytes);
            bytes.clear();
            Ok((self, bytes))
        })
        .await
    }

    /// White space and zeros behind a file are no part of its end; some servers pad to whole blocks.
    fn keep_tail(&mut self, bytes: &[u8]) {
        let is_padding = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace();
        let end = bytes.iter().rposition(|byte| !is_padding(byte)).map_or(0, |last| last + 1);
        self.tail.extend_from_slice(&bytes[end.saturating_sub(TAIL)..end]);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
    }
}

#[cfg(test)]
mod tests;
