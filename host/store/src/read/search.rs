//! Finding jobs by what is known of them, in pages that cost the same however many jobs there are.
//!
//! Numbers come from an index; what no index knows is looked at job by job, so many at most. Must never sort or count
//! a table that grows.

use gleaner_model::artifact::Artifact;
use gleaner_model::job::{JobId, JobState};
use gleaner_model::reason::Reason;
use rusqlite::{Connection, Row};

use super::{find, job_row, list};
use crate::decode::Column;
use crate::error::Trouble;
use crate::search::{JobFilter, JobPage};
use crate::sql;
use crate::view::JobRow;

/// Jobs looked at in one go.
const AT_A_TIME: u32 = 500;
/// Jobs looked at for one page.
const MOST_LOOKED_AT: u32 = 10_000;

/// Where numbers of jobs come from, in their order.
enum Source {
    Table(&'static str),
    Ended(JobState, Reason),
}

/// At most `limit` jobs behind `after` that fit.
pub(crate) fn jobs(
    connection: &Connection,
    filter: &JobFilter,
    after: JobId,
    limit: u32,
) -> Result<JobPage, Trouble> {
    let needle =
        filter.text.as_deref().map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty());
    // Who writes a whole identifier wants that work, and not to look through all. A number may be a job's, and a year.
    let number: Option<i64> = needle.as_deref().and_then(|text| text.parse().ok());
    if let Some(text) =
        filter.text.as_deref().filter(|_| after == JobId(0) && needle.is_some() && number.is_none())
        && let Some(view) = find(connection, text)?
    {
        let rows = fitting(connection, filter, &[view.row.id.0], None)?.into_iter().filter(|row| {
            filter.state.is_none_or(|state| row.state == state)
                && filter.reason.is_none_or(|reason| row.reason == Some(reason))
        });
        return Ok(JobPage { rows: rows.collect(), next: None, looked_at: 1 });
    }
    let sources = sources(filter);
    let is_exact = needle.is_none() && filter.resolver.is_none() && filter.host.is_none();
    let mut page = JobPage { rows: Vec::new(), next: None, looked_at: 0 };
    let mut behind = after.0;
    loop {
        let missing = limit.saturating_sub(count(page.rows.iter()));
        // One more tells whether there is another page.
        let wanted = if is_exact { missing + 1 } else { AT_A_TIME };
        let ids = numbers(connection, &sources, behind, wanted)?;
        let is_end = ids.len() < wanted as usize;
        for row in fitting(connection, filter, &ids, needle.as_deref())? {
            if page.rows.len() == limit as usize {
                let next = page.rows.last().map(|last| last.id);
                page.looked_at += count(ids.iter().take_while(|id| next.is_some_and(|next| **id <= next.0)));
                page.next = next;
                return Ok(page);
            }
            page.rows.push(row);
        }
        page.looked_at += count(ids.iter());
        let Some(last) = ids.last().filter(|_| !is_end) else { return Ok(page) };
        behind = *last;
        if page.looked_at >= MOST_LOOKED_AT {
            page.next = Some(JobId(behind));
            return Ok(page);
        }
    }
}

fn count<T>(of: impl Iterator<Item = T>) -> u32 {
    u32::try_from(of.count()).unwrap_or(u32::MAX)
}

fn sources(filter: &JobFilter) -> Vec<Source> {
    let ended = |states: &[JobState]| -> Vec<Source> {
        let reasons = match &filter.reason {
            Some(reason) => std::slice::from_ref(reason),
            None => Reason::ALL,
        };
        let all = states.iter().flat_map(|state| reasons.iter().map(|reason| Source::Ended(*state, *reason)));
        all.collect()
    };
    match (filter.state, filter.reason) {
        (None, None) => vec![Source::Table(sql::JOB_IDS)],
        (None, Some(_)) => ended(&[JobState::Done, JobState::Skipped, JobState::Error]),
        (Some(JobState::Queued), None) => {
            vec![Source::Table(sql::READY_IDS), Source::Table(sql::DELAYED_IDS)]
        }
        (Some(JobState::InProgress), None) => vec![Source::Table(sql::LEASE_IDS)],
        // Only what has ended has a reason.
        (Some(JobState::Queued | JobState::InProgress), Some(_)) => Vec::new(),
        (Some(state), _) => ended(&[state]),
    }
}

/// The first `most` numbers behind `behind`, of all sources together.
fn numbers(connection: &Connection, sources: &[Source], behind: i64, most: u32) -> Result<Vec<i64>, Trouble> {
    let number = |row: &Row<'_>| Ok::<_, Trouble>(row.get::<_, i64>(0)?);
    let mut ids = Vec::new();
    for source in sources {
        ids.extend(match source {
            Source::Table(statement) => list(connection, statement, (behind, most), number)?,
            Source::Ended(state, reason) => {
                let values = (behind, most, state.as_str(), reason.as_str());
                list(connection, sql::FINISHED_IDS, values, number)?
            }
        });
    }
    ids.sort_unstable();
    ids.truncate(most as usize);
    Ok(ids)
}

/// Those of these jobs that have the resolver, the host and the text.
fn fitting(
    connection: &Connection,
    filter: &JobFilter,
    ids: &[i64],
    needle: Option<&str>,
) -> Result<Vec<JobRow>, Trouble> {
    let resolver = filter.resolver.as_ref().map(|name| name.as_str());
    let host = filter.host.as_ref().map(|host| host.as_str());
    let rows = list(connection, sql::JOB_ROWS_OF, (format!("{ids:?}"), resolver, host), |row| {
        let line = job_row(row)?;
        let Some(needle) = needle else { return Ok::<_, Trouble>(Some(line)) };
        let artifact = Artifact::read(line.id.0, row.get_ref(9)?.as_str()?)?;
        let fits = says(&artifact, needle)
            || line.id.0.to_string() == needle
            || line.artifact_id.as_str().to_lowercase().contains(needle);
        Ok(Some(line).filter(|_| fits))
    })?;
    Ok(rows.into_iter().flatten().collect())
}

/// Whether a work's title, authors, year or identifiers have that text, which is in lower case.
fn says(artifact: &Artifact, needle: &str) -> bool {
    let has = |text: &str| text.to_lowercase().contains(needle);
    artifact.title.as_deref().is_some_and(has)
        || artifact.authors.iter().any(|author| has(author))
        || artifact.year.is_some_and(|year| year.to_string() == needle)
        || artifact.identifiers.iter().any(|one| has(one.value()))
}
