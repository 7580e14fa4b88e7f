//! Mutated inputs: what a parser meets when a file was edited by hand, cut by a network, or made by an enemy.
//!
//! The seeds are good inputs. Each case takes one and changes it in a few places: pieces are lost, doubled, repeated
//! many times, taken from another seed, or replaced by what parsers stumble over. Must never judge a parser by time
//! alone: only a case that takes a minute counts as one that never ends.

use std::fmt::Debug;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestError, TestRunner};

/// How many mutations each parser gets.
pub const CASES: u32 = 10_000;

/// After this a case counts as one that never ends.
const ENDLESS: Duration = Duration::from_secs(60);

/// What parsers stumble over: ends of things, signs, numbers out of range, letters that change their length.
const TOKENS: [&str; 64] = [
    "",
    " ",
    "\t",
    "\n",
    "\r\n",
    "\0",
    "\u{1b}[2J",
    "\u{7f}",
    "\u{feff}",
    "\u{202e}",
    "\u{200d}",
    "\u{a0}",
    "é",
    "e\u{301}",
    "İ",
    "ß",
    "ﬁ",
    "😀",
    "\u{fffd}",
    "\u{10ffff}",
    "-",
    "-1",
    "+1",
    "0",
    "00",
    "1e999",
    "NaN",
    "0x10",
    "255",
    "256",
    "65536",
    "4294967296",
    "9223372036854775808",
    "18446744073709551616",
    "99999999999999999999999",
    "１",
    "/",
    "//",
    "../",
    "\\",
    ":",
    "::",
    ";",
    ",",
    ".",
    "..",
    "%",
    "%00",
    "%zz",
    "%2F",
    "#",
    "?",
    "&",
    "&#x110000;",
    "=",
    "@",
    "*",
    "\"",
    "'",
    "<",
    ">",
    "{",
    "}",
    "[",
];

/// One change of an input. Places are parts of its length, so that they fit whatever it has become.
#[derive(Debug, Clone)]
enum Edit {
    Replace { at: Index, length: usize, token: Index },
    Remove { at: Index, length: usize },
    End { at: Index },
    Begin { at: Index },
    Repeat { at: Index, length: usize, times: usize },
    Graft { at: Index, seed: Index, from: Index },
    Swap { at: Index, with: Index },
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = || any::<Index>();
    prop_oneof![
        6 => (at(), 0..8_usize, at()).prop_map(|(at, length, token)| Edit::Replace { at, length, token }),
        3 => (at(), 1..24_usize).prop_map(|(at, length)| Edit::Remove { at, length }),
        1 => at().prop_map(|at| Edit::End { at }),
        1 => at().prop_map(|at| Edit::Begin { at }),
        2 => (at(), 1..24_usize, 1..4_usize).prop_map(|(at, length, times)| Edit::Repeat { at, length, times }),
        1 => (at(), 1..8_usize, 64..600_usize).prop_map(|(at, length, times)| Edit::Repeat { at, length, times }),
        2 => (at(), at(), at()).prop_map(|(at, seed, from)| Edit::Graft { at, seed, from }),
        2 => (at(), at()).prop_map(|(at, with)| Edit::Swap { at, with }),
    ]
}

impl Edit {
    fn apply<T: Copy>(&self, input: &mut Vec<T>, seeds: &[Vec<T>], tokens: &[Vec<T>]) {
        // One place more than there are units: the end is a place too.
        let place = |at: &Index, input: &Vec<T>| at.index(input.len() + 1);
        let piece = |at: &Index, length: usize, input: &Vec<T>| {
            let start = place(at, input);
            start..(start + length).min(input.len())
        };
        match self {
            Self::Replace { at, length, token } => {
                let piece = piece(at, *length, input);
                input.splice(piece, token.get(tokens).iter().copied());
            }
            Self::Remove { at, length } => drop(input.drain(piece(at, *length, input))),
            Self::End { at } => input.truncate(place(at, input)),
            Self::Begin { at } => drop(input.drain(..place(at, input))),
            Self::Repeat { at, length, times } => {
                let piece = piece(at, *length, input);
                let more = input[piece.clone()].repeat(*times);
                input.splice(piece.start..piece.start, more);
            }
            Self::Graft { at, seed, from } => {
                let other = seed.get(seeds);
                input.truncate(place(at, input));
                input.extend_from_slice(&other[place(from, other)..]);
            }
            Self::Swap { at, with } if !input.is_empty() => {
                let (at, with) = (at.index(input.len()), with.index(input.len()));
                input.swap(at, with);
            }
            Self::Swap { .. } => {}
        }
    }
}

/// Mutations of units, be they characters or bytes. A few are seeds as they are.
fn mutations<T: Copy + Debug>(
    seeds: Vec<Vec<T>>,
    tokens: Vec<Vec<T>>,
) -> impl Strategy<Value = Vec<T>> + use<T> {
    let (seeds, tokens) = (Arc::new(seeds), Arc::new(tokens));
    (any::<Index>(), prop::collection::vec(edit(), 0..6)).prop_map(move |(seed, edits)| {
        let mut input = seed.get(&seeds).clone();
        for edit in edits {
            edit.apply(&mut input, &seeds, &tokens);
        }
        input
    })
}

/// Mutations of texts, for a property that takes something else along; else see [`each_mutation`].
pub fn mutated<S: AsRef<str>>(seeds: &[S]) -> impl Strategy<Value = String> + use<S> {
    let units = |text: &str| text.chars().collect::<Vec<_>>();
    let seeds = seeds.iter().map(|seed| units(seed.as_ref())).collect();
    mutations(seeds, TOKENS.map(units).to_vec()).prop_map(|units| units.into_iter().collect())
}

/// Mutations of bytes, as [`mutated`]. They need not be UTF-8.
pub fn mutated_bytes<S: AsRef<[u8]>>(seeds: &[S]) -> impl Strategy<Value = Vec<u8>> + use<S> {
    let mut tokens = TOKENS.map(|token| token.as_bytes().to_vec()).to_vec();
    tokens.extend([vec![0xff], vec![0x80], vec![0xc3], vec![0xed, 0xa0, 0x80], vec![0; 64], vec![0xff; 8]]);
    mutations(seeds.iter().map(|seed| seed.as_ref().to_vec()).collect(), tokens)
}

/// Calls `check` with [`CASES`] mutations of the seeds. A panic fails the test, with the least input that does it.
///
/// # Panics
/// When `check` does.
pub fn each_mutation<S: AsRef<str>>(seeds: &[S], check: impl Fn(&str)) {
    each(CASES, &mutated(seeds), |input| check(&input));
}

/// As [`each_mutation`], with so many mutations of bytes.
///
/// # Panics
/// When `check` does.
pub fn each_mutation_of_bytes<S: AsRef<[u8]>>(cases: u32, seeds: &[S], check: impl Fn(&[u8])) {
    each(cases, &mutated_bytes(seeds), |input| check(&input));
}

#[expect(clippy::panic, reason = "this is how a test fails")]
fn each<T: Clone + Debug + Send>(cases: u32, inputs: &impl Strategy<Value = T>, check: impl Fn(T)) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let current = &Mutex::new(None);
    let (ended, watched) = channel();
    let result = std::thread::scope(|scope| {
        scope.spawn(move || watch(&watched, current));
        let result = TestRunner::new(config).run(inputs, |input| {
            *current.lock().unwrap_or_else(PoisonError::into_inner) = Some(input.clone());
            check(input);
            // The watch ends when the sender is dropped, and not before.
            let _ = ended.send(());
            Ok(())
        });
        drop(ended);
        result
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, input)) => panic!("{why}\nwith the input {input:?}"),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

/// Ends the whole process, for nothing else ends a loop, once a case has taken too long.
fn watch<T: Debug>(ended: &std::sync::mpsc::Receiver<()>, current: &Mutex<Option<T>>) {
    loop {
        match ended.recv_timeout(ENDLESS) {
            Ok(()) => {}
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                let input = current.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = std::io::Write::write_fmt(
                    &mut std::io::stderr(),
                    format_args!("no end after {ENDLESS:?} with the input {input:?}\n"),
                );
                std::process::abort();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_parser_gets_ten_thousand_inputs_and_most_differ() {
        let (seen, count) = (RefCell::new(HashSet::new()), Cell::new(0));
        each_mutation(&["10.1000/x", "https://a.example/"], |input| {
            count.set(count.get() + 1);
            seen.borrow_mut().insert(input.to_owned());
        });
        assert_eq!(count.get(), CASES);
        assert!(seen.borrow().len() > 5000 && seen.borrow().contains("10.1000/x"), "{}", seen.borrow().len());
    }

    #[test]
    fn a_failure_names_the_least_input() {
        let run = || each_mutation_of_bytes(CASES, &[b"abcdef"], |input| assert!(!input.contains(&0xff)));
        let panic = std::panic::catch_unwind(run).unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.contains("with the input [") && message.contains("255"), "{message}");
    }
}
