//! Tables of the documentation that a suite holds the program to: the document is the expectation, so that it cannot say
//! anything else.

#![allow(clippy::panic, reason = "a suite stops when its document is not there")]

/// A row of a Markdown table: its cells, as written.
pub type Row = Vec<String>;

/// The rows below a heading, without the head of the table. Panics when there are none.
pub fn rows_below(text: &str, heading: &str) -> Vec<Row> {
    let (_, section) = text.split_once(heading).unwrap_or_else(|| panic!("no heading {heading:?}"));
    let table = section.lines().skip_while(|line| !line.starts_with('|'));
    let rows: Vec<Row> = table.take_while(|line| line.starts_with('|')).skip(2).map(cells).collect();
    assert!(!rows.is_empty(), "no table below {heading:?}");
    rows
}

fn cells(line: &str) -> Row {
    // A bar inside a cell is escaped.
    let line = line.replace("\\|", "\u{1}");
    line.trim().trim_matches('|').split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect()
}

/// What stands in backticks in a cell.
pub fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_what_they_quote_are_found() {
        let text = "# A\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\n## B\ntext\n\n| x | y |\n|---|---|\n| a `b` | `c` or `d \\| e` |\n| f | |\n";
        let rows = rows_below(text, "## B");
        assert_eq!(rows, [["a `b`", "`c` or `d | e`"], ["f", ""]]);
        assert_eq!(
            (quoted(&rows[0][0]), quoted(&rows[0][1])),
            (vec!["b".into()], vec!["c".into(), "d | e".into()])
        );
    }
}
