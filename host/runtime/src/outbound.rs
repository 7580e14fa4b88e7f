//! A guest's requests: held to the rules of the interface and the caps of the call, then passed on.
//!
//! Must never decide *where* a guest may go: grants and addresses are egress's business.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use gleaner_model::candidate::CandidateUrl;
use gleaner_model::units::ByteSize;
use tokio::time::{Instant, timeout};

use crate::host::{GuestHost, GuestHttpError, GuestMethod, GuestRequest, GuestResponse};
use crate::plugin::CallReport;
use crate::sandbox::Sandbox;
use crate::text::tidy;

const MOST_AT_ONCE: usize = 16;
const MOST_HEADERS: usize = 64;
const MOST_HEADER_BYTES: usize = 16 << 10;
/// As the interface says; the sandbox may lower it.
const MOST_BODY: u64 = 16 << 20;
const HOSTS_OWN: [&str; 6] =
    ["host", "connection", "content-length", "transfer-encoding", "cookie", "user-agent"];

/// A request as a guest gave it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) timeout_ms: Option<u32>,
    pub(crate) max_bytes: Option<u64>,
}

/// The way out of one call, with what is left of its caps.
pub(crate) struct Outbound {
    pub(crate) host: Arc<dyn GuestHost>,
    sandbox: Sandbox,
    bytes_left: u64,
    /// Passed on so far.
    pub(crate) sent: u32,
    /// The longest wait that a source asked for.
    pub(crate) rate_limited: Option<Duration>,
    /// Waited for answers so far, and since when it waits for the next.
    waited: Duration,
    waits_since: Option<Instant>,
}

type Answer = Result<GuestResponse, GuestHttpError>;

impl Outbound {
    pub(crate) fn new(host: Arc<dyn GuestHost>, sandbox: Sandbox) -> Self {
        Self {
            host,
            sandbox,
            bytes_left: sandbox.bytes.0,
            sent: 0,
            rate_limited: None,
            waited: Duration::ZERO,
            waits_since: None,
        }
    }

    /// How long the guest waited for answers, also if it still does.
    pub(crate) fn waited(&self) -> Duration {
        self.waited + self.waits_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Sends one; `ends` is when the call does.
    pub(crate) async fn send(&mut self, asked: Asked, ends: Instant) -> Answer {
        let mut answers = self.send_all(vec![asked], ends).await;
        answers.pop().unwrap_or(Err(GuestHttpError::Timeout))
    }

    /// Sends several at once; answers in the same order.
    pub(crate) async fn send_all(&mut self, asked: Vec<Asked>, ends: Instant) -> Vec<Answer> {
        if asked.len() > MOST_AT_ONCE {
            let rule = format!("{} requests at once; at most {MOST_AT_ONCE} are sent", asked.len());
            return asked.iter().map(|_| Err(GuestHttpError::Denied(rule.clone()))).collect();
        }
        let mut admitted: Vec<_> = asked.into_iter().map(|asked| self.admit(asked, ends)).collect();
        self.share_bytes(&mut admitted);
        let host = &self.host;
        self.waits_since = Some(Instant::now());
        let answers = join_all(admitted.into_iter().map(|request| async move {
            let request = request?;
            let (time, most) = (request.timeout, request.max_bytes);
            // The host keeps the time and the size itself; this holds even where it does not.
            let answer = timeout(time, host.send(request)).await.unwrap_or(Err(GuestHttpError::Timeout))?;
            if answer.body.len() as u64 > most { Err(GuestHttpError::TooLarge(most)) } else { Ok(answer) }
        }))
        .await;
        self.waited = self.waited();
        self.waits_since = None;
        for answer in &answers {
            self.note(answer);
        }
        answers
    }

    /// Checks one request and charges it.
    fn admit(&mut self, asked: Asked, ends: Instant) -> Result<GuestRequest, GuestHttpError> {
        let mut request = checked(asked, left_for_a_request(ends)).map_err(GuestHttpError::Denied)?;
        request.max_bytes = request.max_bytes.min(self.sandbox.response.0);
        if self.sent >= self.sandbox.requests {
            let rule = format!("a call of this resolver may send {} requests", self.sandbox.requests);
            return Err(GuestHttpError::Denied(rule));
        }
        let size = request.body.as_ref().map_or(0, |body| body.len() as u64);
        self.bytes_left = self.bytes_left.checked_sub(size).ok_or_else(|| self.out_of_bytes())?;
        self.sent += 1;
        Ok(request)
    }

    /// Those that are sent at once share what is left, so that together they cannot exceed it.
    fn share_bytes(&self, admitted: &mut [Result<GuestRequest, GuestHttpError>]) {
        let count = admitted.iter().filter(|request| request.is_ok()).count() as u64;
        let share = self.bytes_left / count.max(1);
        for request in admitted {
            match request {
                Ok(_) if share == 0 => *request = Err(self.out_of_bytes()),
                Ok(admitted) => admitted.max_bytes = admitted.max_bytes.min(share),
                Err(_) => {}
            }
        }
    }

    fn out_of_bytes(&self) -> GuestHttpError {
        let most = ByteSize(self.sandbox.bytes.0);
        GuestHttpError::Denied(format!("the bodies of a call of this resolver may have {most} together"))
    }

    fn note(&mut self, answer: &Answer) {
        match answer {
            Ok(answer) => self.bytes_left = self.bytes_left.saturating_sub(answer.body.len() as u64),
            Err(GuestHttpError::RateLimited(wait)) => {
                let wait = wait.map_or(CallReport::UNSAID_WAIT, Duration::from_millis);
                self.rate_limited = self.rate_limited.max(Some(wait));
            }
            Err(_) => {}
        }
    }
}

/// What a request may take of the time that is left: a little less than all, so that the guest can still
/// say that its source did not answer.
fn left_for_a_request(ends: Instant) -> Duration {
    let left = ends.saturating_duration_since(Instant::now());
    left - (left / 10).min(Duration::from_secs(1))
}

/// The rules of the interface. The error is the rule that was broken.
pub(crate) fn checked(asked: Asked, left: Duration) -> Result<GuestRequest, String> {
    let method = match asked.method.as_str() {
        "GET" => GuestMethod::Get,
        "HEAD" => GuestMethod::Head,
        "POST" => GuestMethod::Post,
        other => return Err(format!("method {:?}; GET, HEAD and POST may be used", tidy(other, 32))),
    };
    let url = CandidateUrl::parse(&asked.url).map_err(|why| format!("{}: {why}", tidy(&asked.url, 200)))?;
    if asked.body.is_some() && method != GuestMethod::Post {
        return Err(format!("{} with a body; only POST has one", method.as_str()));
    }
    check_headers(&asked.headers)?;
    let timeout = asked.timeout_ms.map_or(left, |ms| left.min(Duration::from_millis(ms.into())));
    let max_bytes = asked.max_bytes.map_or(MOST_BODY, |most| most.min(MOST_BODY));
    let url = url.as_url().clone();
    Ok(GuestRequest { method, url, headers: asked.headers, body: asked.body, timeout, max_bytes })
}

fn check_headers(headers: &[(String, String)]) -> Result<(), String> {
    let size: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if headers.len() > MOST_HEADERS || size > MOST_HEADER_BYTES {
        let count = headers.len();
        return Err(format!("{count} header fields of {size} bytes; at most 64 of 16 KiB are sent"));
    }
    for (name, value) in headers {
        // RFC 9110, sections 5.1 and 5.5; nothing that could end the field.
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(token) {
            return Err(format!("header name {:?}", tidy(name, 64)));
        }
        if !value.bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b)) {
            return Err(format!(
                "the value of header {:?} has characters other than printable ASCII",
                tidy(name, 64)
            ));
        }
        if HOSTS_OWN.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            return Err(format!("header {:?} belongs to the host", tidy(name, 64)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
