//! What no resolver may do, each in its own way. The host must end or ignore every one of them; nothing here may
//! end by itself, except where it says so.

use gleaner_sdk::{Candidate, CandidateKind, Host, Level, Resolution};
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

/// Spends CPU time.
pub(crate) fn spin() -> ! {
    loop {
        black_box(());
    }
}

/// Spends stack. Ends only at a depth that no stack has.
pub(crate) fn recurse(depth: u64) -> u64 {
    if black_box(depth) == u64::MAX { depth } else { recurse(depth + 1).wrapping_add(black_box(depth)) }
}

/// Spends memory, and touches every page of it.
pub(crate) fn allocate() -> ! {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// Keeps so many megabytes for good, touched. Ends.
pub(crate) fn hoard(megabytes: usize) -> usize {
    Vec::leak(black_box(vec![1_u8; megabytes << 20])).len()
}

/// Computes for so many milliseconds of the host's time. Ends, if that goes on.
pub(crate) fn busy(host: &impl Host, milliseconds: u64) -> u64 {
    let end = host.now_ms() + milliseconds;
    while host.now_ms() < end {
        (0..1000).for_each(|round| _ = black_box(round));
    }
    milliseconds
}

/// How often this instance was called with this order. Ends.
pub(crate) fn count() -> u32 {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    CALLS.fetch_add(1, Ordering::Relaxed) + 1
}

/// Panics with a message that the operator should get to see.
#[expect(clippy::panic, reason = "it is what this guest is for")]
pub(crate) fn panic() -> ! {
    panic!("hostile panicked as ordered")
}

/// Logs in lines that are longer than allowed.
pub(crate) fn flood(host: &impl Host) -> ! {
    let line = "flood ".repeat(2000);
    loop {
        host.log(Level::Info, &line, &[("line", &line)]);
    }
}

/// Candidates of which only the last is any good. Ends.
pub(crate) fn garbage() -> Resolution {
    let urls = [
        "",
        "not a url",
        "file:///etc/passwd",
        "ftp://files.example.org/x.pdf",
        "javascript:alert(1)",
        "https://",
        "https://user:password@files.example.org/x.pdf",
        "http://127.0.0.1/x.pdf",
        "http://[::1]/x.pdf",
        "http://10.0.0.1/x.pdf",
        "http://169.254.169.254/latest/meta-data",
        "http://0x7f000001/x.pdf",
        "https://files.example.org/a b<c>.pdf",
        "https://files.example.org/ok.pdf",
    ];
    Resolution { candidates: urls.map(candidate).to_vec(), ..Resolution::none() }
}

/// Far more candidates than a host keeps. Ends.
pub(crate) fn many(count: u32) -> Resolution {
    let candidates = (0..count).map(|n| candidate(&format!("https://files.example.org/{n}.pdf")));
    Resolution { candidates: candidates.collect(), ..Resolution::none() }
}

/// Past the constructors, which would refuse such URLs.
pub(crate) fn candidate(url: &str) -> Candidate {
    Candidate {
        url: url.to_owned(),
        kind: CandidateKind::File,
        media_type: Some("no/media type".to_owned()),
        version: Some("final-final".to_owned()),
        license: None,
        host_type: Some("basement".to_owned()),
        confidence: Some(f32::INFINITY),
        extra: Vec::new(),
    }
}
