//! A tiny web server that says exactly the bytes it is told to, and remembers what it was asked.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, crypto};

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) tls: bool,
    pub(super) method: String,
    /// The path with its query.
    pub(super) path: String,
    /// The `Host` header and the path.
    pub(super) target: String,
    /// Lower-case names.
    pub(super) headers: Vec<(String, String)>,
    pub(super) at: Instant,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }
}

/// What is answered: bytes, and what comes after them.
pub(super) struct Reply {
    head: String,
    body: Vec<u8>,
    hang: bool,
    delay: Duration,
}

impl Reply {
    /// Just these headers, one a line, and this body; then the connection is closed.
    pub(super) fn raw(status: u16, headers: &str, body: impl Into<Vec<u8>>) -> Self {
        let lines: String = headers.lines().map(|line| format!("{}\r\n", line.trim())).collect();
        let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n{lines}\r\n");
        Self { head, body: body.into(), hang: false, delay: Duration::ZERO }
    }

    pub(super) fn ok(body: &str) -> Self {
        Self::status(200, "", body)
    }

    pub(super) fn status(status: u16, headers: &str, body: &str) -> Self {
        Self::raw(status, &format!("content-length: {}\n{headers}", body.len()), body)
    }

    pub(super) fn redirect(location: &str) -> Self {
        Self::status(302, &format!("location: {location}"), "")
    }

    /// Sends nothing more, but keeps the connection open.
    pub(super) fn then_hang(self) -> Self {
        Self { hang: true, ..self }
    }

    /// Takes its time before the first byte.
    pub(super) fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Closes the connection without a word.
    pub(super) fn hang_up() -> Self {
        Self { head: String::new(), body: Vec::new(), hang: false, delay: Duration::ZERO }
    }

    /// Says nothing at all.
    pub(super) fn silence() -> Self {
        Self { head: String::new(), body: Vec::new(), hang: true, delay: Duration::ZERO }
    }
}

/// The server, at a TLS address and a plain one.
pub(super) struct Web {
    pub(super) tls: SocketAddr,
    pub(super) plain: SocketAddr,
    /// The certificate of its CA, as PEM.
    pub(super) ca: tempfile::NamedTempFile,
    state: Arc<State>,
}

struct State {
    answer: Box<dyn Fn(&Asked) -> Reply + Send + Sync>,
    asked: Mutex<Vec<Asked>>,
    in_flight: AtomicU32,
    most: AtomicU32,
}

impl Web {
    /// Starts with a new CA. The certificate is for `*.example.org` and `www.example.net` only.
    pub(super) async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let (acceptor, pem) = certificates();
        let ca = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(ca.path(), pem).unwrap();
        let state = Arc::new(State {
            answer: Box::new(answer),
            asked: Mutex::default(),
            in_flight: AtomicU32::new(0),
            most: AtomicU32::new(0),
        });
        let tls = listen(Some(acceptor), &state).await;
        let plain = listen(None, &state).await;
        Self { tls, plain, ca, state }
    }

    /// Everything that was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().unwrap().clone()
    }

    /// The `Host` header and path of everything that was asked so far.
    pub(super) fn targets(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.target).collect()
    }

    /// The most requests that were being answered at once.
    pub(super) fn most(&self) -> u32 {
        self.state.most.load(Ordering::SeqCst)
    }
}

fn certificates() -> (TlsAcceptor, String) {
    let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut ca = CertificateParams::new(vec![]).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = ca.self_signed(&ca_key).unwrap().pem();
    let names = vec!["*.example.org".to_owned(), "www.example.net".to_owned()];
    let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), pem)
}

async fn listen(tls: Option<TlsAcceptor>, state: &Arc<State>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let state = Arc::clone(state);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (tls, state) = (tls.clone(), Arc::clone(&state));
            tokio::spawn(async move {
                // A client that hangs up early is part of what is tested.
                if let Some(tls) = tls {
                    let Ok(socket) = tls.accept(socket).await else { return };
                    answer(socket, true, &state).await.unwrap_or_default();
                } else {
                    answer(socket, false, &state).await.unwrap_or_default();
                }
            });
        }
    });
    address
}

async fn answer(
    mut socket: impl AsyncRead + AsyncWrite + Unpin,
    tls: bool,
    state: &State,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await?);
    }
    let asked = read(&String::from_utf8_lossy(&head), tls);
    state.most.fetch_max(state.in_flight.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    state.asked.lock().unwrap().push(asked.clone());
    let reply = (state.answer)(&asked);
    tokio::time::sleep(reply.delay).await;
    // Before the last bytes: the client may act on them at once.
    state.in_flight.fetch_sub(1, Ordering::SeqCst);
    socket.write_all(reply.head.as_bytes()).await?;
    socket.write_all(&reply.body).await?;
    socket.flush().await?;
    if reply.hang {
        // Until the client hangs up.
        socket.read_u8().await?;
    }
    socket.shutdown().await
}

fn read(head: &str, tls: bool) -> Asked {
    let mut lines = head.lines();
    let mut first = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let host = headers.iter().find(|(name, _)| name == "host").map_or("", |(_, host)| host);
    Asked { tls, target: format!("{host}{path}"), method, path, headers, at: Instant::now() }
}
