//! Streams a body into a sink, and judges its length and speed.
//!
//! Must never write more than the cap, and never say that a body is whole when its length is not the
//! declared one.

use bytes::Bytes;
use gleaner_model::reason::{Failure, Reason};
use tempfile::NamedTempFile;

use crate::config::ContentConfig;
use crate::sink::Sink;
use crate::speed::Meter;
use crate::validate::too_large;

/// Bytes kept of a body's beginning: enough for the title of most web pages.
pub(crate) const HEAD: usize = 16 << 10;

/// Bytes kept of a body's end.
pub(crate) const TAIL: usize = 1 << 10;

/// Where the bytes come from. The seam between this crate and egress.
pub(crate) trait ByteSource: Send {
    /// The next bytes; `None` after the last.
    fn chunk(&mut self) -> impl Future<Output = Result<Option<Bytes>, Failure>> + Send;

    /// They came too slowly: no more are wanted.
    fn too_slow(&mut self) {}
}

impl ByteSource for gleaner_egress::Body {
    async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        gleaner_egress::Body::chunk(self).await.map_err(|error| error.failure())
    }

    fn too_slow(&mut self) {
        gleaner_egress::Body::found_too_slow(self);
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
    /// All of them, if they came in one piece: nobody has to read the file for them.
    pub(crate) whole: Option<Bytes>,
}

/// Reads `source` to its end, into `sink`, which may have the beginning already; it is still to be finished.
/// `length_declared` is what is to come. `bytes` tells how far it came, also after a failure; then what came is kept if the
/// sink can be resumed.
///
/// # Errors
/// `too_large` before a byte is read or at the cap, `length_mismatch`, `timeout` below the lowest speed, `storage`, or
/// what the source says.
pub(crate) async fn receive(
    source: &mut impl ByteSource,
    length_declared: Option<u64>,
    mut sink: Sink,
    config: &ContentConfig,
    bytes: &mut u64,
) -> Result<Sink, Failure> {
    let begun = sink.length();
    *bytes = begun;
    let whole = length_declared.map(|length| begun.saturating_add(length));
    if whole.is_some_and(|whole| whole > config.max_size()) {
        sink.give_up();
        return Err(too_large(config));
    }
    let mut meter = Meter::new(config.lowest_speed(), config.speed_window());
    sink.expect(length_declared);
    loop {
        match meter.chunk(source).await {
            Ok(Some(chunk)) => {
                *bytes += chunk.len() as u64;
                if *bytes > config.max_size() {
                    sink.give_up();
                    return Err(too_large(config));
                }
                if !sink.has_room(chunk.len()) {
                    sink = sink.write().await?;
                }
                sink.add(chunk);
            }
            Ok(None) => break,
            Err(failure) => {
                // Of what it has said itself it learns nothing new.
                if failure.reason == Reason::Timeout {
                    source.too_slow();
                }
                sink.keep().await?;
                return Err(failure);
            }
        }
    }
    if let Some(whole) = whole.filter(|whole| *whole != *bytes) {
        sink.give_up();
        let detail = format!("received {bytes} bytes, declared {whole}");
        return Err(Failure::transient(Reason::LengthMismatch, detail));
    }
    Ok(sink)
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

#[cfg(test)]
mod tests;
