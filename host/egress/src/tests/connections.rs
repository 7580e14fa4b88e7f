//! Connections: kept and shared by policy, made over the address that answers, and only to who can prove who it is.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::*;
use crate::Injection;

/// A server without TLS that keeps its connections, and counts them.
struct Keeping {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Keeping {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, connections) = (listener.local_addr().unwrap().port(), Arc::<AtomicUsize>::default());
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while let Ok(byte) = socket.read_u8().await {
                        head.push(byte);
                        if head.ends_with(b"\r\n\r\n") {
                            head.clear();
                            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                        }
                    }
                });
            }
        });
        Self { port, connections }
    }
}

/// Every name has these addresses, and all of them may be connected to.
struct Open(Vec<IpAddr>);

#[async_trait::async_trait]
impl Lookup for Open {
    async fn lookup(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Ok(self.0.clone())
    }

    fn permits(&self, _: IpAddr) -> bool {
        true
    }
}

fn egress(addresses: &[&str], change: impl FnOnce(&mut EgressConfig)) -> Egress {
    let mut config = EgressConfig::default();
    change(&mut config);
    let clock = FakeClock::at(NOW);
    let limits = toml::from_str::<LimitRules>("default-host = { rate = \"1000/s\", burst = 1000 }").unwrap();
    let limiter = KeyedLimiter::new(limits, clock.clone());
    let open = Open(addresses.iter().map(|text| text.parse().unwrap()).collect());
    let lookup: Arc<dyn Lookup> = Arc::new(open);
    Egress::with_lookup(&config, Some("someone@example.org"), limiter, clock, &lookup).unwrap()
}

async fn text(egress: &Egress, url: &str, scope: &Scope) -> Result<String, EgressError> {
    let body = egress.send(Request::get(url.parse().unwrap(), 1000), scope).await?.body.collect().await?;
    // The connection goes back to its pool in a task of its own.
    tokio::time::sleep(Duration::from_millis(20)).await;
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn connections_are_kept_and_shared_within_a_policy_only() {
    let web = Keeping::start().await;
    let egress = egress(&["127.0.0.1"], |_| {});
    let (host, url) = (format!("a.example:{}", web.port), format!("http://a.example:{}/", web.port));
    let called = |name: &str| {
        plugin(PluginPolicy { name: ResolverName::new(name).unwrap(), ..policy(&[host.as_str()]) })
    };
    for (name, connections) in [("one", 1), ("one", 1), ("two", 2), ("one", 2), ("two", 2)] {
        assert_eq!(text(&egress, &url, &called(name)).await.unwrap(), "ok");
        assert_eq!(web.connections.load(Ordering::SeqCst), connections, "{name}");
    }
}

#[tokio::test]
async fn the_time_of_a_connection_is_known_where_one_was_made() {
    let web = Keeping::start().await;
    let egress = egress(&["127.0.0.1"], |_| {});
    let (host, url) = (format!("a.example:{}", web.port), format!("http://a.example:{}/", web.port));
    let scope = plugin(policy(&[host.as_str()]));
    for is_new in [true, false] {
        let response = egress.send(Request::get(url.parse().unwrap(), 1000), &scope).await.unwrap();
        assert_eq!(response.connect.is_some(), is_new);
        assert!(
            response.connect.is_none_or(|connect| connect > Duration::ZERO && connect <= response.first_byte)
        );
        response.body.collect().await.unwrap();
        // The connection goes back to its pool in a task of its own.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn no_more_connections_are_kept_than_allowed() {
    let web = Keeping::start().await;
    let egress = egress(&["127.0.0.1"], |config| config.idle_connections = 0);
    let (host, url) = (format!("a.example:{}", web.port), format!("http://a.example:{}/", web.port));
    for connections in 1..=3 {
        text(&egress, &url, &plugin(policy(&[host.as_str()]))).await.unwrap();
        assert_eq!(web.connections.load(Ordering::SeqCst), connections);
    }
}

/// RFC 8305: the IPv6 address swallows every attempt, so without a second one beside it the request would end here.
#[tokio::test]
async fn a_dead_address_does_not_keep_from_a_live_one() {
    let web = Keeping::start().await;
    let _dead = deaf(&format!("[::1]:{}", web.port)).await;
    let egress = egress(&["::1", "127.0.0.1"], |config| {
        config.connect_timeout = Span(Duration::from_secs(120));
        config.timeout = Span(Duration::from_secs(30));
    });
    let (host, url) = (format!("a.example:{}", web.port), format!("http://a.example:{}/", web.port));
    assert_eq!(text(&egress, &url, &plugin(policy(&[host.as_str()]))).await.unwrap(), "ok");
}

/// A port whose queue is full: the system drops what else comes, as if nobody were there. Where there is no IPv6,
/// connections fail by themselves, and nothing is returned.
async fn deaf(address: &str) -> Option<(tokio::net::TcpListener, Vec<TcpStream>)> {
    let address = address.parse().unwrap();
    let socket = TcpSocket::new_v6().ok()?;
    socket.bind(address).ok()?;
    let listener = socket.listen(1).ok()?;
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
    {
        waiting.push(stream);
    }
    Some((listener, waiting))
}

#[tokio::test]
async fn a_certificate_goes_unchecked_only_where_nothing_but_a_page_is_to_be_had() {
    // The certificate is not for that name.
    let insecure = |config: &mut EgressConfig| {
        config.robots = false;
        config.insecure_hosts = vec!["www.example.com".to_owned()].try_into().unwrap();
    };
    let world = World::with("default-host = { rate = \"1000/s\", burst = 1000 }", insecure, |asked| {
        match asked.path.as_str() {
            "/away" => Reply::redirect("https://bad.example.com/"),
            _ => Reply::ok("answer"),
        }
    })
    .await;
    let url = "https://www.example.com/";
    assert_eq!(world.text(url).await.unwrap(), "answer", "a download");
    let landing = plugin(policy(&["*"]));
    assert_eq!(world.get(url, &landing).await.unwrap().status, 200, "a landing page");

    let refused = |error: EgressError| assert!(matches!(error, EgressError::Tls { .. }), "{error}");
    refused(world.get(url, &plugin(policy(&["www.example.com"]))).await.unwrap_err());
    let secret = Injection {
        host: "www.example.com".to_owned(),
        header: Some("x-key".to_owned()),
        query: None,
        secret: "secret".to_owned(),
    };
    let keyed = plugin(PluginPolicy { injections: vec![secret], ..policy(&["*"]) });
    refused(world.get(url, &keyed).await.unwrap_err());
    assert!(world.web.asked().iter().all(|asked| asked.header("x-key").is_none()));
    assert_eq!(world.web.asked().len(), 2);

    // Without the exception, and for a host beside it.
    let strict = World::new(|_| Reply::ok("unexpected")).await;
    refused(strict.text(url).await.unwrap_err());
    let error = world.text("https://www.example.com/away").await.unwrap_err();
    assert!(matches!(error, EgressError::PrivateAddress { .. }), "{error}");
}
