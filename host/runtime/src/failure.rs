//! Why a call ended without an answer, told from what wasmtime reports and what the accounts show.
//!
//! Must never decide from a message text: limits are told by the accounts, traps and exits by type.

use gleaner_model::reason::{Failure, FailureClass, Reason};
use gleaner_model::units::{ByteSize, Span};
use wasmtime::{FrameInfo, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::guest::Guest;
use crate::memory::MOST_TABLE_ELEMENTS;
use crate::text::tidy;

const MOST_DETAIL: usize = 800;
const MOST_WORDS: usize = 240;
const MOST_FRAMES: usize = 4;

/// The call was still running when its wall time had passed.
pub(crate) fn out_of_wall(guest: &Guest) -> Failure {
    let asked = guest.outbound.sent();
    let detail = format!("wall: no answer within {}, after {asked} requests", Span(guest.wall));
    fault(Reason::PluginTimeout, detail, guest)
}

/// The call ended with an error instead of an answer.
pub(crate) fn of_error(error: &wasmtime::Error, guest: &Guest) -> Failure {
    if guest.out_of_cpu {
        let detail = format!("cpu: computed longer than {}{}", Span(guest.sandbox.cpu.0), frames(error));
        return fault(Reason::PluginTimeout, detail, guest);
    }
    if let Some(wanted) = guest.memory.refused {
        let (wanted, most) = (ByteSize(wanted as u64), guest.sandbox.memory);
        let detail = format!("memory: wanted {wanted}, may have {most}{}", frames(error));
        return fault(Reason::PluginMemory, detail, guest);
    }
    if let Some(wanted) = guest.memory.refused_table {
        let most = MOST_TABLE_ELEMENTS;
        let detail = format!("memory: wanted a table of {wanted} elements, may have {most}{}", frames(error));
        return fault(Reason::PluginMemory, detail, guest);
    }
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        let detail = format!("exited with code {} instead of answering", exit.0);
        return fault(Reason::PluginContract, detail, guest);
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        let trap = trap.to_string();
        let trap = trap.strip_prefix("wasm trap: ").unwrap_or(&trap);
        return fault(Reason::PluginTrap, format!("{trap}{}", frames(error)), guest);
    }
    // What is left are answers and arguments that break the interface: text that is not UTF-8, pointers
    // outside of memory, more data or handles than may be handed over.
    fault(Reason::PluginContract, tidy(&causes(error), MOST_DETAIL / 2), guest)
}

fn fault(reason: Reason, what: String, guest: &Guest) -> Failure {
    let stderr = guest.stderr.text();
    let words = Some(stderr.trim()).filter(|text| !text.is_empty()).or_else(|| guest.log.last_words());
    let detail = match words {
        Some(words) => format!("{what}; last words: {}", end_of(words, MOST_WORDS)),
        None => what,
    };
    Failure { reason, detail: tidy(&detail, MOST_DETAIL), class: FailureClass::PluginFault }
}

/// The chain of causes without the backtrace, which is printed as one of them.
fn causes(error: &wasmtime::Error) -> String {
    let backtrace = error.downcast_ref::<WasmBacktrace>().map(ToString::to_string);
    let is_backtrace =
        |text: &String| backtrace.as_ref().is_some_and(|trace| text.contains(trace.trim_end()));
    let causes: Vec<_> = error.chain().map(ToString::to_string).filter(|text| !is_backtrace(text)).collect();
    causes.join(": ")
}

/// ` in a < b < c`: the innermost functions that have a name; a function that calls itself is named once. Where none
/// has one, their numbers and places in the module, which its author can look up.
fn frames(error: &wasmtime::Error) -> String {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return String::new() };
    let named = backtrace.frames().iter().filter_map(|frame| frame.func_name());
    let mut names: Vec<String> = named
        .map(|name| format!("{:#}", rustc_demangle::demangle(name)))
        .filter(|name| !is_noise(name))
        .map(|name| tidy(&name, 80))
        .collect();
    names.dedup();
    names.truncate(MOST_FRAMES);
    if names.is_empty() {
        let place = |frame: &FrameInfo| match frame.module_offset() {
            Some(offset) => format!("function {} at {offset:#x}", frame.func_index()),
            None => format!("function {}", frame.func_index()),
        };
        names = backtrace.frames().iter().take(MOST_FRAMES).map(place).collect();
    }
    if names.is_empty() { String::new() } else { format!(" in {}", names.join(" < ")) }
}

/// The way from a panic or a failed allocation to the trap says nothing of its cause, nor does the glue that generated
/// bindings put between the host's call and the resolver.
fn is_noise(name: &str) -> bool {
    const GLUE: [&str; 3] = ["::_export_", "<gleaner_sdk::bindings::", "gleaner:resolver/resolver@"];
    if GLUE.iter().any(|glue| name.contains(glue)) {
        return true;
    }
    const WAYS: [&str; 7] =
        ["std::", "core::panicking", "alloc::alloc", "alloc::raw_vec", "rust_panic", "__rust", "abort"];
    WAYS.iter().any(|way| name.trim_start_matches('<').starts_with(way))
}

fn end_of(text: &str, most: usize) -> String {
    let from = (text.len().saturating_sub(most)..=text.len()).find(|&at| text.is_char_boundary(at));
    let end = &text[from.unwrap_or(0)..];
    if end.len() < text.len() { format!("...{}", tidy(end, most)) } else { tidy(end, most) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use wasmtime::format_err;
    use wasmtime_wasi::cli::StdoutStream;

    use super::*;
    use crate::aside::{Doubts, Lane};
    use crate::load::Nothing;
    use crate::plugin::LogLevel;
    use crate::sandbox::Sandbox;

    fn guest() -> Guest {
        Guest::new(
            ("r", "job"),
            Arc::new(Nothing),
            Sandbox::default(),
            Duration::from_secs(60),
            Lane::new(Doubts::default()),
        )
    }

    #[tokio::test]
    async fn every_cause_has_its_reason() {
        for (error, reason, part) in [
            (format_err!(I32Exit(0)), Reason::PluginContract, "exited with code 0 instead of answering"),
            (format_err!(Trap::StackOverflow), Reason::PluginTrap, "call stack exhausted"),
            (format_err!("bad utf-8").context("lifting"), Reason::PluginContract, "lifting: bad utf-8"),
        ] {
            let failure = of_error(&error, &guest());
            assert_eq!((failure.reason, failure.class), (reason, FailureClass::PluginFault));
            assert_eq!(failure.detail, part);
        }
    }

    #[test]
    fn the_end_of_any_text_is_short_and_on_one_line() {
        let seed = format!("Traceback: é{}\nKeyError: 'x'\n", "😀".repeat(70));
        gleaner_testing::each_mutation(&[seed], |text| {
            let end = end_of(text, MOST_WORDS);
            assert!(end.len() <= MOST_WORDS + 6 && !end.chars().any(char::is_control), "{end:?}");
        });
    }

    #[tokio::test]
    async fn last_words_are_of_standard_error_before_the_log() {
        let mut guest = guest();
        guest.log.add(LogLevel::Error, "logged", &[]);
        guest.log.add(LogLevel::Info, "chatter", &[]);
        // The host's own warnings come after everything that the guest said.
        guest.log.add(LogLevel::Warn, "wasi:http: denied", &[]);
        let trap = format_err!(Trap::UnreachableCodeReached);
        assert!(of_error(&trap, &guest).detail.ends_with("; last words: logged"));
        let text = format!("{}\nTraceback: no such key\n", "x".repeat(3000));
        guest.stderr.p2_stream().write(text.into()).unwrap();
        let detail = of_error(&trap, &guest).detail;
        assert!(detail.ends_with("x Traceback: no such key") && detail.len() < 320, "{detail}");
    }

    #[tokio::test]
    async fn a_limit_that_was_reached_counts_before_the_trap_it_caused() {
        let trap = format_err!(Trap::Interrupt);
        let mut hungry = guest();
        hungry.memory.refused = Some(65 << 20);
        let failure = of_error(&trap, &hungry);
        assert_eq!(failure.reason, Reason::PluginMemory);
        assert_eq!(failure.detail, "memory: wanted 65MiB, may have 64MiB");
        let mut busy = guest();
        busy.out_of_cpu = true;
        let failure = of_error(&trap, &busy);
        assert_eq!(
            (failure.reason, failure.detail.as_str()),
            (Reason::PluginTimeout, "cpu: computed longer than 2s")
        );
        assert_eq!(out_of_wall(&busy).detail, "wall: no answer within 1m, after 0 requests");
    }
}
