//! What cassettes say to people, as it was read and approved.
//!
//! Only a test.

use std::io;
use std::path::PathBuf;

use serde_json::json;

use crate::cassette::CassetteError;
use crate::verdict::Difference;

#[test]
fn messages_are_as_they_were_read_and_approved() {
    let mut messages = gleaner_testing::Messages::new();
    let path = || PathBuf::from("x.cassette.json");
    let away = || io::Error::from(io::ErrorKind::NotFound);
    messages.error(&CassetteError::Unreadable { path: path(), source: away() });
    messages.error(&CassetteError::Broken {
        path: path(),
        detail: "missing field `calls` at line 2 column 1".into(),
    });
    messages
        .error(&CassetteError::Broken { path: path(), detail: "it is larger than 67108864 bytes".into() });
    messages.error(&CassetteError::Broken {
        path: path(),
        detail: "it has no call, so nothing can be held to it".into(),
    });
    messages.error(&CassetteError::Format { path: path(), format: 9 });
    messages.error(&CassetteError::TooLarge);
    messages.error(&CassetteError::Unwritable { path: path(), source: away() });
    let difference =
        Difference { at: "candidates[0].url".into(), recorded: json!("https://a.org/1"), now: json!(null) };
    messages.text("a difference", difference.to_string());
    messages.text("what a guest is told", "GET https://a.org/ is not on the cassette");
    messages.assert_approved(env!("CARGO_MANIFEST_DIR"));
}
