//! `Content::fetch` over a real socket and the real egress.

use std::sync::Arc;
use std::time::Duration;

use gleaner_content::{Content, ContentConfig, Fetched, NameTemplate};
use gleaner_egress::{Egress, EgressConfig, Scope};
use gleaner_limits::{KeyedLimiter, LimitRules};
use gleaner_model::artifact::Artifact;
use gleaner_model::clock::SystemClock;
use gleaner_model::identifier::Identifier;
use gleaner_model::reason::Reason;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

/// A page that is large enough to be a file, and none.
fn page() -> Vec<u8> {
    format!("<!DOCTYPE html><title>An article</title>{}", "<p>words".repeat(500)).into_bytes()
}

/// The smallest file that counts: the parser does not understand it, and that is no refusal.
fn pdf() -> Vec<u8> {
    format!("%PDF-1.4\n{}\n%%EOF\n", "% nothing\n".repeat(200)).into_bytes()
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes(), body].concat()
}

/// What the server says to a path.
fn scripted(path: &str) -> Vec<u8> {
    let length = pdf().len();
    match path {
        "/moved" => answer("302 Found\r\nLocation: /good.pdf\r\nContent-Length: 0", b""),
        "/good.pdf" => answer(
            &format!(
                "200 OK\r\nContent-Type: application/pdf\r\nContent-Length: {length}\r\nETag: \"e1\"\r\n\
                 Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"
            ),
            &pdf(),
        ),
        "/page" => answer("200 OK\r\nContent-Type: application/pdf", &page()),
        "/short.pdf" => answer(&format!("200 OK\r\nContent-Length: {}", length + 1), &pdf()),
        "/huge.pdf" => answer("200 OK\r\nContent-Length: 999999999999", &pdf()),
        _ => answer(&format!("404 Not Found\r\nContent-Length: {length}"), &pdf()),
    }
}

struct Fixture {
    library: tempfile::TempDir,
    content: Content,
    egress: Egress,
}

impl Fixture {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut request = vec![0; 4096];
                let length = socket.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                let path = request.split(' ').nth(1).unwrap_or_default();
                // A client that has seen enough hangs up.
                let _ = socket.write_all(&scripted(path)).await;
            }
        });
        let connect_to = format!("connect-to = {{ \"files.example.org:80\" = \"{address}\" }}");
        let config: EgressConfig = toml::from_str(&connect_to).unwrap();
        let limiter = KeyedLimiter::new(LimitRules::default(), Arc::new(SystemClock));
        let egress = Egress::new(&config, None, limiter, Arc::new(SystemClock)).unwrap();
        let library = tempfile::tempdir().unwrap();
        let content =
            Content::open(library.path(), ContentConfig::default(), NameTemplate::default()).unwrap();
        Self { library, content, egress }
    }

    async fn fetch(&self, path: &str) -> Fetched {
        let url = format!("http://files.example.org{path}").parse().unwrap();
        let artifact = Artifact::of(Identifier::parse("10.1000/x").unwrap());
        let scope = Scope::download(Instant::now() + Duration::from_secs(20));
        self.content.fetch(&self.egress, &scope, &url, &artifact).await
    }
}

#[tokio::test]
async fn a_file_arrives_with_all_that_was_seen() {
    let library = Fixture::new().await;
    let Fetched { facts, outcome } = library.fetch("/moved").await;
    let stored = outcome.unwrap();
    assert_eq!(stored.name, "files/doi_10.1000_x.pdf");
    assert_eq!(std::fs::read(library.library.path().join(&stored.name)).unwrap(), pdf());
    let chain: Vec<_> = facts.chain.iter().map(|url| url.as_str()).collect();
    assert_eq!(chain, ["http://files.example.org/moved", "http://files.example.org/good.pdf"]);
    assert_eq!(facts.status, Some(200));
    assert_eq!(facts.media_type_declared.as_deref(), Some("application/pdf"));
    assert_eq!(facts.media_type_found.as_deref(), Some("application/pdf"));
    assert_eq!(facts.bytes, Some(pdf().len() as u64));
    assert_eq!(facts.etag.as_deref(), Some("\"e1\""));
    assert_eq!(facts.last_modified.as_deref(), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    assert!(facts.waited.is_some() && facts.first_byte.is_some_and(|first| first <= facts.total));
}

#[tokio::test]
async fn what_is_no_file_is_refused_and_described() {
    let library = Fixture::new().await;
    for (path, reason, status) in [
        ("/missing.pdf", Reason::NotFound, Some(404)),
        ("/page", Reason::HtmlInsteadOfPdf, Some(200)),
        ("/short.pdf", Reason::LengthMismatch, Some(200)),
        ("/huge.pdf", Reason::TooLarge, Some(200)),
    ] {
        let Fetched { facts, outcome } = library.fetch(path).await;
        assert_eq!(outcome.unwrap_err().reason, reason, "{path}");
        assert_eq!(facts.status, status, "{path}");
        assert_eq!(facts.chain.len(), 1, "{path}");
    }
    assert_eq!(std::fs::read_dir(library.library.path().join("blobs")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(library.library.path().join("files")).unwrap().count(), 0);
}

#[tokio::test]
async fn what_egress_refuses_is_told_as_it_says() {
    let library = Fixture::new().await;
    let url = "http://127.0.0.1/x.pdf".parse().unwrap();
    let artifact = Artifact::of(Identifier::parse("10.1000/x").unwrap());
    let scope = Scope::download(Instant::now() + Duration::from_secs(20));
    let Fetched { facts, outcome } = library.content.fetch(&library.egress, &scope, &url, &artifact).await;
    assert_eq!(outcome.unwrap_err().reason, Reason::PrivateAddress);
    assert_eq!((facts.chain, facts.status), (vec![url], None));
}
