//! What one answer looks like: status, headers, body, and what goes wrong with it on the way.
//!
//! Must never decide *when* it is given: that is `behaviour`'s.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::barrier::Barrier;

/// Where a body comes from.
#[derive(Debug, Clone)]
pub(super) enum Content {
    Bytes(Bytes),
    /// A PDF of that size, made from the URL that was asked for.
    Pdf(usize),
    /// The start of a PDF, and then more of it without end.
    Endless,
}

/// How a rate limit says when to come back.
#[derive(Debug, Clone, Copy)]
pub enum RetryAfter {
    /// Seconds from now.
    Seconds(u64),
    /// The same as an HTTP date, rounded up to the next whole second.
    Date(u64),
}

/// One answer. Start from a constructor and add to it: `Reply::pdf(64 << 10).cut_after(9000).delayed(second)`.
#[derive(Debug, Clone)]
pub struct Reply {
    pub(super) status: u16,
    pub(super) media_type: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) retry_after: Option<RetryAfter>,
    pub(super) content: Content,
    pub(super) delay: Duration,
    pub(super) barrier: Option<Barrier>,
    pub(super) pace: Option<(usize, Duration)>,
    pub(super) cut_after: Option<usize>,
    pub(super) keep_percent: usize,
    pub(super) chunked: bool,
    pub(super) gzip: bool,
    pub(super) header_flood: usize,
    pub(super) ranges: bool,
    pub(super) is_api: bool,
}

impl Reply {
    /// 200 with these bytes.
    pub fn bytes(media_type: &str, body: impl Into<Bytes>) -> Self {
        Self::of(200, media_type, Content::Bytes(body.into()))
    }

    /// A sound PDF of that many bytes: [`super::pdf::document`] of the URL asked for.
    pub fn pdf(size: usize) -> Self {
        Self::of(200, "application/pdf", Content::Pdf(size))
    }

    /// A sound PDF below 1 KiB, too small for a work.
    pub fn tiny_pdf() -> Self {
        Self::pdf(0)
    }

    /// Something that starts like a PDF and never ends.
    pub fn endless() -> Self {
        Self::of(200, "application/pdf", Content::Endless).chunked()
    }

    /// 200 without a single byte, declared as a PDF.
    pub fn empty() -> Self {
        Self::bytes("application/pdf", Bytes::new())
    }

    /// 200 with a JSON document.
    pub fn json(value: &Value) -> Self {
        Self::bytes("application/json", value.to_string())
    }

    /// 200 with an HTML page. `.media_type("application/pdf")` makes it claim to be a PDF.
    pub fn html(title: &str) -> Self {
        let page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><title>{title}</title></head>\n<body><h1>{title}</h1>\n{}</body></html>\n",
            "<p>This page stands where a file was promised.</p>\n".repeat(40)
        );
        Self::bytes("text/html; charset=utf-8", page)
    }

    /// A work's landing page, which states where the PDF is as publishers do for search engines.
    pub fn landing_page(title: &str, pdf: &str) -> Self {
        Self::page_with(title, &[("citation_title", title), ("citation_pdf_url", pdf)])
    }

    /// The same of a page that states the work's DOI too.
    pub fn article_page(title: &str, doi: &str, pdf: &str) -> Self {
        Self::page_with(title, &[("citation_title", title), ("citation_doi", doi), ("citation_pdf_url", pdf)])
    }

    fn page_with(title: &str, stated: &[(&str, &str)]) -> Self {
        let meta = |(name, content): &(&str, &str)| {
            format!("<meta name=\"{name}\" content=\"{}\">\n", content.replace('&', "&amp;"))
        };
        let head: String = stated.iter().map(meta).collect();
        let page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><title>{title}</title>\n{head}\
             </head>\n<body><h1>{title}</h1><p>An abstract of the simulated web.</p></body></html>\n"
        );
        Self::bytes("text/html; charset=utf-8", page)
    }

    /// An HTML page with an error status, as publishers answer: `Reply::error(404)`, `Reply::error(500)`.
    pub fn error(status: u16) -> Self {
        Self::html(&format!("{status} - this page cannot be shown")).status(status)
    }

    /// A page that wants a browser to prove itself first.
    pub fn challenge_page() -> Self {
        let page = "<!DOCTYPE html><html lang=\"en-US\"><head><title>Just a moment...</title></head><body>\
            <noscript>Enable JavaScript and cookies to continue</noscript>\
            <script>window._cf_chl_opt = {};</script>\
            <script src=\"/cdn-cgi/challenge-platform/h/g/orchestrate/chl_page/v1\"></script></body></html>";
        Self::bytes("text/html; charset=UTF-8", page)
    }

    /// A page that wants a reader to log in first.
    pub fn login_page() -> Self {
        let page = "<!DOCTYPE html><html><head><title>Sign in to continue</title></head><body>\
            <form action=\"/login\" method=\"post\"><label>Institution <input name=\"username\"></label>\
            <label>Password <input type=\"password\" name=\"password\"></label>\
            <button type=\"submit\">Log in</button></form></body></html>";
        Self::bytes("text/html; charset=utf-8", page)
    }

    /// A redirect to another place, with status 301, 302, 303, 307 or 308. `to` may be relative.
    pub fn redirect(status: u16, to: &str) -> Self {
        Self::bytes("text/html", "<html><body>Moved</body></html>").status(status).header("location", to)
    }

    /// 429 Too Many Requests.
    pub fn too_many(retry_after: RetryAfter) -> Self {
        Self::bytes("text/plain", "too many requests").status(429).retry_after(retry_after)
    }

    fn of(status: u16, media_type: &str, content: Content) -> Self {
        Self {
            status,
            media_type: media_type.to_owned(),
            headers: Vec::new(),
            retry_after: None,
            content,
            delay: Duration::ZERO,
            barrier: None,
            pace: None,
            cut_after: None,
            keep_percent: 100,
            chunked: false,
            gzip: false,
            header_flood: 0,
            ranges: false,
            is_api: false,
        }
    }

    /// With another status.
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// With another declared media type; an empty one sends no `content-type` at all.
    pub fn media_type(mut self, media_type: &str) -> Self {
        media_type.clone_into(&mut self.media_type);
        self
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What a server answers that was asked for a change since: 304 when one of its validators is the one that was sent.
    pub(super) fn unless_current(self, none_match: Option<&str>, modified_since: Option<&str>) -> Self {
        let validator = |wanted: &str| {
            self.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
        };
        // An ETag that was sent decides alone (RFC 9110, section 13.2.2).
        let is_current = match none_match {
            Some(sent) => validator("etag") == Some(sent),
            None => modified_since.is_some() && validator("last-modified") == modified_since,
        };
        if self.status != 200 || !is_current {
            return self;
        }
        Self { content: Content::Bytes(Bytes::new()), media_type: String::new(), status: 304, ..self }
    }

    /// With a `Retry-After` header, as on 503.
    pub fn retry_after(mut self, retry_after: RetryAfter) -> Self {
        self.retry_after = Some(retry_after);
        self
    }

    /// Waits before the headers.
    pub fn delayed(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Waits before the headers until the barrier is opened.
    pub fn held_by(mut self, barrier: &Barrier) -> Self {
        self.barrier = Some(barrier.clone());
        self
    }

    /// Sends the body in pieces of `bytes`, with a pause before each.
    pub fn dribbled(mut self, bytes: usize, pause: Duration) -> Self {
        self.pace = Some((bytes.max(1), pause));
        self
    }

    /// Declares the whole length, sends only so many bytes of it, and cuts the connection (or resets the stream).
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.cut_after = Some(bytes);
        self
    }

    /// Drops the last quarter of the body and declares the length that is left: no `%%EOF`, no trailer, no other sign.
    pub fn without_tail(mut self) -> Self {
        self.keep_percent = 75;
        self
    }

    /// Sends no `content-length`.
    pub fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// Compresses the body with gzip and says so, whether or not the client asked for it.
    pub fn gzip(mut self) -> Self {
        self.gzip = true;
        self
    }

    /// Sends so many header lines of 1 KiB before the body.
    pub fn header_flood(mut self, lines: usize) -> Self {
        self.header_flood = lines;
        self
    }

    /// As a service answers; a file is none, also where a service has it.
    pub(super) fn of_api(mut self) -> Self {
        self.is_api = !matches!(self.content, Content::Pdf(_));
        self
    }

    /// Names the version of the file, `"v1"` with its quotes, and sends the rest of it to who has its beginning.
    pub fn resumable(mut self, etag: &str) -> Self {
        self.ranges = true;
        self.header("etag", etag).header("accept-ranges", "bytes")
    }
}
