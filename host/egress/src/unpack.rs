//! Packed bodies: which packings are known, and the bytes that come out of them.
//!
//! Must never unpack ahead of its reader, or let more packed bytes in than a body may have unpacked: what a host packs
//! costs it nothing.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::io::StreamReader;

/// What is asked for when the caller does not say.
pub(crate) const ACCEPTED: HeaderValue = HeaderValue::from_static("gzip,deflate,br");

/// The most that is unpacked at a time.
const PIECE: usize = 32 << 10;

/// The kind of errors that are the connection's; all others are the decompressor's.
pub(crate) const BROKEN_OFF: io::ErrorKind = io::ErrorKind::ConnectionAborted;

/// What packing may add to bytes that cannot be packed.
const OVERHEAD: u64 = 64 << 10;

/// How much may have come in before something has come out.
const AHEAD: u64 = 512 << 10;

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Gzip,
    Deflate,
    Brotli,
}

impl Packing {
    /// Takes the packing out of the headers, and the length, which is that of the packed bytes. Headers that name
    /// another packing, or several, stay as they are, and so does the body: it is judged by what it is.
    pub(crate) fn take(headers: &mut HeaderMap) -> Option<Self> {
        let mut named = headers.get_all(CONTENT_ENCODING).iter();
        let (Some(name), None) = (named.next(), named.next()) else { return None };
        // RFC 9110, section 8.4.1: names are in any case, and x-gzip is gzip.
        let packing = match name.to_str().ok()?.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Self::Gzip,
            "deflate" => Self::Deflate,
            "br" => Self::Brotli,
            _ => return None,
        };
        headers.remove(CONTENT_ENCODING);
        headers.remove(CONTENT_LENGTH);
        Some(packing)
    }
}

/// A body that comes packed.
pub(crate) struct Unpacker {
    bytes: Box<dyn AsyncRead + Send + Sync + Unpin>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    packed: AtomicU64,
    unpacked: AtomicU64,
}

impl Counts {
    /// Counts packed bytes. No sound packing makes much more of bytes than they are: where far more goes in than comes
    /// out, whoever sends it wants to keep us busy.
    fn take_in(&self, more: u64, cap: u64) -> io::Result<()> {
        let packed = self.packed.fetch_add(more, Ordering::Relaxed).saturating_add(more);
        if packed > cap.saturating_add(OVERHEAD) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if packed / 2 > self.unpacked.load(Ordering::Relaxed).saturating_add(AHEAD) {
            return Err(io::Error::other(format!("{packed} bytes unpack to less than half of that")));
        }
        Ok(())
    }
}

impl Unpacker {
    /// `cap`: bytes that may come out of it; not many more may go in.
    pub(crate) fn new(response: reqwest::Response, packing: Packing, cap: u64) -> Self {
        let counts = Arc::<Counts>::default();
        let count = Arc::clone(&counts);
        let chunks = response.bytes_stream().map(move |chunk| {
            let chunk = chunk.map_err(|error| io::Error::new(BROKEN_OFF, error))?;
            count.take_in(chunk.len() as u64, cap)?;
            Ok::<Bytes, io::Error>(chunk)
        });
        let chunks = StreamReader::new(chunks);
        let bytes: Box<dyn AsyncRead + Send + Sync + Unpin> = match packing {
            Packing::Gzip => {
                let mut decoder = GzipDecoder::new(chunks);
                // RFC 1952, section 2.2: a file is a series of members.
                decoder.multiple_members(true);
                Box::new(decoder)
            }
            Packing::Deflate => Box::new(ZlibDecoder::new(chunks)),
            Packing::Brotli => Box::new(BrotliDecoder::new(chunks)),
        };
        Self { bytes, counts }
    }

    /// The next bytes; none after the last. An answer without a body has no bytes, packed or not.
    pub(crate) async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        let mut piece = BytesMut::with_capacity(PIECE);
        match self.bytes.read_buf(&mut piece).await {
            Ok(0) => Ok(None),
            Ok(more) => {
                self.counts.unpacked.fetch_add(more as u64, Ordering::Relaxed);
                Ok(Some(piece.freeze()))
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && self.packed() == 0 => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Packed bytes that came so far.
    pub(crate) fn packed(&self) -> u64 {
        self.counts.packed.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unpacker").field("counts", &self.counts).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_known_packing_is_taken_and_anything_else_left() {
        for (named, packing) in [
            (&["gzip"][..], Some(Packing::Gzip)),
            (&["X-GZip"], Some(Packing::Gzip)),
            (&[" deflate "], Some(Packing::Deflate)),
            (&["br"], Some(Packing::Brotli)),
            (&["gzip, gzip"], None),
            (&["gzip", "gzip"], None),
            (&["zstd"], None),
            (&["identity"], None),
            (&[""], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from(9))]);
            for name in named {
                headers.append(CONTENT_ENCODING, HeaderValue::try_from(*name).unwrap());
            }
            assert_eq!(Packing::take(&mut headers), packing, "{named:?}");
            assert_eq!(headers.contains_key(CONTENT_LENGTH), packing.is_none(), "{named:?}");
        }
    }
}
