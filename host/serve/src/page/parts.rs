//! What pages show alike: numbers, times, states, bars.
//!
//! Must never look anything up.

use std::time::Duration;

use gleaner_model::clock::UnixMillis;
use gleaner_model::job::JobState;
use gleaner_model::units::Span;
use maud::{Markup, html};

use crate::site::Site;

/// `1 234 567`, with spaces that do not break.
pub(super) fn number(count: u64) -> String {
    let digits = count.to_string();
    let first = digits.len() % 3;
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && place % 3 == first {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// `1 work`, `1 234 works`.
pub(super) fn works(count: u64) -> String {
    if count == 1 { "1 work".to_owned() } else { format!("{} works", number(count)) }
}

/// Bytes for people: `12.3 MiB`.
pub(super) fn bytes(size: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut amount = size as f64;
    let mut unit = "bytes";
    for larger in UNITS {
        if amount < 1024.0 {
            break;
        }
        amount /= 1024.0;
        unit = larger;
    }
    if unit == "bytes" { format!("{size} bytes") } else { format!("{amount:.1} {unit}") }
}

/// A time as the API gives it, to the second.
pub(super) fn time(at: &str) -> Markup {
    let shown = at.get(..19).map_or_else(|| at.to_owned(), |text| text.replace('T', " "));
    html! { time datetime=(at) { (shown) "\u{202f}Z" } }
}

/// A time that is to come, with how long until then.
pub(super) fn countdown(site: &Site, until: UnixMillis) -> Markup {
    let left = site.clock.now().until(until);
    html! { span data-until=(until) { "in " (rounded(left)) } }
}

/// A duration in its largest unit or two.
pub(super) fn rounded(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds.div_ceil(60)),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// Milliseconds for people.
pub(super) fn took(ms: u64) -> String {
    if ms < 1000 { format!("{ms} ms") } else { Span(Duration::from_millis(ms)).to_string() }
}

/// The word of a state.
pub(super) fn state(state: JobState) -> Markup {
    html! { span class={ "state " (state) } { (state_word(state)) } }
}

pub(super) fn state_word(state: JobState) -> &'static str {
    match state {
        JobState::Queued => "queued",
        JobState::InProgress => "in progress",
        JobState::Done => "done",
        JobState::Skipped => "skipped",
        JobState::Error => "error",
    }
}

/// A bar of so much of the most; its number stands beside it.
pub(super) fn bar(value: u64, most: u64, class: &str) -> Markup {
    let width = if most == 0 { 0.0 } else { value as f64 * 100.0 / most as f64 };
    html! {
        svg.bar width="100%" height="10" aria-hidden="true" focusable="false" {
            rect.rail width="100%" height="10" rx="3" {}
            rect class=(class) width={ (format!("{width:.2}")) "%" } height="10" rx="3" {}
        }
    }
}

/// What a form of this server carries.
pub(super) fn token(site: &Site) -> Markup {
    html! { input type="hidden" name="form_token" value=(site.access.form_token()); }
}

/// One segment of a path or a value of a query.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_at_a_glance() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(number),
            ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]
        );
        assert_eq!([0, 1, 1000].map(works), ["0 works", "1 work", "1\u{202f}000 works"]);
        assert_eq!([0, 1023, 1536, 5 << 30].map(bytes), ["0 bytes", "1023 bytes", "1.5 KiB", "5.0 GiB"]);
        let spans = [5, 61, 3700, 90_000].map(|seconds| rounded(Duration::from_secs(seconds)));
        assert_eq!(spans, ["5 s", "2 min", "1 h 1 min", "1 d 1 h"]);
        assert_eq!(encoded("doi:10.1/ä"), "doi%3A10.1%2F%C3%A4");
    }
}
