//! A guest's requests, whichever way they come: held to the rules of the interface and the caps of the call, then passed
//! on.
//!
//! Must never decide *where* a guest may go: grants and addresses are egress's business.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
const MOST_REFUSALS: usize = 16;
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

/// The way out of one call. Clones share its accounts: what `wasi:http` sends runs in tasks of its own.
#[derive(Clone)]
pub(crate) struct Outbound {
    pub(crate) host: Arc<dyn GuestHost>,
    sandbox: Sandbox,
    ends: Instant,
    accounts: Arc<Mutex<Accounts>>,
}

/// What a call has sent, and what is left of its caps.
struct Accounts {
    bytes_left: u64,
    at_once: usize,
    sent: u32,
    /// It wanted more requests or bytes than a call may have.
    is_spent: bool,
    rate_limited: Option<Duration>,
    refusals: Vec<String>,
    waits: Waits,
}

/// The time in which at least one request was on its way.
#[derive(Default)]
struct Waits {
    now: usize,
    since: Option<Instant>,
    before: Duration,
}

impl Waits {
    fn so_far(&self) -> Duration {
        self.before + self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

/// A request that is on its way.
struct OnItsWay<'a>(&'a Mutex<Accounts>);

impl<'a> OnItsWay<'a> {
    fn begin(accounts: &'a Mutex<Accounts>) -> Self {
        let waits = &mut lock(accounts).waits;
        waits.now += 1;
        waits.since.get_or_insert_with(Instant::now);
        Self(accounts)
    }
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        let waits = &mut lock(self.0).waits;
        waits.now -= 1;
        if waits.now == 0 {
            (waits.before, waits.since) = (waits.so_far(), None);
        }
    }
}

pub(crate) type Answer = Result<GuestResponse, GuestHttpError>;

/// Room for requests that are in flight; given back when it is dropped.
pub(crate) struct Seats {
    count: usize,
    accounts: Arc<Mutex<Accounts>>,
}

impl Drop for Seats {
    fn drop(&mut self) {
        lock(&self.accounts).at_once -= self.count;
    }
}

fn lock(accounts: &Mutex<Accounts>) -> MutexGuard<'_, Accounts> {
    accounts.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Outbound {
    /// `ends` is when the call does.
    pub(crate) fn new(host: Arc<dyn GuestHost>, sandbox: Sandbox, ends: Instant) -> Self {
        let accounts = Accounts {
            bytes_left: sandbox.bytes.0,
            at_once: 0,
            sent: 0,
            is_spent: false,
            rate_limited: None,
            refusals: Vec::new(),
            waits: Waits::default(),
        };
        Self { host, sandbox, ends, accounts: Arc::new(Mutex::new(accounts)) }
    }

    /// How long the guest waited for answers, also if it still does.
    pub(crate) fn waited(&self) -> Duration {
        lock(&self.accounts).waits.so_far()
    }

    /// Whether none of its requests is on its way.
    pub(crate) fn is_idle(&self) -> bool {
        lock(&self.accounts).at_once == 0
    }

    /// Requests passed on so far.
    pub(crate) fn sent(&self) -> u32 {
        lock(&self.accounts).sent
    }

    /// Whether it was refused a request, or an answer, because it had as many requests or bytes as a call may have.
    pub(crate) fn is_spent(&self) -> bool {
        lock(&self.accounts).is_spent
    }

    /// The longest wait that a source asked for.
    pub(crate) fn rate_limited(&self) -> Option<Duration> {
        lock(&self.accounts).rate_limited
    }

    /// Sends one.
    pub(crate) async fn send(&self, asked: Asked) -> Answer {
        let mut answers = self.send_all(vec![asked]).await;
        answers.pop().unwrap_or(Err(GuestHttpError::Timeout))
    }

    /// Sends several at once; answers in the same order.
    pub(crate) async fn send_all(&self, asked: Vec<Asked>) -> Vec<Answer> {
        let _seats = match self.seats(asked.len()) {
            Ok(seats) => seats,
            Err(refusal) => return asked.iter().map(|_| Err(refusal.clone())).collect(),
        };
        let mut admitted: Vec<_> = asked.into_iter().map(|asked| self.admit(asked)).collect();
        self.share_bytes(&mut admitted);
        join_all(admitted.into_iter().map(|request| async move { self.pass_on(request?).await })).await
    }

    /// Room for that many more requests in flight.
    pub(crate) fn seats(&self, count: usize) -> Result<Seats, GuestHttpError> {
        let mut accounts = lock(&self.accounts);
        let at_once = accounts.at_once.saturating_add(count);
        if at_once > MOST_AT_ONCE {
            let rule = format!("{at_once} requests at once; at most {MOST_AT_ONCE} are sent");
            return Err(GuestHttpError::Denied(rule));
        }
        accounts.at_once = at_once;
        Ok(Seats { count, accounts: Arc::clone(&self.accounts) })
    }

    /// Checks one request and charges it with its body.
    fn admit(&self, asked: Asked) -> Result<GuestRequest, GuestHttpError> {
        let request = self.checked(asked)?;
        self.count()?;
        self.charge(request.body.as_ref().map_or(0, Vec::len))?;
        Ok(request)
    }

    /// Checks one request whose body was charged while it came.
    pub(crate) fn admit_charged(&self, asked: Asked) -> Result<GuestRequest, GuestHttpError> {
        let mut request = self.checked(asked)?;
        self.count()?;
        let left = lock(&self.accounts).bytes_left;
        if left == 0 {
            return Err(self.out_of_bytes());
        }
        request.max_bytes = request.max_bytes.min(left);
        Ok(request)
    }

    fn checked(&self, asked: Asked) -> Result<GuestRequest, GuestHttpError> {
        let mut request = checked(asked, left_for_a_request(self.ends)).map_err(GuestHttpError::Denied)?;
        request.max_bytes = request.max_bytes.min(self.sandbox.response.0);
        Ok(request)
    }

    fn count(&self) -> Result<(), GuestHttpError> {
        let mut accounts = lock(&self.accounts);
        if accounts.sent >= self.sandbox.requests {
            accounts.is_spent = true;
            let rule = format!("a call of this resolver may send {} requests", self.sandbox.requests);
            return Err(GuestHttpError::Denied(rule));
        }
        accounts.sent += 1;
        Ok(())
    }

    /// Takes bytes of a body off what the call may have.
    pub(crate) fn charge(&self, bytes: usize) -> Result<(), GuestHttpError> {
        let mut accounts = lock(&self.accounts);
        let Some(left) = accounts.bytes_left.checked_sub(bytes as u64) else {
            drop(accounts);
            return Err(self.out_of_bytes());
        };
        accounts.bytes_left = left;
        Ok(())
    }

    /// Those that are sent at once share what is left, so that together they cannot exceed it.
    fn share_bytes(&self, admitted: &mut [Result<GuestRequest, GuestHttpError>]) {
        let count = admitted.iter().filter(|request| request.is_ok()).count() as u64;
        let share = lock(&self.accounts).bytes_left / count.max(1);
        for request in admitted {
            match request {
                Ok(_) if share == 0 => *request = Err(self.out_of_bytes()),
                Ok(admitted) => admitted.max_bytes = admitted.max_bytes.min(share),
                Err(_) => {}
            }
        }
    }

    /// Passes an admitted request on, and settles its account.
    pub(crate) async fn pass_on(&self, request: GuestRequest) -> Answer {
        let (time, most) = (request.timeout, request.max_bytes);
        let on_its_way = OnItsWay::begin(&self.accounts);
        // The host keeps the time and the size itself; this holds even where it does not.
        let answer = timeout(time, self.host.send(request)).await.unwrap_or(Err(GuestHttpError::Timeout));
        drop(on_its_way);
        match &answer {
            Ok(answer) if answer.body.len() as u64 > most => return Err(GuestHttpError::TooLarge(most)),
            Ok(answer) => self.charge(answer.body.len())?,
            Err(GuestHttpError::RateLimited(wait)) => {
                let wait = wait.map_or(CallReport::UNSAID_WAIT, Duration::from_millis);
                let mut accounts = lock(&self.accounts);
                accounts.rate_limited = accounts.rate_limited.max(Some(wait));
            }
            Err(_) => {}
        }
        answer
    }

    fn out_of_bytes(&self) -> GuestHttpError {
        lock(&self.accounts).is_spent = true;
        let most = ByteSize(self.sandbox.bytes.0);
        GuestHttpError::Denied(format!("the bodies of a call of this resolver may have {most} together"))
    }

    /// Keeps a rule that the guest cannot be told, for the call's log.
    pub(crate) fn keep_refusal(&self, rule: &str) {
        let mut accounts = lock(&self.accounts);
        if accounts.refusals.len() < MOST_REFUSALS {
            accounts.refusals.push(rule.to_owned());
        }
    }

    /// The rules that were kept, each once in a row.
    pub(crate) fn take_refusals(&self) -> Vec<String> {
        let mut refusals = std::mem::take(&mut lock(&self.accounts).refusals);
        refusals.dedup();
        refusals
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
