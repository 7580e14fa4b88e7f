//! A manifest record as it is written: its columns, and its text without the fields that say nothing.
//!
//! Made by whoever asks for the write: the one thread that writes must never encode anything.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::Tx;
use crate::queue::Lease;
use crate::sql;
use gleaner_model::manifest::{AttemptOutcome, ManifestRecord};

/// A record, encoded.
pub(crate) struct Line {
    run_id: String,
    resolver: String,
    host: Option<String>,
    outcome: &'static str,
    json: String,
}

impl Line {
    /// Whether the attempt failed, which may pass.
    pub(super) fn is_failure(&self) -> bool {
        self.outcome == "failed"
    }

    pub(super) fn write(&self, tx: &Tx<'_>, lease: Lease, step: i64) -> rusqlite::Result<()> {
        let Self { run_id, resolver, host, outcome, json } = self;
        let number = tx.attempt_number()?;
        let values = (number, lease.job.0, lease.token.0, step, run_id, resolver, host, outcome, json);
        tx.prepare_cached(sql::ATTEMPT_INSERT)?.execute(values).map(drop)
    }
}

impl From<ManifestRecord> for Line {
    fn from(record: ManifestRecord) -> Self {
        let outcome = match record.outcome {
            AttemptOutcome::Answered => "answered",
            AttemptOutcome::Accepted => "accepted",
            AttemptOutcome::Rejected => "rejected",
            AttemptOutcome::Failed => "failed",
        };
        // Plain data: cannot fail, and an empty text would be refused by the schema.
        let json = without_nulls(&serde_json::to_string(&record).unwrap_or_default());
        let ManifestRecord { run_id, resolver, host, .. } = record;
        Self { run_id, resolver, host, outcome, json }
    }
}

/// The same JSON without members that are null. A record has twenty of them, which were half of its text, and a record is
/// the largest row that a step writes. Whoever reads it back finds the same record.
fn without_nulls(json: &str) -> String {
    const NULL: &str = "\":null";
    static NULLS: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(NULL));
    let mut kept = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = NULLS.find(rest.as_bytes()) {
        let (before, after) = (&rest[..at], &rest[at + NULL.len()..]);
        // A name and nothing else between two quotation marks: within a string a mark has a backslash before it, and
        // between two strings there is punctuation. So this is a member, and not what somebody wrote.
        let is_name = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
        };
        let name = before.rfind('"').filter(|open| is_name(&before[open + 1..]));
        match (name, after.strip_prefix(',')) {
            (Some(open), Some(behind)) => {
                kept.push_str(&before[..open]);
                rest = behind;
            }
            _ => {
                kept.push_str(&rest[..at + NULL.len()]);
                rest = after;
            }
        }
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use gleaner_model::artifact::Artifact;
    use gleaner_model::clock::UnixMillis;
    use gleaner_model::identifier::Identifier;
    use gleaner_model::manifest::RunIdentity;

    use super::*;

    /// What stands in a text is left, whatever it looks like.
    #[test]
    fn a_record_is_read_back_as_it_was() {
        let run = RunIdentity { run_id: "r\",\"x\":null,".into(), config_hash: "c".into() };
        let artifact = Artifact::of(Identifier::parse("10.1000/x").unwrap());
        let mut record = ManifestRecord::new(&run, &artifact, "noop", UnixMillis(0));
        record.detail = r#"{"title":null,"b":"\":null,"}"#.into();
        record.title = Some("ends in \\\":null".into());
        record.extra = vec![("null".into(), ":null,".into()), ("\":null".into(), "\",\"year\":null,".into())];
        let line = Line::from(record.clone());
        assert_eq!(serde_json::from_str::<ManifestRecord>(&line.json).unwrap(), record);
        assert!(!line.json.contains("candidate_url") && line.json.contains("config_hash"), "{}", line.json);
        assert!(line.json.len() < serde_json::to_string(&record).unwrap().len() * 2 / 3, "{}", line.json);
    }
}
