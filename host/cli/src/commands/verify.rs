//! `gleaner library verify`: the database, and every byte of every file, earlier versions too.
//!
//! Changes nothing. What it says of a file that a run just stored or replaced may be of a moment ago.

use std::collections::HashSet;
use std::io;

use gleaner_content::{BlobProblem, Content};
use gleaner_model::job::JobId;
use gleaner_store::{FileRow, Library, Scope};
use serde_json::{Value, json};

use crate::context::Context;
use crate::exit::{Exit, Failed};
use crate::progress;

/// Rows read at a time.
const PAGE: u32 = 1000;
/// Most files without a row that are named; all of them are counted.
const NAMED: usize = 100;

/// Checks the database and hashes every file that a job holds or held, with a bar on a terminal.
pub(crate) async fn verify(context: &Context) -> Result<Exit, Failed> {
    let library = context.existing_library()?;
    let mut verdict = Verdict::default();
    for problem in library.problems().await? {
        verdict.bad.push(json!({ "kind": "database", "database": problem }));
    }
    // Once: it reads the directory of names.
    let content = context.content()?;
    let total = library.summary(Scope::Library).await?.bytes;
    let bar = progress::bytes_bar(total, context.quiet);
    let (mut after, mut seen): (Option<JobId>, HashSet<String>) = (None, HashSet::new());
    loop {
        let rows = library.files(after, PAGE).await?;
        let Some(last) = rows.last() else { break };
        after = Some(last.job);
        verdict.hash(&content, rows, &mut seen, &bar).await?;
    }
    let mut after = 0;
    loop {
        let page = library.earlier(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.row;
        verdict.hash(&content, page.into_iter().map(|one| one.file).collect(), &mut seen, &bar).await?;
    }
    verdict.look_for_others(&content, &library).await?;
    bar.finish_and_clear();
    verdict.print(context)?;
    Ok(if verdict.bad.is_empty() { Exit::Well } else { Exit::SomeFailed })
}

/// What was found.
#[derive(Default)]
struct Verdict {
    checked: u64,
    bad: Vec<Value>,
    extra: u64,
    extra_bytes: u64,
    named: Vec<String>,
}

impl Verdict {
    /// Hashes these files, several at a time; those of the same bytes as one before are not read again.
    async fn hash(
        &mut self,
        content: &Content,
        rows: Vec<FileRow>,
        seen: &mut HashSet<String>,
        bar: &indicatif::ProgressBar,
    ) -> Result<(), Failed> {
        self.checked += rows.len() as u64;
        let (first, again): (Vec<FileRow>, Vec<FileRow>) =
            rows.into_iter().partition(|row| seen.insert(row.sha256.clone()));
        let (content, bar) = (content.clone(), bar.clone());
        let hashed = tokio::task::spawn_blocking(move || {
            let problems = std::sync::Mutex::new(Vec::new());
            let hashes: Vec<String> = first.iter().map(|row| row.sha256.clone()).collect();
            content.verify_blobs(&hashes, &|at, problem| {
                bar.inc(first[at].size);
                if let Some(problem) = problem {
                    problems.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((at, problem));
                }
            });
            let mut problems = problems.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
            problems.sort_by_key(|(at, _)| *at);
            problems.iter().map(|(at, problem)| bad(&first[*at], problem)).collect::<Vec<_>>()
        });
        let found = hashed.await.map_err(io::Error::other)?;
        for row in again {
            // What is wrong with the bytes is wrong for every work that has them.
            let known = self.bad.iter().chain(&found).find(|bad| bad["sha256"] == *row.sha256).cloned();
            self.bad.extend(known.map(|mut bad| {
                (bad["artifact_id"], bad["name"]) = (json!(row.artifact_id), json!(row.name));
                bad
            }));
        }
        self.bad.extend(found);
        Ok(())
    }

    /// Blobs that no job holds: what runs that were killed have stored and not written down.
    async fn look_for_others(&mut self, content: &Content, library: &Library) -> Result<(), Failed> {
        for shard in content.shards()? {
            let known: HashSet<String> = library.hashes(&shard).await?.into_iter().collect();
            let others = content.blobs_in(&shard)?.into_iter().filter(|blob| !known.contains(&blob.sha256));
            let others: Vec<_> = others.collect();
            // A run may have written some down since.
            let known: HashSet<String> =
                if others.is_empty() { known } else { library.hashes(&shard).await?.into_iter().collect() };
            for blob in others.iter().filter(|blob| !known.contains(&blob.sha256)) {
                self.extra += 1;
                self.extra_bytes += blob.size;
                if self.named.len() < NAMED {
                    self.named.push(blob.path.display().to_string());
                }
            }
        }
        Ok(())
    }

    fn print(&self, context: &Context) -> Result<(), Failed> {
        let Self { checked, bad, extra, extra_bytes, named } = self;
        if context.output.is_json() {
            let extra = json!({ "files": extra, "bytes": extra_bytes, "paths": named });
            return Ok(context.output.json(&json!({ "checked": checked, "bad": bad, "extra": extra }))?);
        }
        for one in bad {
            let words: Vec<_> = ["artifact_id", "name", "problem", "database"]
                .iter()
                .filter_map(|field| one.get(field).and_then(|value| value.as_str()))
                .collect();
            context.output.line(&words.join(": "))?;
        }
        for path in named {
            context.output.line(&format!("{path}: no job holds it"))?;
        }
        context.output.line(&format!("{checked} files checked, {} problems", bad.len()))?;
        if *extra > 0 {
            let size = crate::output::bytes(*extra_bytes);
            context.output.line(&format!(
                "{extra} files that no job holds, {size}; `gleaner library gc` removes them"
            ))?;
        }
        if bad.iter().any(|one| one.get("sha256").is_some()) {
            context.output.line("`gleaner library refresh` fetches what is missing or damaged anew")?;
        }
        Ok(())
    }
}

fn bad(row: &FileRow, problem: &BlobProblem) -> Value {
    let kind = match problem {
        BlobProblem::Missing(_) => "missing",
        BlobProblem::Changed { .. } => "changed",
        BlobProblem::Unreadable { .. } | BlobProblem::NotAHash(_) => "unreadable",
    };
    json!({
        "kind": kind,
        "artifact_id": row.artifact_id,
        "sha256": row.sha256,
        "name": row.name,
        "problem": problem.to_string(),
    })
}
