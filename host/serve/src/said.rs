//! What the server says when something is wrong, as people read it: approved in `messages.txt`.
//!
//! Must never be a part of the program: `cargo xtask check` finds texts that have no example here.

use gleaner_store::StoreError;
use http::StatusCode;

use crate::error::ServeError;
use crate::problem::Problem;

#[tokio::test(start_paused = true)]
async fn messages_are_as_they_were_read_and_approved() {
    let mut messages = gleaner_testing::Messages::new();
    let listen = ([0, 0, 0, 0], 8417).into();
    messages.error(&ServeError::Open { listen });
    messages.error(&ServeError::Weak { least: 16 });
    messages.error(&ServeError::Opened);
    messages.error(&ServeError::Listen { listen, source: std::io::Error::other("address in use") });
    messages.error(&ServeError::Random { detail: "no such device".into() });
    let closed = StoreError::Closed { path: "library/library.db".into() };
    let mut problems = vec![
        Problem::value("state", "\"x\" is not a state; use queued, in_progress, done, skipped or error"),
        Problem::value("works", "it is empty; give at least one"),
        Problem::value("reset", "give it alone, or what to set"),
        Problem::value("the limit", "give concurrency, rate, burst or reset"),
        Problem::value("key", "planning is not limited"),
        Problem::value("works", "work 4: \"x\" is no identifier"),
        Problem::no_such_job("no job in library has \"99\" as its number, artifact id or identifier".into()),
        Problem::no_such_page("/nothing"),
        Problem::method(&http::Method::GET, "/do/pause"),
        Problem::body(StatusCode::PAYLOAD_TOO_LARGE, "length limit exceeded".into()),
        Problem::body(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "expected request with `Content-Type: application/json`".into(),
        ),
        Problem::body(StatusCode::BAD_REQUEST, "expected value at line 1 column 1".into()),
        closed.into(),
        crate::live::full(),
        crate::guard::tests::no_token(),
        crate::guard::tests::foreign_host(),
        crate::guard::tests::foreign_page(),
        crate::guard::tests::foreign_form(),
        crate::api::too_many(1001),
    ];
    problems.extend(crate::turn::tests::refused().await);
    for Problem { kind, title, status, detail, to_do } in problems {
        messages.text(&kind, format!("{status} {title}: {detail}; {to_do}"));
    }
    for text in [
        "the library does not answer within 2 s",
        "no resolver is loaded; see `gleaner plugin list`",
        "the library cannot be read; the log says why",
        "/readyz: library/library.db was closed",
        "an answer of the server failed: library/library.db was closed",
    ] {
        messages.text("an answer", text);
    }
    messages.assert_approved(env!("CARGO_MANIFEST_DIR"));
}
