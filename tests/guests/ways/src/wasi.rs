//! The way of libraries: `wasi:http`, called as they call it.
//!
//! Must never spare the host anything: what the interface lets a guest try is tried.

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    RequestOptions, Scheme,
};
use wasip2::io::streams::StreamError;

use crate::{Order, Outcome};

/// Starts as many requests as are wanted at once, then waits for each.
pub(crate) fn send_all(order: &Order) -> Vec<Outcome> {
    let started: Vec<_> = (0..order.at_once).map(|_| start(order)).collect();
    started.into_iter().map(|started| started.and_then(finish).unwrap_or_else(|refused| refused)).collect()
}

/// What the host does not even let be built counts as denied.
fn not_built(what: &str) -> Outcome {
    Outcome::refused("denied", format!("wasi:http takes no such {what}"))
}

fn start(order: &Order) -> Result<FutureIncomingResponse, Outcome> {
    let headers = Fields::new();
    for (name, value) in &order.headers {
        headers
            .append(name, value.as_bytes())
            .map_err(|why| not_built(&format!("header {name}: {why:?}")))?;
    }
    let request = OutgoingRequest::new(headers);
    let (scheme, rest) = order.url.split_once("://").unwrap_or(("", &order.url));
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    let method = match order.method.as_str() {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "CONNECT" => Method::Connect,
        other => Method::Other(other.to_owned()),
    };
    request.set_method(&method).map_err(|()| not_built("method"))?;
    request.set_scheme(Some(&scheme)).map_err(|()| not_built("scheme"))?;
    request.set_authority(Some(authority)).map_err(|()| not_built("authority"))?;
    request.set_path_with_query(Some(path)).map_err(|()| not_built("path"))?;
    let options = order.timeout_ms.map(options).transpose()?;
    let body = match order.body {
        Some(bytes) => Some((request.body().map_err(|()| not_built("body"))?, bytes)),
        None => None,
    };
    let started = handle(request, options).map_err(|code| refused(&code))?;
    if let Some((body, bytes)) = body {
        write(body, bytes);
    }
    Ok(started)
}

fn options(timeout_ms: u32) -> Result<RequestOptions, Outcome> {
    let options = RequestOptions::new();
    let nanoseconds = u64::from(timeout_ms) * 1_000_000;
    options.set_first_byte_timeout(Some(nanoseconds)).map_err(|()| not_built("timeout"))?;
    Ok(options)
}

/// Writes until the host has enough: what it makes of the request tells why.
fn write(body: OutgoingBody, bytes: usize) {
    let Ok(stream) = body.write() else { return };
    let mut left = bytes;
    while left > 0 {
        let piece = vec![b'x'; left.min(4096)];
        if stream.blocking_write_and_flush(&piece).is_err() {
            break;
        }
        left -= piece.len();
    }
    drop(stream);
    // A body that the host gave up on cannot be finished; the response says why it did.
    let _ = OutgoingBody::finish(body, None);
}

fn finish(started: FutureIncomingResponse) -> Result<Outcome, Outcome> {
    started.subscribe().block();
    match started.get() {
        Some(Ok(Ok(response))) => read(&response),
        Some(Ok(Err(code))) => Err(refused(&code)),
        Some(Err(())) | None => Err(Outcome::refused("transport", "the response was gone")),
    }
}

fn read(response: &IncomingResponse) -> Result<Outcome, Outcome> {
    let header = |name: &str| {
        let values = response.headers().get(name);
        values.first().map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
    };
    let (status, url, wait) = (response.status(), header("gleaner-url"), header("retry-after"));
    let mut length = 0;
    if let Ok(body) = response.consume() {
        let Ok(stream) = body.stream() else { return Err(Outcome::refused("transport", "no stream")) };
        loop {
            match stream.blocking_read(64 << 10) {
                Ok(piece) => length += piece.len(),
                Err(StreamError::Closed) => break,
                Err(StreamError::LastOperationFailed(why)) => {
                    return Err(Outcome::refused("transport", why.to_debug_string()));
                }
            }
        }
    }
    if status == 429 {
        return Err(Outcome { status, ..Outcome::refused("rate-limited", format!("{wait} s")) });
    }
    Ok(Outcome::answer(status, url, length))
}

fn refused(code: &ErrorCode) -> Outcome {
    match code {
        ErrorCode::HttpRequestDenied => Outcome::refused("denied", ""),
        ErrorCode::HttpResponseTimeout => Outcome::refused("timeout", ""),
        ErrorCode::HttpResponseBodySize(most) => {
            Outcome::refused("too-large", most.map_or_else(String::new, |most| most.to_string()))
        }
        ErrorCode::InternalError(Some(cause)) => Outcome::refused("transport", cause.clone()),
        other => Outcome::refused("transport", format!("{other:?}")),
    }
}
