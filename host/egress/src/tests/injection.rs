//! Secrets go to their host, over https, and nowhere else.

use super::*;
use crate::Injection;

const SECRET: &str = "s3cr3t";

fn keyed(hosts: &[&str]) -> Scope {
    let injection = |header: Option<&str>, query: Option<&str>| Injection {
        host: "api.example.org".to_owned(),
        header: header.map(str::to_owned),
        query: query.map(str::to_owned),
        secret: SECRET.to_owned(),
    };
    let injections = vec![injection(Some("X-Key"), None), injection(None, Some("api_key"))];
    plugin(PluginPolicy { injections, ..policy(hosts) })
}

#[tokio::test]
async fn secrets_go_to_their_host_only() {
    let world = World::new(|asked| match asked.target.split('?').next() {
        Some("api.example.org/away") => Reply::redirect("https://other.example.org/landed"),
        // What an upstream that repeats the query does.
        Some("api.example.org/echo") => {
            Reply::redirect(&format!("https://other.example.org{}&x=1", asked.path))
        }
        _ => Reply::ok("answer"),
    })
    .await;
    let scope = keyed(&["*.example.org"]);
    let response = world.get("https://api.example.org/works?q=1", &scope).await.unwrap();
    assert_eq!(urls(&response.chain), ["https://api.example.org/works?q=1"]);
    world.get("https://api.example.org/away", &scope).await.unwrap();
    let response = world.get("https://api.example.org/echo", &scope).await.unwrap();
    assert!(!format!("{response:?} {scope:?}").contains(SECRET));
    world.get("http://api.example.org/plain", &scope).await.unwrap();
    world.get("https://api.example.org:8443/port", &keyed(&["api.example.org:8443"])).await.unwrap();

    assert_eq!(
        world.web.targets(),
        [
            "api.example.org/works?q=1&api_key=s3cr3t",
            "api.example.org/away?api_key=s3cr3t",
            "other.example.org/landed",
            "api.example.org/echo?api_key=s3cr3t",
            "other.example.org/echo?x=1",
            "api.example.org/plain?api_key=s3cr3t",
            "api.example.org:8443/port",
        ]
    );
    for asked in world.web.asked() {
        let expected = asked.path.contains("api_key").then_some(SECRET);
        assert_eq!(asked.header("x-key"), expected, "{}", asked.target);
        assert!(asked.tls, "{}", asked.target);
    }
}

#[tokio::test]
async fn errors_do_not_show_secrets() {
    let world = World::new(|_| Reply::raw(200, "content-length: 10", "short")).await;
    let body = world.get("https://api.example.org/x", &keyed(&["*.example.org"])).await.unwrap().body;
    let error = body.collect().await.unwrap_err();
    assert!(!format!("{error} {error:?} {:?}", error.failure()).contains(SECRET));

    let unreachable = |config: &mut EgressConfig| {
        let mapped = [("api.example.org:443".to_owned(), "127.0.0.1:1".to_owned())];
        config.connect_to = BTreeMap::from(mapped).try_into().unwrap();
    };
    let world = World::with("", unreachable, |_| Reply::ok("unexpected")).await;
    let error = world.get("https://api.example.org/x", &keyed(&["*.example.org"])).await.unwrap_err();
    assert!(matches!(error, EgressError::Connection { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains(SECRET));
}
