//! The listeners: accept, TLS, HTTP/1.1 or HTTP/2, one answer per request.
//!
//! Must never end for what a client does: a broken connection is that client's affair.

use std::convert::Infallible;
use std::sync::{Arc, RwLock};

use anyhow::Result;
use http_body_util::{BodyExt, Limited};
use hyper::header::{AUTHORIZATION, HOST, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE, USER_AGENT};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, body};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use url::Url;

use super::body::{Body, Rest, no_body, respond};
use super::record::{Recorder, Seen};
use super::reply::Reply;
use super::world::World;

/// The largest body of a request that is read.
const MOST_BODY: usize = 1 << 20;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) world: RwLock<World>,
    pub(super) recorder: Recorder,
}

/// Accepts connections until the task is aborted, which cuts them all.
pub(super) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, tls.clone(), Arc::clone(&shared)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// How a connection was made, which its requests have to agree with.
#[derive(Debug, Clone)]
struct Origin {
    scheme: &'static str,
    server_name: Option<String>,
}

/// Errors are dropped by the caller: they tell what a client did to its own connection.
async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Arc<Shared>) -> Result<()> {
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        return http(stream, Origin { scheme: "http", server_name: None }, shared).await;
    };
    let stream = tls.accept(stream).await?;
    let server_name = stream.get_ref().1.server_name().map(str::to_owned);
    http(stream, Origin { scheme: "https", server_name }, shared).await
}

async fn http<S>(stream: S, origin: Origin, shared: Arc<Shared>) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let (origin, shared) = (origin.clone(), Arc::clone(&shared));
        async move { answer(request, &origin, &shared).await }
    });
    let served =
        auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
    served.map_err(anyhow::Error::from_boxed)
}

async fn answer(
    request: Request<body::Incoming>,
    origin: &Origin,
    shared: &Shared,
) -> Result<Response<Body>, Infallible> {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let authority = authority.or_else(|| header(&request, HOST)).unwrap_or_default();
    let Ok(url) = Url::parse(&format!("{}://{authority}{target}", origin.scheme)) else {
        let in_flight = shared.recorder.begin(authority, |at| seen(at, &request, origin, target));
        return respond(&Reply::error(400), "", None, in_flight);
    };
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let in_flight = shared.recorder.begin(host, |at| seen(at, &request, origin, target));
    if origin.server_name.as_deref().is_some_and(|name| Some(name) != url.host_str()) {
        return respond(&Reply::error(421), url.as_str(), None, in_flight);
    }
    let (request, body) = request.into_parts();
    // Whoever sends one is small; what cannot be read is none.
    let body = Limited::new(body, MOST_BODY).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let request = &Request::from_parts(request, ());
    let (delay, reply) = {
        let world = shared.world.read().expect("no thread panicked while it changed the world");
        world.answer(&url, header(request, AUTHORIZATION), &body)
    };
    if reply.is_api {
        in_flight.is_call();
    }
    let reply = reply.unless_current(header(request, IF_NONE_MATCH), header(request, IF_MODIFIED_SINCE));
    tokio::time::sleep(delay).await;
    if let Some(barrier) = &reply.barrier {
        barrier.passed().await;
    }
    let rest = Rest::asked(header(request, RANGE), header(request, IF_RANGE));
    let response = respond(&reply, url.as_str(), rest, in_flight)?;
    // With HTTP/2 hyper would send it after HEAD too, which breaks the connection.
    let has_body = request.method() != Method::HEAD;
    Ok(if has_body { response } else { response.map(|_| no_body()) })
}

fn seen(at: std::time::Duration, request: &Request<body::Incoming>, origin: &Origin, target: &str) -> Seen {
    Seen {
        at,
        method: request.method().to_string(),
        scheme: origin.scheme,
        version: format!("{:?}", request.version()),
        target: target.to_owned(),
        user_agent: header(request, USER_AGENT).map(str::to_owned),
        headers: request
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
    }
}

fn header<B>(request: &Request<B>, name: hyper::header::HeaderName) -> Option<&str> {
    request.headers().get(name)?.to_str().ok()
}
