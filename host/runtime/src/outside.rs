//! What comes from outside: ten thousand mutations of what guests say of themselves, answer, refuse and ask for, and of
//! what files begin with; and every error of this crate as people read it, approved in `messages.txt`. Whole components
//! are mutated in `tests/loading.rs`.

use std::path::PathBuf;
use std::time::Duration;

use gleaner_model::candidate::{Candidate, CandidateKind, CandidateUrl};
use gleaner_model::key::ResolverName;
use gleaner_model::reason::{Failure, FailureClass, Reason};
use gleaner_testing::{CASES, Messages, each_mutation, each_mutation_of_bytes};

use crate::answer::{Answer, AnswerCandidate, Description, Disposition, Refusal};
use crate::host::GuestHttpError;
use crate::inspect::{check_bytes, mismatch};
use crate::outbound::{Asked, checked};
use crate::private::Distrust;
use crate::sandbox::Sandbox;
use crate::text::tidy;
use crate::{LoadError, RuntimeError};

#[test]
fn a_mutated_description_is_refused_or_normalised() {
    let seed = r#"{"name":"unpaywall","version":"1.2.3-rc.1","summary":"Open copies","takes":["doi","doi:10.48550/","landing-page"],"hosts":["API.Example.org","bücher.example"],"settings":[["contact!","who asks"],["base-url","where"]],"most":200}"#;
    each_mutation(&[seed], |json| {
        let Ok(description) = serde_json::from_str::<Description>(json) else { return };
        let said = match description.check() {
            Ok(said) => said,
            Err(why) => return assert!(!why.is_empty() && why.len() < 1000, "{why}"),
        };
        assert!(!said.takes.is_empty() && said.takes.len() <= 32);
        for host in &said.hosts {
            assert!(host.is_ascii() && !host.contains(['*', '/', ':', '@', ' ']), "{host:?}");
            assert_eq!(*host, host.to_ascii_lowercase());
            assert!(host.parse::<std::net::IpAddr>().is_err(), "{host:?} is no name");
        }
        assert!(!said.summary.chars().any(char::is_control));
    });
}

/// An answer whose every part is a piece of this text: a candidate or an identifier a line, its fields between `|`.
fn answer(text: &str) -> Answer {
    let mut answer = Answer::default();
    for line in text.lines() {
        let fields: Vec<String> = line.split('|').map(str::to_owned).collect();
        let field = |index: usize| fields.get(index).cloned();
        match (fields.len(), field(0).unwrap_or_default()) {
            (2, first) => answer.discovered.push((first, field(1).unwrap_or_default())),
            (3, first) => answer.extra.push((first, field(1).unwrap_or_default())),
            (_, url) => answer.candidates.push(AnswerCandidate {
                url,
                kind: CandidateKind::File,
                media_type: field(1),
                version: field(2),
                license: field(3),
                host_type: field(4),
                confidence: field(5).and_then(|number| number.parse().ok()),
                extra: fields.chunks(2).map(|pair| (pair[0].clone(), pair[pair.len() - 1].clone())).collect(),
            }),
        }
    }
    answer
}

#[test]
fn a_mutated_answer_is_checked_part_by_part() {
    let seed = "https://a.example/1.pdf|application/pdf|published|cc-by|repository|0.9\n\
                http://user:pw@b.example/2|text/html|accepted||publisher|NaN\n\
                doi|10.1000/X\narxiv|1706.03762\nkey|value|\n\
                javascript:alert(1)|||||inf\n";
    let resolver = ResolverName::new("r").unwrap();
    each_mutation(&[seed], |text| {
        let kept = "https://kept.example/0.pdf|application/pdf|published|x|publisher|1\n";
        let (checked, extra) = answer(&format!("{kept}{text}")).check(&resolver);
        assert!(checked.candidates.len() <= 64 && checked.discovered.len() <= 32 && extra.len() <= 16);
        assert!(checked.complaints.len() <= 17, "{:?}", checked.complaints);
        assert!(checked.complaints.iter().all(|text| text.len() < 600 && !text.contains('\u{1b}')));
        let is_kept = |one: &Candidate| one.url.as_url().as_str() == "https://kept.example/0.pdf";
        assert!(checked.candidates.iter().any(is_kept), "a good candidate is kept");
        for one in &checked.candidates {
            assert!((0.0..=1.0).contains(&one.confidence));
            assert_eq!(CandidateUrl::parse(one.url.as_url().as_str()).as_ref(), Ok(&one.url));
        }
        assert!(checked.candidates.is_sorted_by(|a, b| a.compare(b).is_le()));
    });
}

#[test]
fn a_mutated_refusal_is_a_failure_that_people_can_read() {
    let seeds = ["http-status|503|what happened\n|86400001", "rate-limited|429||7000", "denied||no grant|"];
    each_mutation(&seeds, |text| {
        let fields: Vec<&str> = text.split('|').collect();
        let field = |index: usize| fields.get(index).copied().unwrap_or_default();
        for disposition in [Disposition::Retry, Disposition::RateLimited, Disposition::GiveUp] {
            let failure = Refusal {
                disposition,
                code: field(0).into(),
                message: field(2).into(),
                retry_after_ms: field(3).parse().ok(),
                status: field(1).parse().ok(),
            };
            let failure = failure.check();
            assert!(failure.detail.len() < 1200 && !failure.detail.chars().any(char::is_control));
            let day = Duration::from_secs(86_400);
            match failure.class {
                FailureClass::Throttled { retry_after } => assert!(retry_after <= day),
                FailureClass::Transient { retry_after } => {
                    assert!(retry_after.is_none_or(|wait| wait <= day))
                }
                _ => {}
            }
        }
    });
}

#[test]
fn a_mutated_request_is_refused_or_well_formed() {
    let seeds = [
        "GET\nhttps://a.example/x?q=1\naccept: text/html\nx-key: a\n\n",
        "POST\nhttp://[2001:db8::1]:8080/\ncontent-type: application/json\n\n{}",
        "HEAD\nhttps://u:p@a.example/\nHost: b.example\ncookie: a=b\r\nx: y\n\n",
    ];
    each_mutation(&seeds, |text| {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.split('\n');
        let mut line = || lines.next().unwrap_or_default().to_owned();
        let (method, url) = (line(), line());
        let headers =
            lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_owned(), v.to_owned()));
        let body = (!body.is_empty()).then(|| body.as_bytes().to_vec());
        let asked = Asked { method, url, headers: headers.collect(), body, ..Asked::default() };
        match checked(asked, Duration::from_secs(60)) {
            Ok(request) => {
                assert!(request.url.username().is_empty() && request.url.has_host());
                for (name, value) in &request.headers {
                    assert!(!name.is_empty() && !name.eq_ignore_ascii_case("host"));
                    assert!(!format!("{name}{value}").contains(['\r', '\n', '\0']));
                }
            }
            Err(rule) => assert!(rule.len() < 1000 && !rule.contains('\u{1b}'), "{rule:?}"),
        }
    });
}

#[test]
fn mutated_beginnings_are_named_for_what_they_are() {
    let seeds: [&[u8]; 5] = [
        b"\0asm\x0d\0\x01\0\0\x03abc\x01\x80\x80\x80\x80\x08",
        b"\0asm\x01\0\0\0\x00\x02ab",
        b"<!doctype html><title>x</title>",
        b"\x7fELF\x02\x01\x01\0(component)",
        b"",
    ];
    each_mutation_of_bytes(CASES, &seeds, |bytes| {
        if let Err(error) = check_bytes(bytes) {
            assert!(matches!(error, LoadError::NotAComponent { .. }));
        }
    });
}

#[test]
fn mutated_sandboxes_are_refused_or_have_limits() {
    let seed = r#"{"memory":"64MiB","cpu":"2s","wall":"60s","requests":32,"bytes":"64MiB","log-lines":100}"#;
    each_mutation(&[seed], |json| {
        let Ok(sandbox) = serde_json::from_str::<Sandbox>(json) else { return };
        let again = serde_json::to_string(&sandbox).unwrap();
        assert_eq!(serde_json::from_str::<Sandbox>(&again).unwrap(), sandbox);
    });
}

#[test]
fn text_of_guests_cannot_move_the_cursor() {
    each_mutation(&[" a\x1b[2Jb\nc ", "aéé\u{9b}0m", "x\u{202e}y"], |text| {
        for most in [0, 1, 3, 40] {
            let tidied = tidy(text, most);
            assert!(tidied.len() <= most + 3 && !tidied.chars().any(char::is_control), "{tidied:?}");
        }
    });
}

fn loading(messages: &mut Messages) {
    for bytes in [
        &b""[..],
        b"\0asm\x01\0\0\0",
        b"\0asm\x0c\0\x01\0",
        b"\0asm\x0d\0\x01\0\0\x80\x01abc",
        b"(component)",
        b"<!doctype html>",
        b"#!/bin/sh",
    ] {
        messages.error(&check_bytes(bytes).unwrap_err());
    }
    let ours = "0.1.0";
    for error in [
        LoadError::NotAComponent {
            what: "precompiled native code (.cwasm), which is never loaded because it could do anything"
                .into(),
            todo: "give the .wasm file; compiled code is cached by itself",
        },
        LoadError::Read(std::io::Error::other("permission denied")),
        LoadError::NotAFile,
        LoadError::TooLarge { size: 70 << 20, most: 64 << 20 },
        LoadError::OtherWorld { exports: "wasi:cli/run@0.2.0".into() },
        LoadError::OtherVersion {
            package: "gleaner:resolver",
            theirs: "0.3.0".into(),
            ours,
            todo: "update gleaner",
        },
        LoadError::OtherVersion {
            package: "gleaner:resolver-batch",
            theirs: "0.0.9".into(),
            ours,
            todo: "get a newer plugin, or rebuild it",
        },
        LoadError::UnknownImports {
            imports: vec!["wasi:http/types@0.3.0".into(), "evil:corp/api".into()],
            ours,
        },
        LoadError::Mismatch { ours, cause: "expected a list, found a string".into() },
        mismatch(
            "component imports instance `gleaner:resolver/clock@0.1.0`, but a matching implementation was not found in the linker: instance export `later` has the wrong type",
            "0.1.0",
        ),
        mismatch("component imports instance `gleaner:resolver/clock@0.1.7`", "0.1.7"),
        LoadError::Compile("unexpected end-of-file (at offset 0x1f)".into()),
        LoadError::Compile(
            "module table does not fit into a call: defined tables count of 70 exceeds the per-instance limit of 1".into(),
        ),
        LoadError::Describe(Failure::permanent(Reason::PluginTrap, "unreachable in describe")),
        LoadError::Duplicate { name: "arxiv".into(), other: PathBuf::from("plugins/arxiv.wasm") },
        LoadError::Unsettled,
        LoadError::Host("the thread that compiles panicked".into()),
    ] {
        messages.error(&error);
    }
    let good = Description {
        name: "r".into(),
        version: "1.0.0".into(),
        takes: vec!["doi".into()],
        ..Description::default()
    };
    let strings = |text: &str, count: usize| vec![text.to_owned(); count];
    for wrong in [
        Description { name: "No Such".into(), ..good.clone() },
        Description { version: "1.0".into(), ..good.clone() },
        Description { takes: Vec::new(), ..good.clone() },
        Description { takes: strings("d!oi", 1), ..good.clone() },
        Description { hosts: strings("a.example", 65), ..good.clone() },
        Description { hosts: strings("*.example.org", 1), ..good.clone() },
        Description { settings: vec![("Two Words".into(), String::new())], ..good.clone() },
        Description { most: Some(0), ..good.clone() },
    ] {
        messages.error(&LoadError::Info(wrong.check().unwrap_err()));
    }
}

fn requests(messages: &mut Messages) {
    let header = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let get = || Asked { method: "GET".into(), url: "https://a.example/".into(), ..Asked::default() };
    for asked in [
        Asked { method: "PUT".into(), ..get() },
        Asked { url: "/relative".into(), ..get() },
        Asked { body: Some(vec![1]), ..get() },
        Asked { headers: header("x y", "a"), ..get() },
        Asked { headers: header("x", "a\nb"), ..get() },
        Asked { headers: header("cookie", "a=b"), ..get() },
        Asked { headers: header("x", &"a".repeat(20_000)), ..get() },
    ] {
        messages.error(&GuestHttpError::Denied(checked(asked, Duration::ZERO).unwrap_err()));
    }
    for rule in [
        "17 requests at once; at most 16 are sent",
        "a call of this resolver may send 32 requests",
        "the bodies of a call of this resolver may have 64MiB together",
        "nothing is sent while a plugin describes itself",
    ] {
        messages.error(&GuestHttpError::Denied(rule.into()));
    }
    for error in [
        GuestHttpError::Timeout,
        GuestHttpError::TooLarge(16 << 20),
        GuestHttpError::RateLimited(Some(7000)),
        GuestHttpError::Transport("connection reset by peer".into()),
        GuestHttpError::Transport("the request's body was not finished: HTTP protocol error".into()),
    ] {
        messages.error(&error);
    }
}

#[test]
fn messages_are_as_they_were_read_and_approved() {
    let mut messages = Messages::new();
    for distrust in [
        Distrust::Io(std::io::Error::other("permission denied")),
        Distrust::Link,
        Distrust::NotADirectory,
        Distrust::Owner { path: "/srv/cache".into(), owner: 1000 },
        Distrust::Writable,
        Distrust::WritableAbove { path: "/srv".into() },
    ] {
        messages.error(&distrust);
    }
    messages.error(&RuntimeError::Engine("its clock thread does not start: out of threads".into()));
    loading(&mut messages);
    requests(&mut messages);
    // Calls that end without an answer are brought about with real guests in `failure` and `tests/hostile.rs`.
    for detail in [
        "wall: no answer within 1m, after 0 requests",
        "cpu: computed longer than 2s in spin",
        "memory: wanted 65MiB, may have 64MiB in grow",
        "memory: wanted a table of 110000 elements, may have 100000 in resolve",
        "exited with code 0 instead of answering",
        "unreachable in resolve; last words: no such key",
        "unreachable in function 12 at 0x3f1 < function 40 at 0x9a2",
        "wasi:http: denied: a call of this resolver may send 32 requests",
        "900 further lines dropped: a call may log 100",
    ] {
        messages.text("a call", detail);
    }
    let resolver = ResolverName::new("r").unwrap();
    let many = "https://a.example/\n".repeat(65) + &"k|v|\n".repeat(17) + &"pmid|x\n".repeat(33);
    let (checked, _) = answer(&many).check(&resolver);
    checked.complaints.iter().for_each(|said| messages.text("an answer", said));
    for text in [
        "a plugin's description was not cached",
        "a compiled plugin was not cached",
        "a compiled plugin cannot be used and is compiled again: Module was compiled with incompatible version \"47\"",
        "compiled plugins are not cached in /srv/cache, and starting takes longer: it is a symbolic link; name the directory that it leads to",
        "no pool of instances on this machine; memory is mapped for each call",
    ] {
        messages.text("log", text);
    }
    messages.assert_approved(env!("CARGO_MANIFEST_DIR"));
}
