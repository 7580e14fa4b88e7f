//! Every statement by name: one file each under `sql/`, prepared once per connection and held.
//!
//! Must never be built at run time: what varies is a parameter.

macro_rules! statements {
    ($($name:ident = $file:literal),+ $(,)?) => {
        $(pub(crate) const $name: &str = include_str!(concat!("sql/", $file, ".sql"));)+

        /// Name of the file and text, of each.
        #[cfg(test)]
        const ALL: &[(&str, &str)] = &[$(($file, $name)),+];
    };
}

statements! {
    ATTEMPT_INSERT = "attempt_insert",
    ATTEMPTS_AFTER = "attempts_after",
    ATTEMPTS_OF_JOB = "attempts_of_job",
    BACKLOG_READY = "backlog_ready",
    BACKLOG_WAITING = "backlog_waiting",
    COOLDOWN_SAVE = "cooldown_save",
    COOLDOWNS = "cooldowns",
    DELAYED_INSERT = "delayed_insert",
    DELAYED_TAKE_DUE = "delayed_take_due",
    FILE_INSERT = "file_insert",
    FILE_KNOWN = "file_known",
    FILE_OF_JOB = "file_of_job",
    FILES_AFTER = "files_after",
    FINISHED_DELETE = "finished_delete",
    FINISHED_INSERT = "finished_insert",
    FINISHED_PICK = "finished_pick",
    FINISHED_TAKE_SKIPPED = "finished_take_skipped",
    HOLDING_INSERT = "holding_insert",
    IDENTIFIER_INSERT = "identifier_insert",
    JOB_ARTIFACT = "job_artifact",
    JOB_ARTIFACT_UPDATE = "job_artifact_update",
    JOB_BY_ARTIFACT_ID = "job_by_artifact_id",
    JOB_BY_IDENTIFIER = "job_by_identifier",
    JOB_INSERT = "job_insert",
    JOB_ROWS = "job_rows",
    JOB_VIEW = "job_view",
    JOBS_OF_RUN = "jobs_of_run",
    JOBS_UNFINISHED = "jobs_unfinished",
    LEASE_EXTEND = "lease_extend",
    LEASE_INSERT = "lease_insert",
    LEASE_KEEP = "lease_keep",
    LEASE_TAKE = "lease_take",
    LEASE_TAKE_EXPIRED = "lease_take_expired",
    LEASE_TAKE_FOREIGN = "lease_take_foreign",
    MISPLACED_JOBS = "misplaced_jobs",
    PROCESS_INSERT = "process_insert",
    QUICK_CHECK = "quick_check",
    READY_DELETE = "ready_delete",
    READY_INSERT = "ready_insert",
    READY_PICK = "ready_pick",
    RUN_INSERT = "run_insert",
    STATS = "stats",
    SUMMARY_FILES = "summary_files",
    SUMMARY_RESOLVERS = "summary_resolvers",
    SUMMARY_STATES = "summary_states",
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::ALL;
    use crate::connection::{Mode, open};

    #[test]
    fn every_file_is_used_and_fits_the_schema() {
        let dir = tempfile::tempdir().unwrap();
        let connection = open(&dir.path().join("library.db"), Mode::Write, &crate::tests::options()).unwrap();
        for (name, text) in ALL {
            connection.prepare(text).unwrap_or_else(|error| panic!("{name}.sql: {error}"));
        }
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sql");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let used: BTreeSet<String> = ALL.iter().map(|(name, _)| format!("{name}.sql")).collect();
        assert_eq!(files, used);
    }

    /// A statement that the dispatcher or a worker waits for must neither sort nor scan a table that grows.
    #[test]
    fn hot_statements_seek() {
        let dir = tempfile::tempdir().unwrap();
        let connection = open(&dir.path().join("library.db"), Mode::Write, &crate::tests::options()).unwrap();
        let hot = [
            "ready_pick",
            "ready_delete",
            "lease_insert",
            "lease_extend",
            "lease_keep",
            "lease_take",
            "attempt_insert",
            "ready_insert",
            "delayed_insert",
            "delayed_take_due",
            "finished_insert",
            "file_insert",
            "holding_insert",
            "job_by_artifact_id",
            "job_by_identifier",
            "job_view",
            "job_rows",
            "file_known",
        ];
        for (name, text) in ALL.iter().filter(|(name, _)| hot.contains(name)) {
            let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
            let parameters = plan.parameter_count();
            let nulls = rusqlite::params_from_iter(std::iter::repeat_n(rusqlite::types::Null, parameters));
            let lines: Vec<String> =
                plan.query_map(nulls, |row| row.get(3)).unwrap().map(Result::unwrap).collect();
            for line in &lines {
                assert!(!line.contains("TEMP B-TREE") && !line.starts_with("SCAN"), "{name}: {lines:#?}");
            }
        }
    }
}
