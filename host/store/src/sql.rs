//! Every statement by name: one file each under `sql/`, prepared once per connection and held.
//!
//! Must never be built at run time: what varies is a parameter.

macro_rules! statements {
    ($($name:ident = $file:literal),+ $(,)?) => {
        $(pub(crate) const $name: &str = include_str!(concat!("sql/", $file));)+

        /// Name of the file and text, of each.
        #[cfg(test)]
        const ALL: &[(&str, &str)] = &[$(($file, $name)),+];
    };
}

statements! {
    AHEAD_OF_JOB = "ahead_of_job.sql",
    ATTEMPT_INSERT = "attempt_insert.sql",
    ATTEMPT_NEXT = "attempt_next.sql",
    ATTEMPTS_AFTER = "attempts_after.sql",
    ATTEMPTS_DELETE = "attempts_delete.sql",
    ATTEMPTS_END = "attempts_end.sql",
    ATTEMPTS_OF_JOB = "attempts_of_job.sql",
    ATTEMPTS_OF_JOB_AFTER = "attempts_of_job_after.sql",
    BACKLOG_INSERT = "backlog_insert.sql",
    BACKLOG_KEYS = "backlog_keys.sql",
    BACKLOG_MOVE = "backlog_move.sql",
    BACKLOG_PRUNE = "backlog_prune.sql",
    BACKLOG_WAITING = "backlog_waiting.sql",
    BACKUP = "backup.sql",
    CONDITION_SAVE = "condition_save.sql",
    COOLDOWN_SAVE = "cooldown_save.sql",
    DELAYED_HASTEN = "delayed_hasten.sql",
    DELAYED_IDS = "delayed_ids.sql",
    DELAYED_INSERT = "delayed_insert.sql",
    DELAYED_TAKE_DUE = "delayed_take_due.sql",
    DELAYED_TAKE_OF_JOB = "delayed_take_of_job.sql",
    EARLIER_AFTER = "earlier_after.sql",
    EARLIER_BY_SHA256 = "earlier_by_sha256.sql",
    EARLIER_INSERT = "earlier_insert.sql",
    EARLIER_OF_JOB = "earlier_of_job.sql",
    EARLIER_THERE = "earlier_there.sql",
    FILE_INSERT = "file_insert.sql",
    FILE_KNOWN = "file_known.sql",
    FILE_OF_JOB = "file_of_job.sql",
    FILES_AFTER = "files_after.sql",
    FILES_BETWEEN = "files_between.sql",
    FINISHED_DELETE = "finished_delete.sql",
    FINISHED_IDS = "finished_ids.sql",
    FINISHED_INSERT = "finished_insert.sql",
    FINISHED_PICK = "finished_pick.sql",
    FINISHED_TAKE_SKIPPED = "finished_take_skipped.sql",
    HOLDING_INSERT = "holding_insert.sql",
    HOLDING_OF_JOB = "holding_of_job.sql",
    HOLDING_UPDATE = "holding_update.sql",
    HOLDINGS_BY_SHA256 = "holdings_by_sha256.sql",
    IDENTIFIER_INSERT = "identifier_insert.sql",
    IDENTIFIERS_DELETE = "identifiers_delete.sql",
    JOB_ARTIFACT = "job_artifact.sql",
    JOB_ARTIFACT_UPDATE = "job_artifact_update.sql",
    JOB_BY_ARTIFACT_ID = "job_by_artifact_id.sql",
    JOB_BY_IDENTIFIER = "job_by_identifier.sql",
    JOB_DELETE = "job_delete.sql",
    JOB_IDS = "job_ids.sql",
    JOB_INSERT = "job_insert.sql",
    JOB_ROWS = "job_rows.sql",
    JOB_ROWS_OF = "job_rows_of.sql",
    JOB_VIEW = "job_view.sql",
    JOBS_OF_RUN = "jobs_of_run.sql",
    JOBS_UNFINISHED = "jobs_unfinished.sql",
    KEY_CLAIM = "key_claim.sql",
    KEY_LIMIT = "key_limit.sql",
    KEY_OWNER = "key_owner.sql",
    KEY_PAUSE = "key_pause.sql",
    KEY_RELEASE = "key_release.sql",
    KEYS_ALL = "keys_all.sql",
    KEYS_OF_PROCESS = "keys_of_process.sql",
    KEYS_PRUNE = "keys_prune.sql",
    KEYS_RELEASE = "keys_release.sql",
    KEYS_SET = "keys_set.sql",
    LEASE_DELETE = "lease_delete.sql",
    LEASE_EXTEND = "lease_extend.sql",
    LEASE_HELD = "lease_held.sql",
    LEASE_IDS = "lease_ids.sql",
    LEASE_INSERT = "lease_insert.sql",
    LEASE_KEEP = "lease_keep.sql",
    LEASE_TAKE_EXPIRED = "lease_take_expired.sql",
    LEASE_TAKE_OF_JOB = "lease_take_of_job.sql",
    LEASE_TAKE_OF_PROCESS = "lease_take_of_process.sql",
    LEASES_OF_KEY = "leases_of_key.sql",
    LEASES_OF_PROCESS = "leases_of_process.sql",
    MISCOUNTED = "miscounted.sql",
    MISPLACED_JOBS = "misplaced_jobs.sql",
    PROCESS_DELETE = "process_delete.sql",
    PROCESS_INSERT = "process_insert.sql",
    PROCESS_RENEW = "process_renew.sql",
    NEWEST = "newest.sql",
    PROCESSES = "processes.sql",
    PURGE_PICK = "purge_pick.sql",
    QUICK_CHECK = "quick_check.sql",
    READY_DELETE = "ready_delete.sql",
    READY_HAND_OVER = "ready_hand_over.sql",
    READY_IDS = "ready_ids.sql",
    READY_INSERT = "ready_insert.sql",
    READY_MOVE = "ready_move.sql",
    READY_PAGE = "ready_page.sql",
    READY_PICK = "ready_pick.sql",
    READY_PLACE = "ready_place.sql",
    READY_TAKE_OF_JOB = "ready_take_of_job.sql",
    RUN_FIRST_ATTEMPT = "run_first_attempt.sql",
    RUN_INSERT = "run_insert.sql",
    STATS = "stats.sql",
    SUMMARY_FILES = "summary_files.sql",
    SUMMARY_LIBRARY_FILES = "summary_library_files.sql",
    SUMMARY_LIBRARY_RESOLVERS = "summary_library_resolvers.sql",
    SUMMARY_LIBRARY_STATES = "summary_library_states.sql",
    SUMMARY_RESOLVERS = "summary_resolvers.sql",
    SUMMARY_STATES = "summary_states.sql",
    SUSPENSION_DELETE = "suspension_delete.sql",
    SUSPENSION_SAVE = "suspension_save.sql",
    SUSPENSIONS = "suspensions.sql",
    TALLY_ADD = "tally_add.sql",
    VACUUM_SOME = "vacuum_some.sql",
    VISIT_OF_JOB = "visit_of_job.sql",
    VISIT_SAVE = "visit_save.sql",
    VISITS_DUE = "visits_due.sql",
    WISH_DELETE = "wish_delete.sql",
    WISH_INSERT = "wish_insert.sql",
    WISHES_OF_OTHERS = "wishes_of_others.sql",
    WISHES_PRUNE = "wishes_prune.sql",
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
            connection.prepare(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sql");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let used: BTreeSet<String> = ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(files, used);
    }

    /// A statement that the dispatcher or a worker waits for must neither sort, nor scan a table that grows, nor build one.
    #[test]
    fn hot_statements_seek() {
        let dir = tempfile::tempdir().unwrap();
        let connection = open(&dir.path().join("library.db"), Mode::Write, &crate::tests::options()).unwrap();
        let hot = [
            "ready_pick.sql",
            "ready_place.sql",
            "ready_hand_over.sql",
            "ready_page.sql",
            "ready_move.sql",
            "ready_take_of_job.sql",
            "delayed_take_of_job.sql",
            "lease_take_of_job.sql",
            "backlog_move.sql",
            "backlog_insert.sql",
            "tally_add.sql",
            "key_owner.sql",
            "key_claim.sql",
            "key_release.sql",
            "keys_release.sql",
            "attempts_delete.sql",
            "identifiers_delete.sql",
            "job_delete.sql",
            "ready_delete.sql",
            "lease_insert.sql",
            "lease_extend.sql",
            "lease_keep.sql",
            "lease_held.sql",
            "lease_delete.sql",
            "attempt_insert.sql",
            "attempt_next.sql",
            "ready_insert.sql",
            "delayed_insert.sql",
            "delayed_take_due.sql",
            "finished_insert.sql",
            "file_insert.sql",
            "holding_insert.sql",
            "job_by_artifact_id.sql",
            "job_by_identifier.sql",
            "job_view.sql",
            "job_rows.sql",
            "job_ids.sql",
            "ready_ids.sql",
            "delayed_ids.sql",
            "lease_ids.sql",
            "finished_ids.sql",
            "file_known.sql",
            "holding_of_job.sql",
            "holding_update.sql",
            "earlier_of_job.sql",
            "visit_of_job.sql",
            "attempts_end.sql",
        ];
        for (name, text) in ALL.iter().filter(|(name, _)| hot.contains(name)) {
            let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
            let parameters = plan.parameter_count();
            let nulls = rusqlite::params_from_iter(std::iter::repeat_n(rusqlite::types::Null, parameters));
            let lines: Vec<String> =
                plan.query_map(nulls, |row| row.get(3)).unwrap().map(Result::unwrap).collect();
            let mut program = connection.prepare(&format!("EXPLAIN {text}")).unwrap();
            let nulls = rusqlite::params_from_iter(std::iter::repeat_n(rusqlite::types::Null, parameters));
            let steps: Vec<String> =
                program.query_map(nulls, |row| row.get(1)).unwrap().map(Result::unwrap).collect();
            let builds = steps.iter().any(|step| step == "OpenEphemeral");
            assert!(!(builds && text.starts_with("INSERT")), "{name} builds a table for each row");
            for line in &lines {
                // A statement that reads no table by itself is told as a scan of one row.
                let scans = line.starts_with("SCAN") && line != "SCAN CONSTANT ROW";
                assert!(!line.contains("TEMP B-TREE") && !scans, "{name}: {lines:#?}");
            }
        }
    }
}
