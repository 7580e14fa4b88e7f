//! `gleaner library manifest` and `export`: the proof of where each file came from, as JSON lines or CSV.
//!
//! Reads page by page, so that ten million records need no more memory than a thousand. Must never change a text, but for
//! what a spreadsheet would take for a formula.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use gleaner_model::manifest::{COLUMNS, ManifestRecord};
use gleaner_store::{Library, ManifestFilter};
use serde_json::Value;

use crate::args::Manifest;
use crate::commands::queue::no_such_job;
use crate::context::Context;
use crate::exit::{Exit, Failed};

/// Records looked at at a time.
const PAGE: u32 = 1000;

/// `library manifest`, and `library export` without a choice.
pub(crate) async fn manifest(context: &Context, args: &Manifest) -> Result<Exit, Failed> {
    let library = context.existing_library()?;
    let job = match &args.job {
        Some(text) => {
            let found = library.find(text).await?;
            Some(found.ok_or_else(|| no_such_job(context, text))?.row.id)
        }
        None => None,
    };
    let since = args.since.map(|since| since.before(context.now()));
    let filter = ManifestFilter { run: args.run.clone(), job, since };
    let mut out = sink(args.output.as_deref())?;
    if context.output.is_csv() {
        // Without a heading where it goes on with what was written before.
        let mut sheet = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
        if args.after == 0 {
            sheet.write_record(COLUMNS).map_err(io::Error::from)?;
        }
        each(&library, &filter, args.after, |record| {
            sheet.write_record(row(record)).map_err(io::Error::from)
        })
        .await?;
        sheet.flush()?;
    } else {
        each(&library, &filter, args.after, |record| {
            serde_json::to_writer(&mut out, record).map_err(io::Error::from)?;
            out.write_all(b"\n")
        })
        .await?;
        out.flush()?;
    }
    Ok(Exit::Well)
}

async fn each(
    library: &Library,
    filter: &ManifestFilter,
    mut after: i64,
    mut write: impl FnMut(&ManifestRecord) -> io::Result<()>,
) -> Result<(), Failed> {
    loop {
        let page = library.manifest(filter, after, PAGE).await?;
        for (number, mut record) in page.records {
            record.seq = Some(number);
            write(&record)?;
        }
        let Some(next) = page.next else { return Ok(()) };
        after = next;
    }
}

fn sink(output: Option<&Path>) -> Result<Box<dyn Write + Send>, Failed> {
    let Some(path) = output else { return Ok(Box::new(BufWriter::new(io::stdout()))) };
    let unwritable = |error| {
        Failed::usage(format!("cannot write {}: {error}; --output names another file", path.display()))
    };
    Ok(Box::new(BufWriter::new(File::create(path).map_err(unwritable)?)))
}

/// The cells of a record, in the order of the columns.
fn row(record: &ManifestRecord) -> Vec<String> {
    // Plain data: cannot fail.
    let value = serde_json::to_value(record).unwrap_or_default();
    COLUMNS.iter().map(|column| cell(&value, column)).collect()
}

fn cell(record: &Value, column: &str) -> String {
    let field = match column.split_once('.') {
        Some((field, part)) => &record[field][part],
        None => &record[column],
    };
    match field {
        Value::Null => String::new(),
        Value::String(text) => guarded(text),
        Value::Array(urls) if column == "url_chain" => {
            urls.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        }
        Value::Array(pairs) if pairs.is_empty() => String::new(),
        other => other.to_string(),
    }
}

/// What comes from outside must not run in a spreadsheet.
fn guarded(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use gleaner_model::artifact::Artifact;
    use gleaner_model::clock::UnixMillis;
    use gleaner_model::identifier::Identifier;
    use gleaner_model::manifest::RunIdentity;

    use super::*;

    fn record() -> ManifestRecord {
        let run = RunIdentity { run_id: "r".into(), config_hash: "c".into() };
        let artifact = Artifact::of(Identifier::parse("10.1000/x").unwrap());
        ManifestRecord::new(&run, &artifact, "direct", UnixMillis(0))
    }

    fn sheet(record: &ManifestRecord) -> String {
        let mut sheet = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        sheet.write_record(COLUMNS).unwrap();
        sheet.write_record(row(record)).unwrap();
        String::from_utf8(sheet.into_inner().unwrap()).unwrap()
    }

    #[test]
    fn a_row_reads_back_as_the_record() {
        let mut record = record();
        record.seq = Some(7);
        record.title = Some("Of \"quotes\", commas\nand lines".into());
        record.url_chain = vec!["https://a.org/1".into(), "https://b.org/2,3".into()];
        record.extra = vec![("k".into(), "v;1".into())];
        record.durations.total_ms = 12;
        let text = sheet(&record);
        assert!(text.contains("\"Of \"\"quotes\"\", commas\nand lines\""), "{text}");
        assert!(text.ends_with("\r\n"));
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let heads = reader.headers().unwrap().clone();
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!((rows.len(), heads.len(), rows[0].len()), (1, COLUMNS.len(), COLUMNS.len()));
        let cell = |name: &str| &rows[0][heads.iter().position(|head| head == name).unwrap()];
        assert_eq!((cell("seq"), cell("schema"), cell("artifact_id")), ("7", "1", "doi:10.1000/x"));
        assert_eq!(cell("title"), record.title.as_deref().unwrap());
        assert_eq!(cell("url_chain"), "https://a.org/1 https://b.org/2,3");
        assert_eq!((cell("extra"), cell("durations.total_ms")), ("[[\"k\",\"v;1\"]]", "12"));
        assert_eq!((cell("year"), cell("recheck")), ("", "false"));
    }

    #[test]
    fn no_cell_is_a_formula() {
        let mut record = record();
        for title in ["=1+1", "+cmd|' /C calc'!A0", "-2", "@SUM(A1)", "\t=1", "\r=1"] {
            record.title = Some(title.into());
            assert_eq!(row(&record)[5], format!("'{title}"));
        }
        record.title = Some("a=1".into());
        assert_eq!(row(&record)[5], "a=1");
    }
}
