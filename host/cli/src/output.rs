//! What a command prints on standard output: tables for people, JSON for programs.
//!
//! The only place that writes to standard output. A closed pipe ends the program quietly.

use std::io::{self, Write};

use serde::Serialize;

use crate::args::Format;

/// Where results go.
pub(crate) struct Output {
    format: Format,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    pub(crate) fn is_csv(&self) -> bool {
        self.format == Format::Csv
    }

    /// One JSON document on one line.
    pub(crate) fn json(&self, value: &impl Serialize) -> io::Result<()> {
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, value)?;
        writeln!(out)
    }

    /// A line of text.
    pub(crate) fn line(&self, text: &str) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{text}")
    }

    /// A table with left-aligned columns as wide as their widest cell; the last column is not padded.
    pub(crate) fn table(&self, header: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
        self.line(render(header, rows).trim_end())
    }
}

fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let mut text = String::new();
    let header: Vec<String> = header.iter().map(|&cell| cell.to_owned()).collect();
    for row in std::iter::once(&header).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Bytes for people: `12.3 MiB`.
pub(crate) fn bytes(size: u64) -> String {
    indicatif::BinaryBytes(size).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = vec![
            vec!["a".into(), "élan".into(), "x".into()],
            vec!["longer".into(), "b".into(), String::new()],
        ];
        assert_eq!(
            render(&["ONE", "TWO", "THREE"], &rows),
            "ONE     TWO   THREE\na       élan  x\nlonger  b\n"
        );
    }
}
