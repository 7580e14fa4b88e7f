//! Reading lists and JSON lines: one work a line, good lines kept, bad ones named with their line.
//!
//! Streams: a list of ten million lines needs no more memory than one of ten.

use std::fmt;
use std::io::{BufRead, Read};

use gleaner_desk::Wanted;
use serde_json::Value;

/// Longest line read, in bytes. A longer one is broken, and skipped without being held.
const MAX_LINE: usize = 1 << 20;

/// A line that names no work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadLine {
    /// From 1.
    pub(crate) line: u64,
    pub(crate) problem: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

/// How the lines of an input are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notation {
    /// An identifier a line; `#` begins a comment at the start of a line or after a space. A line that begins
    /// with `{` is a JSON object.
    List,
    /// A JSON object a line.
    Json,
}

/// Lines of an input, without what is no part of them.
pub(crate) struct Lines<R> {
    reader: R,
    line: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, line: 0, buffer: Vec::new() }
    }

    /// Reads the next line; false at the end.
    pub(crate) fn read(&mut self) -> std::io::Result<bool> {
        self.buffer.clear();
        let read = self.reader.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut self.buffer)?;
        self.line += 1;
        if self.buffer.len() > MAX_LINE && self.buffer.last() != Some(&b'\n') {
            self.reader.skip_until(b'\n')?;
        }
        Ok(read > 0)
    }

    /// The line; none when nothing is left of it.
    pub(crate) fn text(&self, notation: Notation) -> Result<Option<&str>, String> {
        if self.buffer.len() > MAX_LINE {
            return Err(format!("longer than {} KiB", MAX_LINE >> 10));
        }
        let text = std::str::from_utf8(&self.buffer).map_err(|_| "not UTF-8 text".to_owned())?;
        let text = text.trim_start_matches('\u{feff}').trim();
        if notation == Notation::Json || text.starts_with('{') {
            return Ok(Some(text).filter(|text| !text.is_empty()));
        }
        let comment =
            if text.starts_with('#') { Some(0) } else { text.find(" #").or_else(|| text.find("\t#")) };
        let text = comment.map_or(text, |comment| text[..comment].trim_end());
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// The line with what is wrong with it.
    pub(crate) fn bad(&self, problem: String) -> BadLine {
        BadLine { line: self.line, problem }
    }
}

/// The works of an input, line by line.
pub(crate) struct Works<R> {
    lines: Lines<R>,
    notation: Notation,
}

impl<R: BufRead> Works<R> {
    pub(crate) fn new(reader: R, notation: Notation) -> Self {
        Self { lines: Lines::new(reader), notation }
    }

    /// How long the line was that gave the last work.
    pub(crate) fn line_bytes(&self) -> usize {
        self.lines.buffer.len()
    }

    fn parse(&self) -> Result<Option<Wanted>, String> {
        let Some(text) = self.lines.text(self.notation)? else { return Ok(None) };
        if self.notation == Notation::Json || text.starts_with('{') {
            return parse_object(text).map(Some);
        }
        Wanted::named(text).map(Some)
    }
}

fn parse_object(text: &str) -> Result<Wanted, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    Wanted::described(&value)
}

impl<R: BufRead> Iterator for Works<R> {
    /// An I/O error ends the input.
    type Item = std::io::Result<Result<Wanted, BadLine>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.lines.read() {
                Err(error) => return Some(Err(error)),
                Ok(false) => return None,
                Ok(true) => {}
            }
            match self.parse() {
                Ok(None) => {}
                Ok(Some(wanted)) => return Some(Ok(Ok(wanted))),
                Err(problem) => return Some(Ok(Err(self.lines.bad(problem)))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &[u8], notation: Notation) -> Vec<String> {
        Works::new(text, notation)
            .map(|work| match work.unwrap() {
                Ok(wanted) => wanted.artifact.id.to_string(),
                Err(bad) => bad.to_string(),
            })
            .collect()
    }

    #[test]
    fn a_list_keeps_good_lines_and_names_bad_ones() {
        let list = b"\xef\xbb\xbf# works\n10.1000/A  # first\n\nnonsense\r\nPMC12\n\xff\xfe\n{\"pmid\":7}\n10.1002/x#y\n";
        let rows = read(list, Notation::List);
        assert_eq!(rows[0], "doi:10.1000/a");
        assert!(rows[1].starts_with("line 4: \"nonsense\" is no identifier"), "{}", rows[1]);
        assert_eq!(rows[2..], ["pmcid:PMC12", "line 6: not UTF-8 text", "pmid:7", "doi:10.1002/x#y"]);
    }

    #[test]
    fn json_lines_keep_good_lines_and_name_bad_ones() {
        let rows = read(
            b"{\"doi\":\"10.1000/a\"}\n[1]\n{\"doi\":\n\n{\"title\":\"x\"}\n{\"artifact_id\":\"7\"}",
            Notation::Json,
        );
        assert_eq!(rows[0], "doi:10.1000/a");
        assert!(rows[1].starts_with("line 2: a JSON object"), "{}", rows[1]);
        assert!(rows[2].starts_with("line 3: not JSON"), "{}", rows[2]);
        assert!(rows[3].starts_with("line 5: a work needs"), "{}", rows[3]);
        assert_eq!(rows[4], "7");
    }

    #[test]
    fn an_object_may_say_whose_turn_it_is() {
        let text = b"{\"pmid\":1,\"priority\":-5,\"not_before\":\"2h\"}\n{\"pmid\":2,\"priority\":null}\n{\"pmid\":3,\"priority\":\"high\"}\n{\"pmid\":4,\"not_before\":5}\n";
        let mut works = Works::new(&text[..], Notation::Json).map(Result::unwrap);
        let first = works.next().unwrap().unwrap();
        assert_eq!(first.turn.priority.map(|priority| priority.0), Some(-5));
        assert_eq!(first.turn.not_before, "2h".parse().ok());
        assert_eq!(first.artifact.extra["priority"], -5, "what came with the work stays with it");
        assert_eq!(works.next().unwrap().unwrap().turn.priority, None);
        assert!(
            works.next().unwrap().unwrap_err().problem.starts_with("the field \"priority\": \"high\" is not")
        );
        assert!(works.next().unwrap().unwrap_err().problem.starts_with("the field \"not_before\": \"5\" is"));
    }

    #[test]
    fn an_endless_line_is_passed_over() {
        let mut text = vec![b'x'; MAX_LINE * 3];
        text.extend_from_slice(b"\n10.1000/a\n");
        assert_eq!(read(&text, Notation::List), ["line 1: longer than 1024 KiB", "doi:10.1000/a"]);
    }

    const LINES: [&str; 5] = [
        "10.1371/journal.pone.0163812",
        "https://doi.org/10.1002/(SICI)1097-0258(19980815)17:15<1661::AID>3.0.CO;2-2",
        "arXiv:hep-th/9711200  # a comment",
        r#"{"artifact_id":"7","doi":"10.1000/x","authors":["A"],"year":2007,"extra":{"a":[1]}}"#,
        "\u{feff}# a comment",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(gleaner_testing::CASES / 2))]

        /// Twenty thousand mutated lines, half in each notation: every one gives a work or is named, and the good line behind them is kept.
        #[test]
        fn mutated_lines_never_harm_their_neighbours(lines in prop::collection::vec(gleaner_testing::mutated_bytes(&LINES), 4), json in any::<bool>()) {
            let notation = if json { Notation::Json } else { Notation::List };
            let mut text = lines.join(&b'\n');
            text.extend_from_slice(b"\n{\"doi\":\"10.1000/kept\"}\n");
            let rows = read(&text, notation);
            prop_assert_eq!(rows.last().map(String::as_str), Some("doi:10.1000/kept"));
        }
    }
}
