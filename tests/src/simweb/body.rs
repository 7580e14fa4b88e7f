//! Turns a `Reply` into an HTTP response: renders the body, then sends, dribbles or cuts it.
//!
//! Must never hold a request in flight after the last piece of its body: the reports would show a cap as exceeded.

use std::convert::Infallible;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream::unfold;
use gleaner_model::clock::{Clock, SystemClock};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::Response;
use hyper::body::Frame;
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER};

use super::pdf;
use super::record::InFlight;
use super::reply::{Content, Reply, RetryAfter};

/// The body of every response here.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// How much is handed to the connection at a time.
const PIECE: usize = 16 * 1024;

/// No body at all.
pub(super) fn no_body() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// The response that `reply` describes, to a request for `url`, or for its `rest` where the reply gives it.
pub(super) fn respond(
    reply: &Reply,
    url: &str,
    rest: Option<Rest<'_>>,
    in_flight: InFlight,
) -> Result<Response<Body>, Infallible> {
    let mut bytes = render(reply, url);
    let mut response = Response::builder();
    match rest.filter(|rest| reply.ranges && rest.is_of(reply)).map(|rest| rest.from) {
        None => response = response.status(reply.status),
        Some(from) if from < bytes.len() => {
            let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
            response = response.status(206).header(CONTENT_RANGE, range);
            bytes = bytes.slice(from..);
        }
        Some(_) => {
            response = response.status(416).header(CONTENT_RANGE, format!("bytes */{}", bytes.len()));
            bytes = Bytes::new();
        }
    }
    if !reply.media_type.is_empty() {
        response = response.header(CONTENT_TYPE, &reply.media_type);
    }
    if reply.gzip {
        response = response.header(CONTENT_ENCODING, "gzip");
    }
    if !reply.chunked {
        response = response.header(CONTENT_LENGTH, bytes.len());
    }
    if let Some(retry_after) = reply.retry_after {
        response = response.header(RETRY_AFTER, retry_after.header());
    }
    for (name, value) in &reply.headers {
        response = response.header(name, value);
    }
    for line in 0..reply.header_flood {
        response = response.header(format!("x-flood-{line}"), "-".repeat(1024));
    }
    let sending = Sending {
        cut: reply.cut_after.is_some(),
        left: reply.cut_after.map_or(bytes.clone(), |keep| bytes.slice(..keep.min(bytes.len()))),
        endless: matches!(reply.content, Content::Endless),
        piece: reply.pace.map_or(PIECE, |(piece, _)| piece),
        pause: reply.pace.map_or(Duration::ZERO, |(_, pause)| pause),
        in_flight: Some(in_flight),
    };
    Ok(response
        .body(sending.into_body())
        .unwrap_or_else(|error| panic!("a reply for {url} is not valid HTTP: {error}")))
}

/// What `Range` and `If-Range` ask for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rest<'a> {
    from: usize,
    if_range: Option<&'a str>,
}

impl<'a> Rest<'a> {
    /// Only what is asked for here: one range, to the end.
    pub(super) fn asked(range: Option<&str>, if_range: Option<&'a str>) -> Option<Self> {
        let from = range?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()?;
        Some(Self { from, if_range })
    }

    /// Whether the one who asks has the beginning of this version.
    fn is_of(self, reply: &Reply) -> bool {
        let etag = reply.headers.iter().find(|(name, _)| name == "etag").map(|(_, value)| value.as_str());
        self.if_range.is_none_or(|version| Some(version) == etag)
    }
}

fn render(reply: &Reply, url: &str) -> Bytes {
    let mut bytes = match &reply.content {
        Content::Bytes(bytes) => bytes.clone(),
        Content::Pdf(size) => pdf::document(url, *size).into(),
        Content::Endless => Bytes::from_static(b"%PDF-1.7\n"),
    };
    bytes.truncate(bytes.len() * reply.keep_percent / 100);
    if reply.gzip {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let packed = encoder.write_all(&bytes).and_then(|()| encoder.finish());
        bytes = packed.expect("a vector takes every byte").into();
    }
    bytes
}

impl RetryAfter {
    fn header(self) -> String {
        match self {
            Self::Seconds(seconds) => seconds.to_string(),
            Self::Date(seconds) => {
                let now = u64::try_from(SystemClock.now().0).unwrap_or(0);
                let date = Duration::from_secs(now.div_ceil(1000) + seconds);
                httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + date)
            }
        }
    }
}

/// A body on its way.
struct Sending {
    left: Bytes,
    piece: usize,
    pause: Duration,
    endless: bool,
    cut: bool,
    in_flight: Option<InFlight>,
}

impl Sending {
    fn into_body(mut self) -> Body {
        self.end_if_done();
        BodyExt::boxed_unsync(StreamBody::new(unfold(self, |mut sending| async {
            let piece = sending.next().await?;
            Some((piece.map(Frame::data), sending))
        })))
    }

    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.left.is_empty() {
            if self.endless {
                self.left = Bytes::from_static(&[b'~'; PIECE]);
            } else if self.cut {
                self.cut = false;
                // A pause lets the connection send what it has before it is broken.
                tokio::time::sleep(Duration::from_millis(20)).await;
                self.end_if_done();
                return Some(Err(io::Error::new(
                    io::ErrorKind::ConnectionAborted,
                    "cut, as the world wants it",
                )));
            } else {
                return None;
            }
        }
        if !self.pause.is_zero() {
            tokio::time::sleep(self.pause).await;
        }
        let piece = self.left.split_to(self.piece.min(self.left.len()));
        self.end_if_done();
        Some(Ok(piece))
    }

    /// Before the last piece is given away, not after: the client may have it, and ask again, before this task runs on.
    fn end_if_done(&mut self) {
        if self.left.is_empty() && !self.endless && !self.cut {
            self.in_flight = None;
        }
    }
}
