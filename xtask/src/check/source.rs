//! Just enough of Rust's grammar to look at sources: which lines are test code, and which text is a string.
//! It relies on rustfmt's layout and understands nothing else.

/// The lines outside `#[cfg(test)]` items, each with its number. rustfmt puts the closing brace of an item
/// under its first column, which ends the item.
pub(super) fn lines_outside_tests(text: &str) -> Vec<(usize, &str)> {
    let mut kept = Vec::new();
    let mut lines = text.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            kept.push((number, line));
            continue;
        }
        let indent = &line[..line.len() - line.trim_start().len()];
        let is_end = |line: &str| {
            let at_column =
                line.strip_prefix(indent).is_some_and(|rest| !rest.starts_with(char::is_whitespace));
            at_column && (line.ends_with(['}', ';']) || line.ends_with("};"))
        };
        let _ = lines.by_ref().find(|(line, _)| is_end(line));
    }
    kept
}

/// The modules that a file declares with `#[cfg(test)] mod name;`.
pub(super) fn test_modules(text: &str) -> Vec<&str> {
    let lines = text.lines().map(str::trim).collect::<Vec<_>>();
    let declared = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]");
    declared.filter_map(|pair| pair[1].strip_suffix(';')?.rsplit_once("mod ").map(|(_, name)| name)).collect()
}

/// The string literals that begin in these lines, each with the number of its line. Comments and characters are passed over.
pub(super) fn string_literals(lines: &[(usize, &str)]) -> Vec<(usize, String)> {
    let mut literals = Vec::new();
    let mut open: Option<Literal> = None;
    for (number, line) in lines {
        let mut rest = *line;
        loop {
            let Some(literal) = &mut open else {
                let Some((literal, after)) = next_opening(rest, *number) else { break };
                (open, rest) = (Some(literal), after);
                continue;
            };
            let (text, after) = literal.split_at_end(rest);
            literal.text.push_str(text);
            let Some(after) = after else { break };
            rest = after;
            literals.extend(open.take().map(|literal| (literal.line, literal.text)));
        }
    }
    literals
}

struct Literal {
    line: usize,
    text: String,
    /// `"`, or `"#` and more of a raw string.
    end: String,
    is_raw: bool,
}

impl Literal {
    /// The part that belongs to the literal, and what follows its end, if it ends here.
    fn split_at_end<'a>(&self, line: &'a str) -> (&'a str, Option<&'a str>) {
        let mut at = 0;
        while at < line.len() {
            let rest = &line[at..];
            if let Some(after) = rest.strip_prefix(self.end.as_str()) {
                return (&line[..at], Some(after));
            }
            let escaped = !self.is_raw && rest.starts_with('\\');
            at += rest.chars().take(if escaped { 2 } else { 1 }).map(char::len_utf8).sum::<usize>();
        }
        (line, None)
    }
}

/// Where the next string begins, if one does before a comment.
fn next_opening(line: &str, number: usize) -> Option<(Literal, &str)> {
    let mut at = 0;
    while at < line.len() {
        let rest = &line[at..];
        if rest.starts_with("//") {
            return None;
        }
        if let Some(skip) = character_literal(rest) {
            at += skip;
            continue;
        }
        if let Some(after) = rest.strip_prefix('"') {
            let before = line[..at].trim_end_matches('#');
            let is_raw = before.ends_with('r') || before.ends_with("br");
            let hashes = if is_raw { at - before.len() } else { 0 };
            let end = format!("\"{}", "#".repeat(hashes));
            return Some((Literal { line: number, text: String::new(), end, is_raw }, after));
        }
        at += rest.chars().next().map_or(1, char::len_utf8);
    }
    None
}

/// The length of a character such as `'"'` or `'\''`; none for a lifetime.
fn character_literal(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('\'')?;
    let first = inner.chars().next()?;
    let start = if first == '\\' { 2 } else { first.len_utf8() };
    let end = inner.get(start..)?.find('\'')?;
    // A lifetime may have a quote later in the line; a character has it at once, or after a short escape.
    (end == 0 || (first == '\\' && end <= 8)).then_some(1 + start + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literals(text: &str) -> Vec<String> {
        let lines = text.lines().zip(1..).map(|(line, number)| (number, line)).collect::<Vec<_>>();
        string_literals(&lines).into_iter().map(|(_, literal)| literal).collect()
    }

    #[test]
    fn test_items_are_left_out() {
        let text = "a\n#[cfg(test)]\nmod tests {\n    b\n}\nc\n    #[cfg(test)]\n    fn d() {\n        e\n    }\n#[cfg(test)]\nmod f;\ng\n";
        let kept = lines_outside_tests(text);
        assert_eq!(kept, [(1, "a"), (6, "c"), (13, "g")]);
        assert_eq!(test_modules(text), ["f"]);
    }

    #[test]
    fn strings_are_told_from_comments_and_characters() {
        assert_eq!(literals(r#"let a = "one \" two"; // "not""#), [r#"one \" two"#]);
        assert_eq!(literals("f('\"', \"one\", '\\'', \"two\")"), ["one", "two"]);
        assert_eq!(literals("fn f<'a>(x: &'a str) { g(\"one\") }"), ["one"]);
        assert_eq!(literals("r#\"has \"quotes\" inside\"#, \"two\""), ["has \"quotes\" inside", "two"]);
        assert_eq!(literals("\"over\n  lines\" + \"x\""), ["over  lines", "x"]);
    }
}
