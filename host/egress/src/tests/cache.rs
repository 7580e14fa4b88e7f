//! What the cache promises: fewer requests, and never an answer that is not the caller's.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::AtomicU32;

use gleaner_model::units::ByteSize;
use tempfile::TempDir;

use super::*;
use crate::{Injection, cache_use, clear_cache};

const API: &str = "https://api.example.org/works";
const LIMITS: &str = "default-host = { rate = \"1000/s\", burst = 1000 }";

struct Kept {
    world: World,
    dir: TempDir,
}

impl Kept {
    async fn new(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::with(|_| {}, answer).await
    }

    async fn with(
        change: impl FnOnce(&mut EgressConfig),
        answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("cache");
        let change = |config: &mut EgressConfig| {
            config.cache.dir = Some(cache);
            change(config);
        };
        Self { world: World::with(LIMITS, change, answer).await, dir }
    }

    fn cache(&self) -> std::path::PathBuf {
        self.dir.path().join("cache")
    }

    /// Status, text, and whether it was kept.
    async fn asks(&self, url: &str, scope: &Scope) -> (u16, String, bool) {
        self.sends(Request::get(url.parse().unwrap(), 1 << 20), scope).await
    }

    async fn sends(&self, request: Request, scope: &Scope) -> (u16, String, bool) {
        let response = self.world.egress.send(request, scope).await.unwrap();
        let (status, kept) = (response.status.as_u16(), response.from_cache);
        (status, String::from_utf8(response.body.collect().await.unwrap().to_vec()).unwrap(), kept)
    }

    fn later(&self, seconds: u64) {
        self.world.clock.advance(Duration::from_secs(seconds));
    }

    fn asked(&self) -> usize {
        self.world.web.asked().len()
    }

    fn files(&self) -> Vec<std::path::PathBuf> {
        let folders = fs::read_dir(self.cache()).into_iter().flatten().flatten();
        let folders = folders.filter(|entry| entry.path().is_dir());
        folders
            .flat_map(|folder| fs::read_dir(folder.path()).unwrap())
            .map(|file| file.unwrap().path())
            .collect()
    }
}

fn api() -> Scope {
    plugin(policy(&["*.example.org"]))
}

fn keyed(name: &str, secret: &str) -> Scope {
    let injection = Injection {
        host: "api.example.org".into(),
        header: Some("authorization".into()),
        query: Some("api_key".into()),
        secret: secret.into(),
    };
    let name = ResolverName::new(name).unwrap();
    plugin(PluginPolicy { name, injections: vec![injection], ..policy(&["*.example.org"]) })
}

fn accept(value: &str) -> Request {
    let mut request = Request::get(API.parse().unwrap(), 1 << 20);
    request.headers.insert("accept", value.parse().unwrap());
    request
}

fn contains(dir: &Path, text: &str) -> bool {
    fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        let named = path.to_string_lossy().contains(text);
        named
            || if path.is_dir() {
                contains(&path, text)
            } else {
                fs::read(path).unwrap().windows(text.len()).any(|part| part == text.as_bytes())
            }
    })
}

/// Its length was that of the packed bytes, and is gone when they are unpacked; but their own end is known.
#[tokio::test]
async fn a_packed_answer_is_kept_as_what_it_unpacks_to() {
    let kept = Kept::new(|asked| {
        let packed = super::bombs::gzip(asked.path.as_bytes());
        let sent = if asked.path == "/cut" { &packed[..packed.len() - 4] } else { &packed };
        Reply::raw(200, &format!("content-encoding: gzip\ncontent-length: {}", sent.len()), sent)
    })
    .await;
    assert_eq!(kept.asks(API, &api()).await, (200, "/works".to_owned(), false));
    assert_eq!(kept.asks(API, &api()).await, (200, "/works".to_owned(), true));
    let cut = Request::get("https://api.example.org/cut".parse().unwrap(), 1000);
    for _ in 0..2 {
        let answer = kept.world.egress.send(cut.clone(), &api()).await.unwrap();
        assert!(answer.body.collect().await.is_err(), "a cut answer is none");
    }
    assert_eq!((kept.asked(), kept.files().len()), (3, 1));
}

#[tokio::test]
async fn a_fresh_answer_costs_no_request_and_no_token_but_is_counted_and_checked() {
    let kept = Kept::with(
        |config| config.max_wait = Span(Duration::ZERO),
        |_| Reply::status(200, "cache-control: max-age=60\nset-cookie: id=SESSION", "answer"),
    )
    .await;
    assert_eq!(kept.asks(API, &api()).await, (200, "answer".into(), false));
    let (limiter, key) = (kept.world.limiter.clone(), host(API));
    limiter.throttled(&key, Some(Duration::from_secs(3600)));
    let scope = api();
    kept.later(10);
    let response = kept.world.get(API, &scope).await.unwrap();
    assert_eq!((response.headers["age"].to_str().unwrap(), response.from_cache), ("10", true));
    assert!(!response.headers.contains_key("set-cookie"));
    assert_eq!(response.body.collect().await.unwrap(), "answer");
    assert_eq!((scope.bytes(), scope.requests(), limiter.in_flight(&key)), (6, 1, 0));
    let poor = plugin(PluginPolicy { max_bytes: Some(5), ..policy(&["*.example.org"]) });
    let body = kept.world.get(API, &poor).await.unwrap().body;
    assert!(matches!(body.collect().await, Err(EgressError::Budget { .. })));
    let denied = kept.world.get(API, &plugin(policy(&["other.example.org"]))).await;
    assert!(matches!(denied, Err(EgressError::Denied { .. })), "grants hold for what is kept");
    let small = kept.world.egress.send(Request::get(API.parse().unwrap(), 3), &api()).await;
    assert!(matches!(small, Err(EgressError::TooLarge { .. })));
    assert_eq!(kept.asked(), 1);
    // Past its time it needs a permit, and the host is cooling down.
    kept.later(60);
    assert!(matches!(kept.world.get(API, &api()).await, Err(EgressError::Blocked(_))));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&kept.cache()), mode(&kept.files()[0])), (0o700, 0o600));
    assert!(!contains(&kept.cache(), "SESSION") && !contains(&kept.cache(), "works"));
}

#[tokio::test]
async fn a_stale_answer_is_confirmed_by_a_304_and_replaced_by_anything_else() {
    let kept = Kept::new(|asked| match (asked.header("if-none-match"), asked.path.as_str()) {
        (None, "/works") => Reply::status(200, "etag: \"1\"\ncache-control: max-age=60\nx-old: 1", "first"),
        (Some("\"1\""), "/works") => Reply::raw(304, "etag: \"1\"\ncache-control: max-age=600\nx-new: 1", ""),
        (None, _) => {
            Reply::status(200, "last-modified: Sun, 06 Nov 1994 08:00:00 GMT\ncache-control: no-cache", "a")
        }
        _ => Reply::silence(),
    })
    .await;
    assert!(!kept.asks(API, &api()).await.2);
    kept.later(61);
    let response = kept.world.get(API, &api()).await.unwrap();
    assert_eq!((response.status.as_u16(), response.from_cache), (200, false), "it was asked for");
    assert!(response.headers.contains_key("x-old") && response.headers.contains_key("x-new"));
    assert_eq!(response.body.collect().await.unwrap(), "first");
    kept.later(599);
    assert_eq!(kept.asks(API, &api()).await, (200, "first".into(), true));
    assert_eq!(kept.asked(), 2);
    // Without an ETag, by its date.
    for _ in 0..2 {
        kept.asks("https://api.example.org/dated", &api()).await;
    }
    let asked = kept.world.web.asked();
    assert_eq!(asked[3].header("if-modified-since"), Some("Sun, 06 Nov 1994 08:00:00 GMT"));
}

#[tokio::test]
async fn a_304_about_another_answer_makes_it_ask_for_all_of_it() {
    let kept = Kept::new(|asked| match asked.header("if-none-match") {
        None => Reply::status(200, "etag: \"1\"\ncache-control: max-age=1", "whole"),
        Some(_) => Reply::raw(304, "etag: \"2\"", ""),
    })
    .await;
    kept.asks(API, &api()).await;
    kept.later(5);
    assert_eq!(kept.asks(API, &api()).await, (200, "whole".into(), false));
    assert_eq!(kept.asked(), 3);
}

#[tokio::test]
async fn what_varies_is_told_apart() {
    let kept = Kept::new(|asked| {
        let accept = asked.header("accept").unwrap_or_default().to_owned();
        Reply::status(200, "vary: Accept\ncache-control: max-age=60", &accept)
    })
    .await;
    for (expected, kind) in [(false, "a/b"), (false, "c/d"), (true, "a/b"), (true, "c/d")] {
        assert_eq!(kept.sends(accept(kind), &api()).await, (200, kind.to_owned(), expected));
    }
}

#[tokio::test]
async fn what_must_not_be_kept_is_not() {
    for headers in [
        "cache-control: no-store",
        "cache-control: private, max-age=60",
        "vary: *",
        "cache-control: max-age=0",
    ] {
        let kept = Kept::new(move |_| Reply::status(200, headers, "answer")).await;
        for _ in 0..2 {
            assert!(!kept.asks(API, &api()).await.2, "{headers}");
        }
        assert_eq!((kept.asked(), kept.files().len()), (2, 0), "{headers}");
    }
    let kept = Kept::with(
        |config| config.cache.max_entry = ByteSize(4),
        |asked| match asked.path.as_str() {
            "/cut" => Reply::raw(200, "content-length: 9", "abc"),
            "/open" => Reply::raw(200, "", "abc"),
            "/chunked" => Reply::raw(200, "transfer-encoding: chunked", "3\r\nabc\r\n3\r\nabc\r\n0\r\n\r\n"),
            _ => Reply::ok("abcdef"),
        },
    )
    .await;
    for path in ["open", "chunked", "large", "open", "chunked", "large"] {
        assert!(!kept.asks(&format!("https://api.example.org/{path}"), &api()).await.2, "{path}");
    }
    let cut = kept.world.get("https://api.example.org/cut", &api()).await.unwrap().body.collect().await;
    assert!(matches!(cut, Err(EgressError::Truncated { .. })));
    // A download is none of the cache's business, nor is a request with conditions of its own.
    kept.asks("https://api.example.org/file", &download()).await;
    assert_eq!((kept.asked(), kept.files().len()), (8, 0));
}

#[tokio::test]
async fn nobody_gets_what_another_was_shown_and_no_secret_is_written() {
    let kept = Kept::new(|asked| {
        let who = asked.header("authorization").unwrap_or("nobody").replace("secret", "known-as");
        match asked.path.split('?').next() {
            Some("/echo") => Reply::ok(&asked.path),
            _ => Reply::status(200, "cache-control: max-age=60", &who),
        }
    })
    .await;
    for (expected, scope, who) in [
        (false, keyed("one", "secret-1"), "known-as-1"),
        (true, keyed("one", "secret-1"), "known-as-1"),
        (false, keyed("one", "secret-2"), "known-as-2"),
        (false, keyed("two", "secret-1"), "known-as-1"),
        (false, api(), "nobody"),
        (true, api(), "nobody"),
    ] {
        assert_eq!(kept.asks(API, &scope).await, (200, who.to_owned(), expected));
    }
    // A header that a plugin sets itself is its own as well.
    for name in ["one", "two"] {
        let mut request = Request::get(API.parse().unwrap(), 1 << 20);
        request.headers.insert("authorization", "own".parse().unwrap());
        let scope =
            plugin(PluginPolicy { name: ResolverName::new(name).unwrap(), ..policy(&["*.example.org"]) });
        assert!(!kept.sends(request, &scope).await.2, "{name}");
    }
    for _ in 0..2 {
        assert!(!kept.asks("https://api.example.org/echo", &keyed("one", "secret-1")).await.2);
    }
    assert!(!contains(&kept.cache(), "secret"));
}

#[tokio::test]
async fn an_old_answer_stands_in_for_a_host_that_fails() {
    let calls = AtomicU32::new(0);
    let kept = Kept::new(move |_| {
        let call = calls.fetch_add(1, Ordering::SeqCst);
        match call {
            0 => Reply::status(200, "cache-control: max-age=60", "answer"),
            1 => Reply::status(502, "", "down"),
            2 => Reply::hang_up(),
            _ => Reply::status(500, "", "down"),
        }
    })
    .await;
    kept.asks(API, &api()).await;
    kept.later(61);
    for _ in 0..2 {
        assert_eq!(kept.asks(API, &api()).await, (200, "answer".into(), true));
    }
    kept.later(8 * 24 * 3600);
    assert_eq!(kept.asks(API, &api()).await, (500, "down".into(), false), "not for ever");
    assert_eq!(kept.asked(), 4);
    let calls = AtomicU32::new(0);
    let kept = Kept::new(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::status(200, "cache-control: max-age=60", "answer"),
        _ => Reply::status(503, "retry-after: 60", "down"),
    })
    .await;
    kept.asks(API, &api()).await;
    kept.later(61);
    assert_eq!(kept.asks(API, &api()).await, (200, "answer".into(), true), "also when it asks for a pause");
    assert_eq!(kept.world.limiter.take_cooldowns().len(), 1, "which it gets");
}

#[tokio::test]
async fn fifty_at_once_are_one_request() {
    let kept = Kept::new(|_| Reply::ok("answer").after(Duration::from_millis(200))).await;
    let asks = (0..50).map(|_| async { kept.asks(API, &api()).await });
    let answers = futures_util::future::join_all(asks).await;
    assert!(answers.iter().all(|(status, text, _)| (*status, text.as_str()) == (200, "answer")));
    assert_eq!((answers.iter().filter(|(.., from)| *from).count(), kept.asked()), (49, 1));
}

#[tokio::test]
async fn nobody_waits_for_one_who_is_gone() {
    let kept = Kept::new(|asked| match asked.path.as_str() {
        "/alone" => Reply::status(200, "cache-control: no-store", "answer").after(Duration::from_millis(100)),
        _ => Reply::ok("answer").after(Duration::from_millis(300)),
    })
    .await;
    let scope = api();
    let mut leader = Box::pin(kept.asks(API, &scope));
    tokio::select! {
        _ = &mut leader => panic!("too early"),
        () = tokio::time::sleep(Duration::from_millis(100)) => {}
    }
    let follower = async { kept.asks(API, &api()).await };
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(leader);
    };
    let (answer, ()) = tokio::join!(follower, cancel);
    assert_eq!((answer, kept.asked()), ((200, "answer".into(), false), 2));
    // What is its leader's alone is asked for by everybody.
    let asks = (0..5).map(|_| async { kept.asks("https://api.example.org/alone", &api()).await.2 });
    assert!(futures_util::future::join_all(asks).await.iter().all(|from| !from));
    assert_eq!(kept.asked(), 7);
}

#[tokio::test]
async fn one_who_waits_keeps_to_its_own_time() {
    let kept = Kept::new(|_| Reply::silence()).await;
    let impatient =
        Request { timeout: Some(Duration::from_millis(200)), ..Request::get(API.parse().unwrap(), 9) };
    let scope = api();
    let leader = kept.world.get(API, &scope);
    tokio::select! {
        _ = leader => panic!("nothing is ever said"),
        late = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            kept.world.egress.send(impatient, &api()).await
        } => assert!(matches!(late, Err(EgressError::Timeout { .. }))),
    }
    assert_eq!(kept.asked(), 1);
}

#[tokio::test]
async fn redirects_are_kept_hop_by_hop_and_each_hop_is_checked() {
    let kept = Kept::new(|asked| match asked.path.as_str() {
        "/works" => Reply::status(301, "location: https://www.example.net/page", ""),
        "/away" => Reply::redirect("/works"),
        _ => Reply::ok("page"),
    })
    .await;
    let both = || plugin(policy(&["*.example.org", "www.example.net"]));
    assert_eq!(kept.asks(API, &both()).await, (200, "page".into(), false));
    assert_eq!(kept.asks(API, &both()).await, (200, "page".into(), true));
    assert_eq!(kept.asked(), 2);
    assert!(matches!(kept.world.get(API, &api()).await, Err(EgressError::Denied { .. })));
    assert_eq!(kept.asks("https://api.example.org/away", &both()).await, (200, "page".into(), true));
    assert_eq!(kept.asked(), 3, "a temporary redirect is asked for");
}

#[tokio::test]
async fn an_unsafe_request_ends_what_was_kept() {
    let kept = Kept::new(|_| Reply::ok("answer")).await;
    kept.asks(API, &api()).await;
    assert!(kept.asks(API, &api()).await.2);
    let post = Request { method: http::Method::POST, ..Request::get(API.parse().unwrap(), 99) };
    kept.sends(post, &api()).await;
    assert!(!kept.asks(API, &api()).await.2);
}

#[tokio::test]
async fn a_restart_finds_what_was_kept_and_broken_files_are_as_good_as_none() {
    let kept = Kept::new(|_| Reply::ok("answer")).await;
    kept.asks(API, &api()).await;
    let again = Kept::with(
        {
            let dir = kept.cache();
            move |config| config.cache.dir = Some(dir)
        },
        |_| Reply::ok("another"),
    )
    .await;
    assert_eq!(again.asks(API, &api()).await, (200, "answer".into(), true));
    let [file] = &kept.files()[..] else { panic!("one answer, one file") };
    let bytes = fs::read(file).unwrap();
    for broken in [&bytes[..bytes.len() - 1], b"", b"gleaner answer 1\n", &[&bytes[..], b"x"].concat()] {
        fs::write(file, broken).unwrap();
        assert_eq!(again.asks(API, &api()).await, (200, "another".into(), false));
    }
    assert_eq!(cache_use(&kept.cache()).unwrap().entries, 1);
    assert_eq!(clear_cache(&kept.cache()).unwrap().entries, 1);
    assert!(!again.asks(API, &api()).await.2);
    // Others may write to it: it is not read, and not written.
    fs::set_permissions(kept.cache(), fs::Permissions::from_mode(0o777)).unwrap();
    let third = Kept::with(
        {
            let dir = kept.cache();
            move |config| config.cache.dir = Some(dir)
        },
        |_| Reply::ok("x"),
    )
    .await;
    for _ in 0..2 {
        assert!(!third.asks(API, &api()).await.2);
    }
}

#[tokio::test]
async fn it_stays_within_its_size_and_what_was_used_longest_ago_goes() {
    let kept = Kept::with(|config| config.cache.size = ByteSize(20 * 4096), |_| Reply::ok("answer")).await;
    let url = |n: usize| format!("{API}/{n}");
    for n in 0..60 {
        kept.asks(&url(n), &api()).await;
        kept.later(1);
        assert!(kept.asks(&url(0), &api()).await.2, "{n}: the one in use stays");
        kept.later(1);
        assert!(cache_use(&kept.cache()).unwrap().bytes <= 20 * 4096, "{n}");
    }
    assert!(kept.asks(&url(59), &api()).await.2);
    assert!(!kept.asks(&url(1), &api()).await.2);
}
