//! What asking for a held file again came to.
//!
//! Must never let a file or its name go: what was held before is written down as an earlier version.

use gleaner_model::clock::UnixMillis;
use gleaner_model::job::{JobId, LeaseToken};
use rusqlite::OptionalExtension;

use super::{Line, Tx};
use crate::error::Trouble;
use crate::queue::{Fenced, Lease, StoredFile};
use crate::sql;

/// Adds the record, and `file` if there is one, as long as the job holds the file `held`.
pub(crate) fn visited(
    tx: &Tx<'_>,
    (job, held): (JobId, &str),
    token: LeaseToken,
    line: &Line,
    file: Option<&StoredFile>,
    now: UnixMillis,
) -> Result<Fenced, Trouble> {
    let mut select = tx.prepare_cached(sql::HOLDING_OF_JOB)?;
    let holding = select.query_row([job.0], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)));
    let Some((sha256, name)) = holding.optional()?.filter(|(sha256, _)| sha256 == held) else {
        return Ok(Fenced::Lost);
    };
    line.write(tx, Lease { job, token }, 0)?;
    // A try that failed is due as it was.
    if !line.is_failure() {
        tx.prepare_cached(sql::VISIT_SAVE)?.execute((job.0, now.0))?;
    }
    if let Some(file) = file {
        if file.sha256 != sha256 {
            let values = (&file.sha256, file.size, &file.media_type, now.0);
            tx.prepare_cached(sql::FILE_INSERT)?.execute(values)?;
            tx.prepare_cached(sql::EARLIER_INSERT)?.execute((job.0, sha256, name, now.0))?;
        }
        tx.prepare_cached(sql::HOLDING_UPDATE)?.execute((job.0, &file.sha256, &file.name))?;
    }
    Ok(Fenced::Held(()))
}
