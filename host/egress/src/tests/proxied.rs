//! Through a proxy: only the one of the configuration, and what is still checked then.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A proxy that leads every tunnel to one server but refuses those to `plain.example.org`, and remembers the first line of what it was asked.
struct Proxy {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start(secure: std::net::SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://proxy.example.org:{}", listener.local_addr().unwrap().port());
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, secure, Arc::clone(&log)));
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(mut socket: TcpStream, secure: std::net::SocketAddr, log: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = socket.read_u8().await else { return };
        head.push(byte);
    }
    let first = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
    let is_tunnel = first.starts_with("CONNECT ");
    let is_refused = first.starts_with("CONNECT plain.example.org");
    log.lock().unwrap().push(first);
    if is_refused {
        let _ = socket.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await;
    } else if is_tunnel {
        let Ok(mut there) = TcpStream::connect(secure).await else { return };
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        let _ = copy_bidirectional(&mut socket, &mut there).await;
    } else {
        let _ =
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nproxy").await;
    }
}

/// The proxy is on this machine, which only it may be; every other name is private too.
struct Names;

#[async_trait::async_trait]
impl Lookup for Names {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        assert!(["proxy.example.org", "straight.example.net"].contains(&name), "{name} was looked up");
        Ok(vec![[127, 0, 0, 1].into()])
    }
}

#[tokio::test]
async fn requests_go_through_the_proxy_of_the_configuration() {
    let world = World::new(|_| Reply::ok("answer")).await;
    let proxy = Proxy::start(world.web.tls).await;
    let config: EgressConfig = toml::from_str(&format!(
        "proxy = {:?}\nno-proxy = [\"*.example.net\"]\nextra-ca-certs = [{:?}]\n\
         connect-to = {{ \"mapped.example.org:80\" = \"{}\" }}",
        proxy.url,
        world.web.ca.path(),
        world.web.plain
    ))
    .unwrap();
    let clock = FakeClock::at(NOW);
    let limits = toml::from_str::<LimitRules>("default-host = { rate = \"1000/s\", burst = 1000 }").unwrap();
    let limiter = KeyedLimiter::new(limits, clock.clone());
    let lookup: Arc<dyn Lookup> = Arc::new(Names);
    let egress = Egress::with_lookup(&config, Some("someone@example.org"), limiter, clock, &lookup).unwrap();
    let ask = async |url: &str| egress.send(Request::get(url.parse().unwrap(), 1000), &download()).await;

    let tunnelled = ask("https://files.example.org/x").await.unwrap();
    assert_eq!(tunnelled.body.collect().await.unwrap(), "answer", "with the real name's certificate");
    assert_eq!(ask("http://files.example.org/y").await.unwrap().body.collect().await.unwrap(), "answer");
    assert_eq!(ask("http://plain.example.org/y").await.unwrap().body.collect().await.unwrap(), "proxy");
    let expected = [
        "CONNECT files.example.org:443 HTTP/1.1",
        "CONNECT files.example.org:443 HTTP/1.1",
        "CONNECT plain.example.org:443 HTTP/1.1",
        "GET http://plain.example.org/y HTTP/1.1",
    ];
    assert_eq!(proxy.asked(), expected);

    // The certificate is not for that name: who stands between changes nothing.
    let error = ask("https://www.example.com/").await.unwrap_err();
    assert!(matches!(error, EgressError::Tls { .. }), "{error}");

    let before = proxy.asked().len();
    for url in [
        "http://127.0.0.1/",
        "https://[::1]/",
        "http://169.254.169.254/latest/meta-data/",
        "https://straight.example.net/",
    ] {
        let error = ask(url).await.unwrap_err();
        assert!(matches!(error, EgressError::PrivateAddress { .. }), "{url}: {error}");
    }
    for url in ["http://localhost/", "https://printer.local/", "http://proxy.example.org/", "http://wiki/"] {
        let error = ask(url).await.unwrap_err();
        assert!(error.to_string().contains("local network"), "{url}: {error}");
    }
    assert_eq!(ask("http://mapped.example.org/").await.unwrap().status, 200);
    assert_eq!(proxy.asked().len(), before, "none of these reached the proxy");
}
