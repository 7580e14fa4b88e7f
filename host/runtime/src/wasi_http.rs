//! `wasi:http` outgoing, the second way out: libraries that know nothing of Gleaner, such as a `fetch`, work with it.
//!
//! A request becomes the same [`GuestRequest`](crate::GuestRequest) as one of `gleaner:resolver/http`, and takes the same
//! way. Must never have a rule of its own, nor send anything by itself.
//!
//! What differs is only how an answer looks: redirects are followed by the host, which no `fetch` on `wasi:http` does
//! itself, and the header [`WHENCE`] says where they led; a source or a limit that asks to wait is a 429 with
//! `Retry-After`. A refusal is `HTTP-request-denied`, and its rule stands in the call's log.

use std::time::Duration;

use std::future::Future;

use http::header::{self, HeaderName, HeaderValue};
use http::uri::Scheme;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use wasmtime_wasi_http::{Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks};

use crate::host::{GuestHttpError, GuestResponse};
use crate::outbound::{Answer, Asked, Outbound};

/// The response header that names the URL that answered, after redirects.
const WHENCE: HeaderName = HeaderName::from_static("gleaner-url");

/// Headers that a guest cannot set: the connection's, and those that would speak for somebody else.
const FORBIDDEN: [HeaderName; 13] = [
    header::CONNECTION,
    header::COOKIE,
    header::EXPECT,
    header::HOST,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Headers that HTTP libraries set by themselves, and that the host sets anew.
const REPLACED: [HeaderName; 2] = [header::CONTENT_LENGTH, header::USER_AGENT];

/// A guest has as many unsent bodies as it has handles, and the host holds two pieces of each.
const MOST_PIECE: usize = 16 << 10;

type Sent = (Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl WasiHttpHooks for Outbound {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        FORBIDDEN.contains(name)
    }

    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        std::sync::Arc::new(|name| FORBIDDEN.contains(name))
    }

    /// Every scheme gets as far as the rule that refuses it, and says so.
    fn is_supported_scheme(&mut self, _: &Scheme) -> bool {
        true
    }

    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        MOST_PIECE
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        let outbound = self.clone();
        // Counted before anything waits: a guest may open as many as it likes.
        let seats = self.seats(1);
        Box::new(async move {
            let answer = match seats {
                Ok(_seats) => outbound.exchange(request, options).await,
                Err(refusal) => Err(refusal),
            };
            if let Err(GuestHttpError::Denied(rule)) = &answer {
                outbound.keep_refusal(rule);
            }
            let response = respond(answer)?;
            Ok((response, Box::new(std::future::ready(Ok(()))) as Box<_>))
        })
    }
}

impl Outbound {
    async fn exchange(&self, request: Request<WasiBody>, options: Option<RequestOptions>) -> Answer {
        let (parts, mut body) = request.into_parts();
        let mut sent = Vec::new();
        while let Some(frame) = body.frame().await {
            let unfinished =
                |error| GuestHttpError::Transport(format!("the request's body was not finished: {error}"));
            if let Ok(data) = frame.map_err(unfinished)?.into_data() {
                self.charge(data.len())?;
                sent.extend_from_slice(&data);
            }
        }
        let timeout = options.and_then(|options| options.first_byte_timeout);
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let own = parts.headers.iter().filter(|(name, _)| !REPLACED.contains(name));
        let asked = Asked {
            method: parts.method.to_string(),
            url: parts.uri.to_string(),
            headers: own.map(|(name, value)| (name.to_string(), text(value))).collect(),
            body: (!sent.is_empty()).then_some(sent),
            timeout_ms: timeout.map(|time| u32::try_from(time.as_millis()).unwrap_or(u32::MAX)),
            max_bytes: None,
        };
        self.pass_on(self.admit_charged(asked)?).await
    }
}

/// The answer in the words of `wasi:http`.
fn respond(answer: Answer) -> Result<Response<WasiBody>, Error> {
    match answer {
        Ok(answer) => Ok(response(answer)),
        Err(GuestHttpError::RateLimited(wait)) => {
            let seconds = wait.map(|ms| Duration::from_millis(ms).as_millis().div_ceil(1000).to_string());
            Ok(response(GuestResponse {
                status: StatusCode::TOO_MANY_REQUESTS.as_u16(),
                url: String::new(),
                headers: seconds.map(|text| (header::RETRY_AFTER.to_string(), text)).into_iter().collect(),
                body: Vec::new(),
                from_cache: false,
            }))
        }
        Err(GuestHttpError::Denied(_)) => Err(Error::HttpRequestDenied),
        Err(GuestHttpError::Timeout) => Err(Error::HttpResponseTimeout),
        Err(GuestHttpError::TooLarge(most)) => Err(Error::HttpResponseBodySize(Some(most))),
        Err(GuestHttpError::Transport(cause)) => Err(Error::InternalError(Some(cause))),
    }
}

fn response(answer: GuestResponse) -> Response<WasiBody> {
    let mut headers = HeaderMap::new();
    for (name, value) in &answer.headers {
        // They were headers before; what is none any more after a lossy conversion is left out.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    headers.remove(WHENCE);
    if let (false, Ok(url)) = (answer.url.is_empty(), HeaderValue::try_from(&answer.url)) {
        headers.insert(WHENCE, url);
    }
    let body = Full::new(answer.body.into()).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    *response.headers_mut() = headers;
    response
}
