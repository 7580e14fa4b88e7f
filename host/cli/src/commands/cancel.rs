//! `gleaner queue cancel|purge`: ending what nobody wants any more, and forgetting what ended long ago.
//!
//! Names that no job has are told one by one; the rest is done all the same.

use std::collections::HashSet;
use std::path::Path;

use gleaner_desk::Cancelled;
use gleaner_model::job::JobId;
use gleaner_store::{Library, WorkQueue};
use serde_json::{Value, json};

use crate::args;
use crate::commands::enqueue::{open, report, unreadable};
use crate::commands::queue::no_such_job;
use crate::context::Context;
use crate::exit::{Exit, Failed};
use crate::input::{Lines, Notation};

/// Jobs a transaction.
const BATCH: usize = 2000;

struct Canceller<'a> {
    context: &'a Context,
    library: Library,
    seen: HashSet<JobId>,
    batch: Vec<JobId>,
    count: Cancelled,
}

/// `gleaner queue cancel`.
pub(crate) async fn cancel(context: &Context, args: &args::Which) -> Result<Exit, Failed> {
    if args.ids.is_empty() && args.input.is_none() {
        return Err(Failed::usage(
            "nothing to cancel: give identifiers or job numbers, or a list with --input FILE",
        ));
    }
    let mut canceller = Canceller {
        context,
        library: context.library_to_change()?,
        seen: HashSet::new(),
        batch: Vec::new(),
        count: Cancelled::default(),
    };
    for id in &args.ids {
        canceller.named(id, None).await?;
    }
    // An input that breaks off is an error, but the jobs before the break are cancelled.
    let read = match &args.input {
        Some(path) => canceller.read(path).await,
        None => Ok(()),
    };
    canceller.flush().await?;
    canceller.library.close().await;
    read?;
    let count = canceller.count;
    if context.output.is_json() {
        context.output.json(&count)?;
    } else {
        let Cancelled { cancelled, ended, unknown } = count;
        context
            .output
            .line(&format!("{cancelled} cancelled, {ended} had ended already, {unknown} unknown"))?;
    }
    Ok(if count.unknown == 0 { Exit::Well } else { Exit::SomeFailed })
}

impl Canceller<'_> {
    async fn read(&mut self, path: &Path) -> Result<(), Failed> {
        let (name, reader) = open(path)?;
        let mut lines = Lines::new(reader);
        while lines.read().map_err(|error| unreadable(&name, &error))? {
            let line = lines.text(Notation::List).and_then(|text| text.map(job_of_line).transpose());
            match line {
                Ok(None) => {}
                Ok(Some(id)) => {
                    self.named(&id, Some(&format!("{name}: {}", lines.bad(String::new())))).await?
                }
                Err(problem) => self.unknown(&format!("{name}: {}", lines.bad(problem))),
            }
        }
        Ok(())
    }

    /// `place` is where the name stands, with a colon behind it.
    async fn named(&mut self, id: &str, place: Option<&str>) -> Result<(), Failed> {
        match self.library.find(id).await? {
            Some(view) => {
                if self.seen.insert(view.row.id) {
                    self.batch.push(view.row.id);
                }
            }
            None => {
                let problem = no_such_job(self.context, id).error;
                self.unknown(&format!("{}{problem}", place.unwrap_or_default()));
            }
        }
        if self.batch.len() >= BATCH { self.flush().await } else { Ok(()) }
    }

    fn unknown(&mut self, message: &str) {
        self.count.unknown += 1;
        report(message);
    }

    async fn flush(&mut self) -> Result<(), Failed> {
        let batch = std::mem::take(&mut self.batch);
        let named = batch.len() as u64;
        let cancelled = self.library.cancel(batch).await?.len() as u64;
        self.count.cancelled += cancelled;
        self.count.ended += named - cancelled;
        Ok(())
    }
}

/// What a line means: itself, or the job of an object that `queue list` printed.
fn job_of_line(text: &str) -> Result<String, String> {
    if !text.starts_with('{') {
        return Ok(text.to_owned());
    }
    let object: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    match (object.get("job"), object.get("artifact_id")) {
        (Some(Value::Number(job)), _) => Ok(job.to_string()),
        (_, Some(Value::String(id))) => Ok(id.clone()),
        _ => Err("the object has neither a \"job\" nor an \"artifact_id\"".to_owned()),
    }
}

/// `gleaner queue purge`.
pub(crate) async fn purge(context: &Context, args: args::Purge) -> Result<Exit, Failed> {
    let args::Purge { older_than, state, dry_run } = args;
    let library = context.library_to_change()?;
    let purged = library.purge(state.into_iter().collect(), older_than.0, dry_run).await?;
    library.close().await;
    if context.output.is_json() {
        context.output.json(&json!({ "purged": purged, "dry_run": dry_run }))?;
    } else {
        let verb = if dry_run { "would be forgotten" } else { "forgotten" };
        context.output.line(&format!("{purged} works {verb}"))?;
    }
    Ok(Exit::Well)
}
