//! Why a call ended without an answer, told from what wasmtime reports and what the accounts show.
//!
//! Must never decide from a message text: limits are told by the accounts, traps and exits by type.

use gleaner_model::reason::{Failure, FailureClass, Reason};
use gleaner_model::units::{ByteSize, Span};
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::guest::Guest;
use crate::text::tidy;

const MOST_DETAIL: usize = 800;
const MOST_WORDS: usize = 240;
const MOST_FRAMES: usize = 4;

/// The call was still running when its wall time had passed.
pub(crate) fn out_of_wall(guest: &Guest) -> Failure {
    let asked = guest.outbound.sent;
    let detail = format!("wall: no answer within {}, after {asked} requests", guest.wall_limit());
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

/// ` in a < b < c`: the innermost functions that have a name.
fn frames(error: &wasmtime::Error) -> String {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return String::new() };
    let names: Vec<String> = backtrace
        .frames()
        .iter()
        .filter_map(|frame| frame.symbols().first().and_then(|symbol| symbol.name()).or(frame.func_name()))
        .map(|name| tidy(name, 80))
        .filter(|name| !is_noise(name))
        .take(MOST_FRAMES)
        .collect();
    if names.is_empty() { String::new() } else { format!(" in {}", names.join(" < ")) }
}

/// The way from a panic or a failed allocation to the trap says nothing of its cause.
fn is_noise(name: &str) -> bool {
    const WAYS: [&str; 6] = ["std::", "core::panicking", "alloc::alloc", "rust_panic", "__rust", "abort"];
    WAYS.iter().any(|way| name.trim_start_matches('<').starts_with(way))
}

fn end_of(text: &str, most: usize) -> String {
    let from = (text.len().saturating_sub(most)..=text.len()).find(|&at| text.is_char_boundary(at));
    let end = &text[from.unwrap_or(0)..];
    if end.len() < text.len() { format!("...{}", tidy(end, most)) } else { tidy(end, most) }
}
