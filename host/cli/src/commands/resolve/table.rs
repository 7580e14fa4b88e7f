//! What `gleaner resolve` prints for people: who said what, then the candidates as a run would try them.
//!
//! Fits a narrow terminal: long answers are wrapped, and a URL stands on a line of its own, whole, to be copied. Must
//! never colour what is not read on a terminal.

use std::io::IsTerminal;

use gleaner_model::artifact::Artifact;
use gleaner_model::candidate::{Candidate, CandidateKind};
use gleaner_orchestrator::{Answer, AskReport, News, Ranked};

/// What is written on.
pub(super) struct Paper {
    /// Columns; none: as long as it takes.
    pub(super) columns: Option<usize>,
    /// Whether colour is wanted.
    pub(super) colour: bool,
}

impl Paper {
    pub(super) fn of_stdout() -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        let size = console::Term::stdout().size_checked();
        Self {
            columns: size.filter(|_| is_terminal).map(|(_, columns)| columns.into()),
            colour: is_terminal && !crate::environment::is_colourless(),
        }
    }

    fn paint(&self, text: &str, code: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

const BOLD: &str = "1";
const GREEN: &str = "32";
const RED: &str = "31";
const DIM: &str = "2";

/// The least room for what a resolver said, however narrow the terminal is.
const LEAST: usize = 20;

pub(super) fn table(artifact: &Artifact, report: &AskReport, paper: &Paper) -> String {
    let mut text = format!("{}\n\n", paper.paint(&artifact.id.to_string(), BOLD));
    answers(&mut text, &report.answers, paper);
    if !report.discovered.is_empty() {
        let all: Vec<String> = report.discovered.iter().map(ToString::to_string).collect();
        let indent = "Discovered: ".len();
        text.push_str("\nDiscovered: ");
        push_wrapped(&mut text, &all.join(", "), indent, paper, None);
    }
    if !report.candidates.is_empty() {
        text.push('\n');
        candidates(&mut text, report, paper);
    }
    text.push_str(match report.first() {
        Some(_) => "\n* is what a run would fetch first.\n",
        None => "\nNo file is known that a run would fetch.\n",
    });
    text
}

fn answers(text: &mut String, answers: &[Answer], paper: &Paper) {
    let took: Vec<String> = answers.iter().map(|answer| format!("{} ms", answer.took.as_millis())).collect();
    let names = answers.iter().map(|answer| answer.resolver.as_str().len());
    let name_width = names.chain(["RESOLVER".len()]).max().unwrap_or(0);
    let took_width = took.iter().map(String::len).chain(["TOOK".len()]).max().unwrap_or(0);
    let header = format!("{:name_width$}  {:>took_width$}  SAID", "RESOLVER", "TOOK");
    text.push_str(&format!("{}\n", paper.paint(&header, DIM)));
    for (answer, took) in answers.iter().zip(took) {
        text.push_str(&format!("{:name_width$}  {took:>took_width$}  ", answer.resolver.as_str()));
        let (said, colour) = match &answer.outcome {
            Ok(news) => (in_words(news), None),
            Err(failure) if failure.detail.is_empty() => (failure.reason.to_string(), Some(RED)),
            Err(failure) => (format!("{}: {}", failure.reason, failure.detail), Some(RED)),
        };
        push_wrapped(text, &said, name_width + took_width + 4, paper, colour);
    }
}

fn in_words(news: &News) -> String {
    let many = |count: usize, one: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{count} {one}s")),
    };
    let found = [
        many(news.files, "file"),
        many(news.pages, "landing page"),
        many(news.discovered.len(), "identifier"),
    ];
    let found: Vec<String> = found.into_iter().flatten().collect();
    if found.is_empty() { "nothing new".to_owned() } else { found.join(", ") }
}

fn candidates(text: &mut String, report: &AskReport, paper: &Paper) {
    let header = ["", "KIND", "VERSION", "HOST", "SURE", "BY", "LICENSE"].map(str::to_owned);
    let first = report.first().map(|first| &first.url);
    let cells = |Ranked { candidate, is_admitted }: &Ranked| {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        [
            if first == Some(&candidate.url) && candidate.kind == CandidateKind::File { "*" } else { "" }
                .to_owned(),
            kind(candidate, *is_admitted).to_owned(),
            or_dash(candidate.version.map(word)),
            or_dash(candidate.host_type.map(word)),
            format!("{:.2}", candidate.confidence),
            candidate.resolver.to_string(),
            or_dash(candidate.license.clone()),
        ]
    };
    let rows: Vec<[String; 7]> = report.candidates.iter().map(cells).collect();
    let all = || std::iter::once(&header).chain(&rows);
    let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(|column| width(column).max(1));
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ").trim_end().to_owned();
        match paper.columns {
            Some(columns) => line.chars().take(columns.max(LEAST)).collect(),
            None => line,
        }
    };
    text.push_str(&format!("{}\n", paper.paint(&line(&header), DIM)));
    for (one, row) in report.candidates.iter().zip(&rows) {
        let colour = if row[0] == "*" {
            GREEN
        } else if one.is_admitted {
            "0"
        } else {
            DIM
        };
        text.push_str(&format!("{}\n", paper.paint(&line(row), colour)));
        text.push_str(&format!("   {}\n", one.candidate.url.as_url()));
    }
}

fn kind(candidate: &Candidate, is_admitted: bool) -> &'static str {
    match candidate.kind {
        _ if !is_admitted => "not open",
        CandidateKind::File => "file",
        CandidateKind::LandingPage => "page",
    }
}

/// Adds a text by words, its further lines below its first, which begins at `indent`.
fn push_wrapped(text: &mut String, said: &str, indent: usize, paper: &Paper, colour: Option<&str>) {
    let room = paper.columns.map_or(usize::MAX, |columns| columns.saturating_sub(indent).max(LEAST));
    let mut lines = vec![String::new()];
    for word in said.split_whitespace() {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > room {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    let paint = |line: &String| colour.map_or_else(|| line.clone(), |code| paper.paint(line, code));
    let lines: Vec<String> = lines.iter().map(paint).collect();
    text.push_str(&lines.join(&format!("\n{:indent$}", "")));
    text.push('\n');
}

/// A closed vocabulary's word, as JSON spells it.
fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gleaner_model::identifier::Identifier;
    use gleaner_model::key::ResolverName;
    use gleaner_model::reason::{Failure, Reason};

    use super::*;

    fn report() -> AskReport {
        let answer = |name: &str, ms, outcome| Answer {
            resolver: ResolverName::new(name).unwrap(),
            outcome,
            took: Duration::from_millis(ms),
        };
        let ranked =
            |json: &str, is_admitted| Ranked { candidate: serde_json::from_str(json).unwrap(), is_admitted };
        let discovered = vec![Identifier::parse("PMC12").unwrap()];
        AskReport {
            answers: vec![
                answer("unpaywall", 120, Ok(News { files: 2, pages: 1, discovered: discovered.clone() })),
                answer("pmc", 7, Ok(News::default())),
                answer(
                    "crossref",
                    1500,
                    Err(Failure::transient(Reason::HttpStatus, "502 from api.crossref.org, asked in vain")),
                ),
            ],
            candidates: vec![
                ranked(
                    r#"{"resolver":"unpaywall","url":"https://r.example/a.pdf","kind":"file","version":"published","license":"cc-by","host_type":"repository","confidence":0.9}"#,
                    true,
                ),
                ranked(
                    r#"{"resolver":"unpaywall","url":"https://p.example/page","kind":"landing-page","confidence":0.5}"#,
                    true,
                ),
                ranked(
                    r#"{"resolver":"unpaywall","url":"https://p.example/b.pdf","kind":"file","license":"tdm","confidence":0.5}"#,
                    false,
                ),
            ],
            discovered,
        }
    }

    fn printed(columns: Option<usize>, colour: bool) -> String {
        let artifact = Artifact::of(Identifier::parse("10.1000/x").unwrap());
        table(&artifact, &report(), &Paper { columns, colour })
    }

    #[test]
    fn it_lines_up_and_says_what_comes_first() {
        let expected = "\
doi:10.1000/x

RESOLVER      TOOK  SAID
unpaywall   120 ms  2 files, 1 landing page, 1 identifier
pmc           7 ms  nothing new
crossref   1500 ms  http_status: 502 from api.crossref.org, asked in vain

Discovered: pmcid:PMC12

   KIND      VERSION    HOST        SURE  BY         LICENSE
*  file      published  repository  0.90  unpaywall  cc-by
   https://r.example/a.pdf
   page      -          -           0.50  unpaywall  -
   https://p.example/page
   not open  -          -           0.50  unpaywall  tdm
   https://p.example/b.pdf

* is what a run would fetch first.
";
        assert_eq!(printed(None, false), expected);
    }

    #[test]
    fn a_narrow_terminal_gets_no_longer_lines_but_whole_urls() {
        let text = printed(Some(44), false);
        for line in text.lines().filter(|line| !line.contains("https://")) {
            assert!(line.chars().count() <= 44, "{line:?}");
        }
        assert!(text.contains("\n                    "), "not wrapped: {text}");
        assert!(text.contains("\n   https://p.example/b.pdf\n"));
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let coloured = printed(None, true);
        assert!(coloured.contains("\u{1b}[31m") && coloured.contains("\u{1b}[32m"));
        assert_eq!(console::strip_ansi_codes(&coloured), printed(None, false));
        assert!(!printed(None, false).contains('\u{1b}'));
    }
}
