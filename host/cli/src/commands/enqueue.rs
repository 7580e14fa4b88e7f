//! Adding works to the queue, from arguments, lists and JSON lines.
//!
//! Good works are kept whatever the bad ones are; each bad one is named on standard error.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use gleaner_desk::{Added, Enqueuer, Wanted};

use crate::args;
use crate::context::Context;
use crate::exit::{Exit, Failed};
use crate::input::{Notation, Works};

/// Adds what the arguments name.
pub(crate) async fn works(mut enqueuer: Enqueuer<'_>, works: &args::Works) -> Result<Added, Failed> {
    if works.ids.is_empty() && works.input.is_none() {
        return Err(Failed::usage("nothing to add: give identifiers, or a list with --input FILE"));
    }
    for (position, text) in works.ids.iter().enumerate() {
        match Wanted::named(text) {
            Ok(wanted) => enqueuer.add(wanted, text.len()).await?,
            Err(error) => enqueuer.complain(format!("argument {}: {error}", position + 1)),
        }
    }
    match &works.input {
        Some(path) => read_all(enqueuer, path, Notation::List).await,
        None => Ok(enqueuer.finish().await?),
    }
}

/// Adds the works of a JSON-lines file.
pub(crate) async fn import(enqueuer: Enqueuer<'_>, path: &Path) -> Result<Added, Failed> {
    read_all(enqueuer, path, Notation::Json).await
}

/// An input that breaks off is an error, but the works before the break are kept.
async fn read_all(mut enqueuer: Enqueuer<'_>, path: &Path, notation: Notation) -> Result<Added, Failed> {
    let read = read(&mut enqueuer, path, notation).await;
    let added = enqueuer.finish().await?;
    read.map(|()| added)
}

async fn read(enqueuer: &mut Enqueuer<'_>, path: &Path, notation: Notation) -> Result<(), Failed> {
    let (name, reader) = open(path)?;
    let mut works = Works::new(reader, notation);
    while let Some(work) = works.next() {
        match work.map_err(|error| unreadable(&name, &error))? {
            Ok(wanted) => enqueuer.add(wanted, works.line_bytes()).await?,
            Err(bad) => enqueuer.complain(format!("{name}: {bad}")),
        }
    }
    Ok(())
}

/// 1 when something of the input could not be used.
pub(crate) fn exit(added: &Added) -> Exit {
    if added.broken + added.conflicts > 0 { Exit::SomeFailed } else { Exit::Well }
}

/// An input and its name for messages; `-` is standard input.
pub(crate) fn open(path: &Path) -> Result<(String, Box<dyn BufRead + Send>), Failed> {
    if path == Path::new("-") {
        return Ok(("standard input".to_owned(), Box::new(BufReader::new(io::stdin()))));
    }
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| unreadable(&name, &error))?;
    Ok((name, Box::new(BufReader::with_capacity(1 << 16, file))))
}

pub(crate) fn unreadable(name: &str, error: &io::Error) -> Failed {
    Failed::usage(format!("cannot read {name}: {error}; give a text file, or - for standard input"))
}

/// A line for the user, which must not break the run when nobody reads it.
pub(crate) fn report(message: &str) {
    use std::io::Write;
    let _ = writeln!(io::stderr().lock(), "{message}");
}

/// Prints what became of the input, as a command of its own.
pub(crate) fn print(context: &Context, added: &Added) -> Result<Exit, Failed> {
    if context.output.is_json() {
        context.output.json(added)?;
    } else {
        let Added { new, known, requeued, conflicts, broken, .. } = added;
        context.output.line(&format!(
            "{new} new, {known} known, {requeued} started anew, {conflicts} conflicts, {broken} broken"
        ))?;
    }
    Ok(exit(added))
}
