//! Reading lists and JSON lines: one work a line, good lines kept, bad ones named with their line.
//!
//! Streams: a list of ten million lines needs no more memory than one of ten.

use std::fmt;
use std::io::{BufRead, Read};

use gleaner_model::artifact::{self, Artifact};
use gleaner_model::identifier::Identifier;

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

/// The works of an input, line by line.
pub(crate) struct Works<R> {
    reader: R,
    notation: Notation,
    line: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Works<R> {
    pub(crate) fn new(reader: R, notation: Notation) -> Self {
        Self { reader, notation, line: 0, buffer: Vec::new() }
    }

    /// How long the line was that gave the last work.
    pub(crate) fn line_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// The next line into the buffer; false at the end.
    fn next_line(&mut self) -> std::io::Result<bool> {
        self.buffer.clear();
        let read = self.reader.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut self.buffer)?;
        self.line += 1;
        if self.buffer.len() > MAX_LINE && self.buffer.last() != Some(&b'\n') {
            self.reader.skip_until(b'\n')?;
        }
        Ok(read > 0)
    }

    fn parse(&self) -> Result<Option<Artifact>, String> {
        if self.buffer.len() > MAX_LINE {
            return Err(format!("longer than {} KiB", MAX_LINE >> 10));
        }
        let text = std::str::from_utf8(&self.buffer).map_err(|_| "not UTF-8 text".to_owned())?;
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            return Ok(None);
        }
        if self.notation == Notation::Json || text.starts_with('{') {
            return parse_object(text).map(Some);
        }
        if text.starts_with('#') {
            return Ok(None);
        }
        let text =
            text.find(" #").or_else(|| text.find("\t#")).map_or(text, |comment| text[..comment].trim_end());
        Identifier::parse(text).map(|id| Some(Artifact::of(id))).map_err(|error| error.to_string())
    }
}

fn parse_object(text: &str) -> Result<Artifact, String> {
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    let object = value.as_object().ok_or("a JSON object is expected, like {\"doi\":\"10.1000/x\"}")?;
    artifact::from_json(object).map_err(|error| error.to_string())
}

impl<R: BufRead> Iterator for Works<R> {
    /// An I/O error ends the input.
    type Item = std::io::Result<Result<Artifact, BadLine>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_line() {
                Err(error) => return Some(Err(error)),
                Ok(false) => return None,
                Ok(true) => {}
            }
            match self.parse() {
                Ok(None) => {}
                Ok(Some(artifact)) => return Some(Ok(Ok(artifact))),
                Err(problem) => return Some(Ok(Err(BadLine { line: self.line, problem }))),
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
                Ok(artifact) => artifact.id.to_string(),
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
