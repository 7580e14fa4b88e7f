//! A host that notes what passes between a guest and another host.
//!
//! Must never change what the guest gets, so that the same guest does the same when the call is played.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use gleaner_runtime::{CallReport, GuestHost, GuestHttpError, GuestRequest, GuestResponse, Query};

use crate::cassette::Call;
use crate::exchange::Exchange;
use crate::verdict::said;

/// Notes one call.
pub struct Recorder {
    host: Arc<dyn GuestHost>,
    now_ms: u64,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    settings: BTreeMap<String, Option<String>>,
    exchanges: Vec<Exchange>,
}

impl Recorder {
    /// In front of that host. The guest is told one time of day, however long it takes.
    pub fn new(host: Arc<dyn GuestHost>) -> Self {
        Self { now_ms: host.now_ms(), host, noted: Mutex::default() }
    }

    /// The call, once it has ended.
    pub fn call(&self, query: &Query, report: &CallReport) -> Call {
        let Noted { settings, exchanges } = mem::take(&mut *self.noted());
        Call { query: query.into(), now_ms: self.now_ms, settings, exchanges, answer: said(report) }
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl GuestHost for Recorder {
    async fn send(&self, request: GuestRequest) -> Result<GuestResponse, GuestHttpError> {
        let answer = self.host.send(request.clone()).await;
        self.noted().exchanges.push(Exchange::new(&request, &answer));
        answer
    }

    fn setting(&self, key: &str) -> Option<String> {
        let value = self.host.setting(key);
        self.noted().settings.insert(key.to_owned(), value.clone());
        value
    }

    fn now_ms(&self) -> u64 {
        self.now_ms
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use gleaner_runtime::GuestMethod;
    use url::Url;

    use super::*;

    pub(crate) fn request(url: &str) -> GuestRequest {
        GuestRequest {
            method: GuestMethod::Get,
            url: Url::parse(url).unwrap(),
            headers: Vec::new(),
            body: None,
            timeout: Duration::from_secs(1),
            max_bytes: 1 << 20,
        }
    }

    pub(crate) fn response(body: &[u8]) -> GuestResponse {
        GuestResponse {
            status: 200,
            url: "https://a.org/".into(),
            headers: vec![("content-type".into(), "application/json".into())],
            body: body.to_vec(),
            from_cache: false,
        }
    }

    /// Answers with what it was asked for.
    pub(crate) struct Echo;

    #[async_trait]
    impl GuestHost for Echo {
        async fn send(&self, request: GuestRequest) -> Result<GuestResponse, GuestHttpError> {
            match request.url.path() {
                "/away" => Err(GuestHttpError::RateLimited(None)),
                path => {
                    let mut answer = response(path.as_bytes());
                    answer.headers.push(("set-cookie".into(), "id=7".into()));
                    Ok(answer)
                }
            }
        }

        fn setting(&self, key: &str) -> Option<String> {
            (key == "contact").then(|| "a@b.org".to_owned())
        }

        fn now_ms(&self) -> u64 {
            4711
        }
    }

    pub(crate) fn report() -> CallReport {
        CallReport {
            outcome: Ok(gleaner_model::plan::Resolution::default()),
            extra: Vec::new(),
            log: Vec::new(),
            cpu: Duration::ZERO,
            wall: Duration::ZERO,
            peak_memory: 0,
            requests: 0,
            waited: Duration::ZERO,
            rate_limited: None,
        }
    }

    #[tokio::test]
    async fn all_that_passes_is_noted_and_nothing_is_changed() {
        let recorder = Recorder::new(Arc::new(Echo));
        let got = recorder.send(request("https://a.org/one")).await.unwrap();
        assert_eq!((got.body, got.headers.len()), (b"/one".to_vec(), 2));
        assert!(recorder.send(request("https://a.org/away")).await.is_err());
        assert_eq!(
            (recorder.setting("contact").as_deref(), recorder.setting("key")),
            (Some("a@b.org"), None)
        );
        assert_eq!(recorder.now_ms(), 4711);
        let call = recorder.call(&Query::default(), &report());
        let text = serde_json::to_string(&call).unwrap();
        let parts =
            ["\"url\":\"https://a.org/one\"", "{\"text\":\"/one\"}", "rate_limited", "\"key\":null", "4711"];
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        assert!(!text.contains("set-cookie"), "{text}");
    }
}
