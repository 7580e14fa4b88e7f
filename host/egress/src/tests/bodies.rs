//! Bodies: whole or an error, in time, within their caps.

use std::io::Write;

use super::*;
use crate::Stage;

const SHORT: Span = Span(Duration::from_millis(200));
const LONG: Span = Span(Duration::from_secs(2));

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn collect(world: &World, url: &str, max_bytes: u64, scope: &Scope) -> Result<usize, EgressError> {
    let response = world.egress.send(Request::get(url.parse().unwrap(), max_bytes), scope).await?;
    Ok(response.body.collect().await?.len())
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error() {
    let world = World::new(|asked| match asked.path.as_str() {
        "/length" => Reply::raw(200, "content-length: 100", "only this"),
        "/chunked" => Reply::raw(200, "transfer-encoding: chunked", "5\r\nhello\r\n"),
        "/gzip" => {
            let whole = gzip(&(0..=255).collect::<Vec<u8>>());
            let half = &whole[..whole.len() / 2];
            Reply::raw(200, &format!("content-encoding: gzip\ncontent-length: {}", half.len()), half)
        }
        _ => Reply::raw(200, "content-encoding: gzip\ncontent-length: 9", "not gzip!"),
    })
    .await;
    let get = async |path: &str| world.text(&format!("https://api.example.org/{path}")).await;
    match get("length").await.unwrap_err() {
        error @ EgressError::Truncated { received: 9, declared: Some(100), .. } => {
            assert_eq!(error.to_string(), "api.example.org sent 9 bytes of 100");
            assert_eq!(error.failure().reason.as_str(), "length_mismatch");
        }
        other => panic!("{other}"),
    }
    match get("chunked").await.unwrap_err() {
        error @ EgressError::Truncated { received: 5, declared: None, .. } => {
            assert_eq!(error.failure().reason.as_str(), "truncated");
        }
        other => panic!("{other}"),
    }
    let error = get("gzip").await.unwrap_err();
    assert!(matches!(error, EgressError::Truncated { .. }), "{error}");
    let error = get("nonsense").await.unwrap_err();
    assert!(error.to_string().contains("cannot be decompressed"), "{error}");
}

#[tokio::test]
async fn after_an_error_a_body_does_not_look_whole() {
    let world = World::new(|_| Reply::raw(200, "content-length: 100", "only this")).await;
    let mut body = world.get("https://api.example.org/", &download()).await.unwrap().body;
    while body.chunk().await.is_ok() {}
    assert!(body.chunk().await.is_err());
    assert_eq!(world.limiter.in_flight(&host("https://api.example.org")), 0);
}

#[tokio::test]
async fn caps_of_size_hold() {
    let world = World::new(|asked| match asked.path.as_str() {
        "/length" => Reply::ok(&"x".repeat(1001)),
        "/chunked" => {
            Reply::raw(200, "transfer-encoding: chunked", format!("3e9\r\n{}\r\n0\r\n\r\n", "x".repeat(1001)))
        }
        "/bomb" => {
            let bomb = gzip(&vec![0; 50_000_000]);
            Reply::raw(200, &format!("content-encoding: gzip\ncontent-length: {}", bomb.len()), bomb)
        }
        _ => Reply::ok(&"x".repeat(1000)),
    })
    .await;
    for path in ["length", "chunked", "bomb"] {
        let scope = download();
        let error =
            collect(&world, &format!("https://api.example.org/{path}"), 1000, &scope).await.unwrap_err();
        assert!(matches!(error, EgressError::TooLarge { cap: 1000, .. }), "{path}: {error}");
        assert_eq!(scope.bytes(), 0, "{path}: nothing over the cap is handed out");
    }
    assert_eq!(collect(&world, "https://api.example.org/fits", 1000, &download()).await.unwrap(), 1000);
}

#[tokio::test]
async fn budgets_of_a_plugin_call_hold() {
    let world = World::new(|asked| match asked.path.as_str() {
        "/moved" => Reply::redirect("/x"),
        _ => Reply::ok(&"x".repeat(1000)),
    })
    .await;
    let url = "https://api.example.org/x";
    let scope = plugin(PluginPolicy { max_bytes: Some(1500), ..policy(&["*"]) });
    assert_eq!(collect(&world, url, 5000, &scope).await.unwrap(), 1000);
    let error = collect(&world, url, 5000, &scope).await.unwrap_err();
    assert_eq!(error.to_string(), "test used up its 1500 bytes");

    let scope = plugin(PluginPolicy { max_requests: Some(2), ..policy(&["*"]) });
    assert_eq!(collect(&world, "https://api.example.org/moved", 5000, &scope).await.unwrap(), 1000);
    let seen = world.web.asked().len();
    let error = collect(&world, url, 5000, &scope).await.unwrap_err();
    assert_eq!(error.to_string(), "test used up its 2 requests");
    assert_eq!(world.web.asked().len(), seen);
}

#[tokio::test]
async fn slowness_ends() {
    let limits = "default-host = { rate = \"1000/s\", burst = 1000 }";
    let answer = |asked: &Asked| match asked.path.as_str() {
        "/silent" => Reply::silence(),
        _ => Reply::raw(200, "content-length: 100", "beginning").then_hang(),
    };
    let stage = |error: EgressError| match error {
        EgressError::Timeout { stage, host, .. } if host == "api.example.org" => stage,
        other => panic!("{other}"),
    };
    let world = World::with(limits, |config| config.idle_timeout = SHORT, answer).await;
    assert_eq!(stage(world.text("https://api.example.org/stalls").await.unwrap_err()), Stage::Idle);

    let world = World::with(limits, |config| config.timeout = SHORT, answer).await;
    assert_eq!(stage(world.text("https://api.example.org/silent").await.unwrap_err()), Stage::Headers);

    // The plain port never answers a TLS handshake.
    let plain = world.web.plain.to_string();
    let change = |config: &mut EgressConfig| {
        let mapped = [("api.example.org:443".to_owned(), plain)];
        config.connect_to = BTreeMap::from(mapped).try_into().unwrap();
        config.connect_timeout = SHORT;
    };
    let deaf = World::with(limits, change, |_| Reply::ok("unexpected")).await;
    assert_eq!(stage(deaf.text("https://api.example.org/").await.unwrap_err()), Stage::Connect);

    // Long enough for the headers to come on a busy machine.
    let world = World::with(limits, |config| config.timeout = LONG, answer).await;
    let (call, fetch) = (plugin(policy(&["api.example.org"])), Scope::download(Instant::now() + LONG.0));
    let (call, fetch) = tokio::join!(
        collect(&world, "https://api.example.org/stalls", 1000, &call),
        collect(&world, "https://api.example.org/stalls", 1000, &fetch),
    );
    assert_eq!([call, fetch].map(|end| stage(end.unwrap_err())), [Stage::Whole, Stage::Whole]);
    assert_eq!(world.limiter.in_flight(&host("https://api.example.org")), 0);
}

#[tokio::test]
async fn downloads_ask_for_the_file_itself() {
    let world = World::new(|asked| {
        if asked.header("accept-encoding").is_some_and(|accepted| accepted.contains("gzip")) {
            let body = gzip(b"the answer");
            Reply::raw(200, &format!("content-encoding: gzip\ncontent-length: {}", body.len()), body)
        } else {
            Reply::ok("the answer")
        }
    })
    .await;
    let response = world.get("https://api.example.org/", &download()).await.unwrap();
    assert_eq!(response.body.declared(), Some(10));
    let response = world.get("https://api.example.org/", &plugin(policy(&["*"]))).await.unwrap();
    assert_eq!(response.body.declared(), None, "the compressed length says nothing");
    assert_eq!(response.body.collect().await.unwrap(), "the answer");
    assert_eq!(world.web.asked()[0].header("accept-encoding"), Some("identity"));
}
