//! Requests against a host that answers with as many bytes as the path says.

use super::*;
use gleaner_model::units::Span;
use std::sync::Mutex;

#[derive(Default)]
struct Bytes {
    seen: Mutex<Vec<GuestRequest>>,
}

#[async_trait::async_trait]
impl GuestHost for Bytes {
    async fn send(&self, request: GuestRequest) -> Answer {
        let size = request.url.path().trim_start_matches('/').to_owned();
        self.seen.lock().unwrap().push(request);
        match size.as_str() {
            "slow" => std::future::pending().await,
            "limited" => Err(GuestHttpError::RateLimited(Some(5000))),
            "limited-unsaid" => Err(GuestHttpError::RateLimited(None)),
            size => Ok(GuestResponse {
                status: 200,
                url: String::new(),
                headers: Vec::new(),
                body: vec![b'x'; size.parse().unwrap()],
                from_cache: false,
            }),
        }
    }

    fn setting(&self, _: &str) -> Option<String> {
        None
    }

    fn now_ms(&self) -> u64 {
        0
    }
}

fn get(path: &str) -> Asked {
    Asked { method: "GET".into(), url: format!("https://a.example/{path}"), ..Asked::default() }
}

fn outbound(requests: u32, bytes: u64) -> (Arc<Bytes>, Outbound) {
    let host = Arc::new(Bytes::default());
    let sandbox = Sandbox {
        requests,
        bytes: ByteSize(bytes),
        wall: Span(Duration::from_secs(60)),
        ..Sandbox::default()
    };
    (Arc::clone(&host), Outbound::new(host, sandbox, in_a_minute()))
}

fn in_a_minute() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

#[tokio::test(start_paused = true)]
async fn requests_that_break_a_rule_never_leave() {
    let (host, out) = outbound(32, 1 << 20);
    let header = |name: &str, value: &str| Asked { headers: vec![(name.into(), value.into())], ..get("1") };
    for (asked, rule) in [
        (Asked { method: "PUT".into(), ..get("1") }, "GET, HEAD and POST"),
        (Asked { method: "get".into(), ..get("1") }, "GET, HEAD and POST"),
        (Asked { url: "/relative".into(), ..get("1") }, "absolute"),
        (Asked { url: "ftp://a.example/".into(), ..get("1") }, "http"),
        (Asked { url: "https://u:p@a.example/".into(), ..get("1") }, "password"),
        (Asked { body: Some(vec![1]), ..get("1") }, "only POST"),
        (header("Host", "b.example"), "belongs to the host"),
        (header("cookie", "a=b"), "belongs to the host"),
        (header("x", "a\r\ny: b"), "printable"),
        (header("x y", "a"), "header name"),
        (header("x", &"a".repeat(20_000)), "16 KiB"),
        (Asked { headers: vec![("x".into(), "y".into()); 65], ..get("1") }, "at most 64"),
    ] {
        match out.send(asked).await {
            Err(GuestHttpError::Denied(text)) => assert!(text.contains(rule), "{rule}: {text}"),
            other => panic!("{rule}: {other:?}"),
        }
    }
    assert!(host.seen.lock().unwrap().is_empty());
    assert_eq!(out.sent(), 0);
}

#[tokio::test(start_paused = true)]
async fn requests_are_counted_and_answers_keep_their_order() {
    let (host, out) = outbound(5, 1 << 20);
    let answers = out.send_all(["3", "1", "2"].map(get).into()).await;
    assert_eq!(answers.iter().map(|a| a.as_ref().unwrap().body.len()).collect::<Vec<_>>(), [3, 1, 2]);
    let answers = out.send_all(vec![get("1"); 3]).await;
    assert!(answers[..2].iter().all(Result::is_ok));
    assert!(matches!(&answers[2], Err(GuestHttpError::Denied(rule)) if rule.contains("may send 5")));
    let answers = out.send_all(vec![get("1"); 17]).await;
    assert!(answers.iter().all(|a| matches!(a, Err(GuestHttpError::Denied(_)))) && answers.len() == 17);
    assert_eq!((host.seen.lock().unwrap().len(), out.sent()), (5, 5));
}

#[tokio::test(start_paused = true)]
async fn bodies_together_stay_below_the_cap() {
    let (host, out) = outbound(32, 1000);
    let answers = out.send_all(["400", "600"].map(get).into()).await;
    assert_eq!(answers[0].as_ref().unwrap().body.len(), 400);
    assert_eq!(answers[1], Err(GuestHttpError::TooLarge(500)));
    assert!(out.send(get("600")).await.is_ok());
    assert!(matches!(out.send(get("1")).await, Err(GuestHttpError::Denied(_))));
    let most: Vec<_> = host.seen.lock().unwrap().iter().map(|request| request.max_bytes).collect();
    assert_eq!(most, [500, 500, 600]);

    let post = Asked { method: "POST".into(), body: Some(vec![0; 1001]), ..get("1") };
    let (_, out) = outbound(32, 1000);
    assert!(matches!(out.send(post).await, Err(GuestHttpError::Denied(_))));
}

#[tokio::test(start_paused = true)]
async fn a_request_ends_before_its_call_does() {
    let (host, out) = outbound(32, 1000);
    assert_eq!(out.send(get("slow")).await, Err(GuestHttpError::Timeout));
    assert_eq!(out.ends - Instant::now(), Duration::from_secs(1));
    assert_eq!(host.seen.lock().unwrap()[0].timeout, Duration::from_secs(59));
}

#[tokio::test(start_paused = true)]
async fn the_longest_wait_asked_for_is_remembered() {
    let (_, out) = outbound(32, 1000);
    assert_eq!(out.send(get("limited")).await, Err(GuestHttpError::RateLimited(Some(5000))));
    assert_eq!(out.rate_limited(), Some(Duration::from_secs(5)));
    out.send(get("limited-unsaid")).await.unwrap_err();
    assert_eq!(out.rate_limited(), Some(CallReport::UNSAID_WAIT));
}
