//! Every error of this crate as people read it; approved in `messages.txt`.

use std::str::FromStr;

use gleaner_testing::Messages;

use crate::artifact::{Artifact, from_json};
use crate::candidate::CandidateUrl;
use crate::clock::UnixMillis;
use crate::identifier::{Identifier, Scheme};
use crate::job::JobState;
use crate::key::{Key, ResolverName};
use crate::next::{Budgets, Next, Planner, Tier};
use crate::plan::{Fate, Plan, Step};
use crate::reason::Reason;
use crate::units::{ByteSize, Rate, Span};

/// What units say where a value is of another kind.
fn untexted<T: serde::de::DeserializeOwned>() -> String {
    serde_json::from_str::<T>("30").err().unwrap().to_string()
}

#[test]
fn messages_are_as_they_were_read_and_approved() {
    let mut messages = Messages::new();
    for text in [
        "",
        "nonsense",
        "9659853",
        "10/",
        "10.5555/",
        "10.5555/two words",
        "10.1000/x/",
        "10.1000/ä",
        "pmid:x",
        "pmcid:x",
        "arxiv:x",
        "openalex:x",
        "hal:x",
        "zenodo:x",
        "osf:x",
        "isbn:9780306406158",
        "https://nodot/x",
        "http://",
    ] {
        messages.error(&Identifier::parse(text).unwrap_err());
    }
    messages.error(&Identifier::new(Scheme::Doi, "nonsense").unwrap_err());
    messages.error(&Identifier::new(Scheme::Doi, "10.1000/").unwrap_err());
    messages.error(&Identifier::new(Scheme::Url, "ftp://a.example/x").unwrap_err());
    messages.error(&Identifier::new(Scheme::Url, "a.example/x").unwrap_err());
    messages.error(&Identifier::new(Scheme::from_name("shelf").unwrap(), "").unwrap_err());
    messages.error(&Scheme::from_name("no scheme").unwrap_err());
    for json in [
        r#"{"title":"A"}"#,
        r#"{"artifact_id":""}"#,
        r#"{"title":[]}"#,
        r#"{"doi":{}}"#,
        r#"{"doi":"10.1000/x","year":"soon"}"#,
        r#"{"doi":"10.1000/x","resolver_hint":"No Such"}"#,
    ] {
        let object: serde_json::Value = serde_json::from_str(json).unwrap();
        messages.error(&from_json(object.as_object().unwrap()).unwrap_err());
    }
    let long = format!("https://a.example/{}", "x".repeat(5000));
    for url in ["a.example/x", "ftp://a.example/x", "https://user@a.example/x", &long] {
        messages.error(&CandidateUrl::parse(url).unwrap_err());
    }
    messages.error(&ResolverName::new("No Such").unwrap_err());
    messages.error(&Key::parse("api.example.org").unwrap_err());
    messages.error(&Reason::from_str("bad").unwrap_err());
    messages.error(&JobState::from_str("lost").unwrap_err());
    messages.error(&Span::from_str("30").unwrap_err());
    messages.error(&ByteSize::from_str("64MB").unwrap_err());
    messages.error(&Rate::from_str("1 per 3 seconds").unwrap_err());
    messages.text("a duration that is a number", untexted::<Span>());
    messages.text("a size that is a number", untexted::<ByteSize>());
    messages.text("a rate that is a number", untexted::<Rate>());
    ends(&mut messages);
    #[cfg(debug_assertions)]
    {
        messages.error(&crate::fault::arm("nowhere:1", || std::process::abort()).unwrap_err());
        messages.error(&crate::fault::FaultError::Twice);
    }
    messages.assert_approved(env!("CARGO_MANIFEST_DIR"));
}

/// What is said of a job that ends without a file.
fn ends(messages: &mut Messages) {
    let tier = Tier { name: "all".into(), resolvers: Vec::new(), width: std::num::NonZeroU16::MIN };
    let one = std::num::NonZeroU32::MIN;
    let budgets = Budgets { attempts: one, time: std::time::Duration::from_secs(3600) };
    let planner = Planner::new(vec![tier], budgets, std::collections::BTreeMap::new());
    let (early, late) = (UnixMillis(0), UnixMillis(7_200_000));
    let mut said = |when: &str, plan: &str, hint: Option<&str>, now: UnixMillis| {
        let mut artifact = Artifact::of(Identifier::parse("10.1000/x").unwrap());
        artifact.resolver_hint = hint.map(str::to_owned);
        match planner.next(&Plan::from_json(plan).unwrap(), &artifact, now) {
            Next::End(result) => messages.text(when, result.detail()),
            other => panic!("{when}: {other:?}"),
        }
    };
    let page = r#"{"resolver":"r","url":"https://a.example/","kind":"landing-page","confidence":0.5,"fate":{"is":"open"}}"#;
    let asked = r#""asked":[{"resolver":"r","fate":{"is":"answered"}}]"#;
    let down = r#"{"asked":[{"resolver":"r","fate":{"is":"closed","reason":"timeout","detail":"why"}}]}"#;
    said("a job whose tries are used up", r#"{"tries":1}"#, None, early);
    said("a job whose time is used up", r#"{"started":0}"#, None, late);
    said("a job that nobody takes", "", None, early);
    said("a job for a resolver that is not there", "", Some("nix"), early);
    said("a job that nobody could help", &format!("{{{asked}}}"), None, early);
    said("a job with pages only", &format!("{{{asked},\"candidates\":[{page}]}}"), None, early);
    said("a job whose resolver failed", down, None, early);
    let closed = page
        .replace("landing-page", "file")
        .replace("\"confidence\"", "\"license\":\"closed\",\"confidence\"");
    let other = closed.replace("a.example", "b.example");
    said(
        "a job with a copy that is not open",
        &format!("{{{asked},\"candidates\":[{closed}]}}"),
        None,
        early,
    );
    said(
        "a job with copies that are not open",
        &format!("{{{asked},\"candidates\":[{closed},{other}]}}"),
        None,
        early,
    );
    let at = |url: &str| url::Url::parse(url).unwrap();
    let failed = closed
        .replace("{\"is\":\"open\"}", "{\"is\":\"closed\",\"reason\":\"not_found\",\"detail\":\"404\"}");
    let mut plan = Plan::from_json(&format!("{{\"candidates\":[{failed},{other}]}}")).unwrap();
    plan.close_with(&Step::Fetch(0), &[at("https://a.example/"), at("https://b.example/")]);
    match plan.fate(&Step::Fetch(1)) {
        Fate::Closed { detail, .. } => messages.text("a candidate that is one already tried", detail),
        open => panic!("{open:?}"),
    }
}
