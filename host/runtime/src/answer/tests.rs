//! Answers as hostile guests give them.

use super::*;

fn candidate(url: &str) -> AnswerCandidate {
    AnswerCandidate {
        url: url.into(),
        kind: CandidateKind::File,
        media_type: None,
        version: None,
        license: None,
        host_type: None,
        confidence: None,
        extra: vec![("page".into(), "3".into()), ("big".into(), "x".repeat(4096))],
    }
}

fn name() -> ResolverName {
    ResolverName::new("r").unwrap()
}

#[test]
fn what_is_wrong_is_dropped_and_the_rest_counts() {
    let answer = Answer {
        candidates: vec![
            candidate("javascript:alert(1)"),
            AnswerCandidate {
                version: Some("published".into()),
                host_type: Some("spaceship".into()),
                license: Some(format!("cc\x1b-by{}", "x".repeat(500))),
                confidence: Some(f32::NAN),
                ..candidate("https://a.example/2")
            },
            AnswerCandidate { version: Some("final".into()), ..candidate("https://a.example/1") },
        ],
        discovered: vec![
            ("doi".into(), "https://doi.org/10.1000/X".into()),
            ("doi".into(), "nonsense".into()),
            ("no scheme!".into(), "x".into()),
        ],
        extra: vec![("k".into(), "v".into()), ("big".into(), "x".repeat(4096)), ("k".into(), "w".into())],
    };
    let (checked, extra) = answer.check(&name());
    assert_eq!(extra, [("k".to_owned(), "v".to_owned())]);
    assert_eq!(checked.candidates[0].extra, [("page".to_owned(), "3".to_owned())]);
    let urls: Vec<_> = checked.candidates.iter().map(|c| c.url.as_url().as_str()).collect();
    assert_eq!(urls, ["https://a.example/2", "https://a.example/1"]);
    let (first, second) = (&checked.candidates[0], &checked.candidates[1]);
    assert_eq!((first.version, first.host_type, first.confidence), (Some(Version::Published), None, 0.5));
    assert!(first.license.as_ref().unwrap().len() < 140 && !first.license.as_ref().unwrap().contains('\x1b'));
    assert_eq!(second.version, None);
    assert_eq!(checked.discovered.iter().map(ToString::to_string).collect::<Vec<_>>(), ["doi:10.1000/x"]);
    assert_eq!(checked.complaints.len(), 4, "{:?}", checked.complaints);
    assert!(checked.complaints[1].contains("javascript:alert(1)"));
}

#[test]
fn too_much_is_cut_and_the_complaints_too() {
    let answer = Answer {
        candidates: (0..5000).map(|n| candidate(&format!("bad-{n}"))).collect(),
        discovered: (1..5000).map(|n| ("pmid".to_owned(), n.to_string())).collect(),
        extra: vec![("k".into(), "v".into()); 5000],
    };
    let (checked, extra) = answer.check(&name());
    assert_eq!(extra.len(), MOST_EXTRA);
    assert_eq!((checked.candidates.len(), checked.discovered.len()), (0, MOST_DISCOVERED));
    assert_eq!(checked.complaints.len(), MOST_COMPLAINTS + 1);
    assert!(checked.complaints[0].starts_with("5000 candidates"));
    assert_eq!(checked.complaints[MOST_COMPLAINTS], "and 51 more");
}

#[test]
fn the_disposition_decides_and_the_status_names_the_reason() {
    let refusal = |disposition, code: &str, status| {
        let message = "what happened".to_owned();
        Refusal { disposition, code: code.into(), message, retry_after_ms: None, status }.check()
    };
    for (failure, reason, class) in [
        (
            refusal(Disposition::Retry, "http-status", Some(503)),
            Reason::HttpStatus,
            FailureClass::Transient { retry_after: None },
        ),
        (
            refusal(Disposition::Retry, "timeout", None),
            Reason::Timeout,
            FailureClass::Transient { retry_after: None },
        ),
        (
            refusal(Disposition::Retry, "bad-json", None),
            Reason::PluginContract,
            FailureClass::Transient { retry_after: None },
        ),
        (
            refusal(Disposition::RateLimited, "rate-limited", Some(429)),
            Reason::RateLimited,
            FailureClass::Throttled { retry_after: Duration::from_secs(60) },
        ),
        (refusal(Disposition::GiveUp, "x", Some(404)), Reason::NotFound, FailureClass::Permanent),
        (
            refusal(Disposition::GiveUp, "missing-setting", None),
            Reason::InvalidInput,
            FailureClass::Permanent,
        ),
        (refusal(Disposition::GiveUp, "denied", None), Reason::Denied, FailureClass::Denied),
    ] {
        assert_eq!((failure.reason, failure.class), (reason, class), "{}", failure.detail);
        assert!(failure.detail.contains("what happened"));
    }
    let detail = refusal(Disposition::Retry, "http-status", Some(503)).detail;
    assert_eq!(detail, "503 (http-status): what happened");
}

#[test]
fn nobody_waits_for_ever() {
    let wait = |disposition| {
        let (code, message) = (String::new(), "x".repeat(1 << 20));
        Refusal { disposition, code, message, retry_after_ms: Some(u64::MAX), status: None }.check()
    };
    assert_eq!(wait(Disposition::RateLimited).class, FailureClass::Throttled { retry_after: LONGEST_WAIT });
    let failure = wait(Disposition::Retry);
    assert_eq!(failure.class, FailureClass::Transient { retry_after: Some(LONGEST_WAIT) });
    assert!(failure.detail.len() < 2048);
}
