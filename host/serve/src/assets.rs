//! The style and the script of the pages: files of their own, so that nothing stands in a page.
//!
//! Must never be made at run time.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::problem::Problem;

/// Name, kind, text.
const FILES: [(&str, &str, &str); 3] = [
    ("gleaner.css", "text/css; charset=utf-8", include_str!("assets/gleaner.css")),
    ("gleaner.js", "text/javascript; charset=utf-8", include_str!("assets/gleaner.js")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
];

/// What tells one version of each from another.
static TAGS: LazyLock<[String; FILES.len()]> = LazyLock::new(|| {
    FILES.map(|(_, _, text)| {
        let digest: String = Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("\"{digest}\"")
    })
});

/// `GET /static/NAME`.
pub(crate) async fn file(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let found = FILES.iter().zip(TAGS.iter()).find(|((file, ..), _)| *file == name);
    let ((_, kind, text), tag) = found.ok_or_else(|| Problem::no_such_page(&format!("/static/{name}")))?;
    let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag.as_str());
    let status = if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let text = if is_known { "" } else { *text };
    let headers =
        [(header::CONTENT_TYPE, *kind), (header::ETAG, tag.as_str()), (header::CACHE_CONTROL, "no-cache")];
    Ok((status, headers, text).into_response())
}
