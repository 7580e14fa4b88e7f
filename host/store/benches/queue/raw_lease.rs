//! Lease and ack as fast as SQLite does them, 64 jobs at a time with `synchronous = FULL`, in two forms: as
//! anybody would write a queue, and as it was fastest. Must never go through the store.

use std::path::Path;
use std::time::Instant;

use rusqlite::Connection;

use crate::raw::Raw;

/// Jobs of a lease.
const BATCH: usize = 64;

/// Jobs a second with one table whose rows change their state: one statement leases, which is a transaction, and
/// another transaction acks. Default settings but for the log and FULL.
pub(crate) fn one_table(dir: &Path, jobs: usize) -> f64 {
    let mut connection = Connection::open(dir.join("one-table.db")).unwrap();
    let schema = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE j (id INTEGER PRIMARY KEY, state INT, due INT, tok INT, p TEXT);
         CREATE INDEX ix ON j (due, id) WHERE state = 0;";
    connection.execute_batch(schema).unwrap();
    let load = connection.transaction().unwrap();
    for n in 0..jobs {
        let insert = "INSERT INTO j (state, due, tok, p) VALUES (0, 0, 0, ?1)";
        load.prepare_cached(insert).unwrap().execute([payload(n)]).unwrap();
    }
    load.commit().unwrap();
    let mut lease = connection
        .prepare(
            "UPDATE j SET state = 1, tok = tok + 1
             WHERE id IN (SELECT id FROM j WHERE state = 0 AND due <= 1 ORDER BY due, id LIMIT ?1)
             RETURNING id, tok",
        )
        .unwrap();
    let mut ack =
        connection.prepare("UPDATE j SET state = 2 WHERE id = ?1 AND tok = ?2 AND state = 1").unwrap();
    let (started, mut done) = (Instant::now(), 0);
    loop {
        let leased = lease.query_map([BATCH], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let leased: Vec<(i64, i64)> = leased.map(Result::unwrap).collect();
        if leased.is_empty() {
            break;
        }
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        done += leased.iter().map(|lease| ack.execute(*lease).unwrap()).sum::<usize>();
        connection.execute_batch("COMMIT").unwrap();
    }
    assert_eq!(done, jobs, "every job is leased and acked once");
    done as f64 / started.elapsed().as_secs_f64()
}

/// Jobs a second with a table per state: a turn acks the jobs of the last one and leases the next, in one
/// transaction, with statements that stay prepared and the log merged beside it.
pub(crate) fn table_per_state(dir: &Path, jobs: usize) -> f64 {
    let raw = Raw::open(dir.join("table-per-state.db"));
    let connection = &raw.connection;
    let schema = "
        CREATE TABLE ready (key TEXT, prio INT, id INT, attempts INT, plan TEXT, PRIMARY KEY (key, prio, id))
            WITHOUT ROWID;
        CREATE TABLE lease (id INTEGER PRIMARY KEY, token INT, key TEXT, prio INT, attempts INT, until_ms INT,
            process INT, plan TEXT);
        CREATE TABLE finished (id INTEGER PRIMARY KEY, state TEXT, reason TEXT, at_ms INT, attempts INT,
            plan TEXT);
        BEGIN;";
    connection.execute_batch(schema).unwrap();
    let mut load = connection.prepare("INSERT INTO ready VALUES ('resolver:noop', 0, ?1, 0, ?2)").unwrap();
    for n in 0..jobs {
        load.execute((n, payload(n))).unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
    let pick = "SELECT id, attempts, plan FROM ready WHERE key = 'resolver:noop' ORDER BY prio, id LIMIT ?1";
    let mut pick = connection.prepare(pick).unwrap();
    let leave = "DELETE FROM ready WHERE key = 'resolver:noop' AND prio = 0 AND id = ?1";
    let mut leave = connection.prepare(leave).unwrap();
    let enter = "INSERT INTO lease VALUES (?1, ?2, 'resolver:noop', 0, ?3, 1, 1, ?4)";
    let mut enter = connection.prepare(enter).unwrap();
    let mut take = connection.prepare("DELETE FROM lease WHERE id = ?1 AND token = ?2").unwrap();
    let end = "INSERT INTO finished VALUES (?1, 'skipped', 'no_candidate', 1, ?2, ?3)";
    let mut end = connection.prepare(end).unwrap();
    let (started, mut done, mut held) = (Instant::now(), 0, Vec::new());
    loop {
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        for (id, token, attempts, plan) in held.drain(..) {
            assert_eq!(take.execute((id, token)).unwrap(), 1, "the lease is held");
            done += end.execute((id, attempts, plan)).unwrap();
        }
        let picked = pick.query_map([BATCH], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        let picked: Vec<(i64, i64, String)> = picked.map(Result::unwrap).collect();
        for (id, attempts, plan) in picked {
            let (token, attempts) = (fastrand::i64(..), attempts + 1);
            leave.execute([id]).unwrap();
            enter.execute((id, token, attempts, &plan)).unwrap();
            held.push((id, token, attempts, plan));
        }
        connection.execute_batch("COMMIT").unwrap();
        raw.committed();
        if held.is_empty() {
            break;
        }
    }
    assert_eq!(done, jobs, "every job is leased and acked once");
    done as f64 / started.elapsed().as_secs_f64()
}

fn payload(n: usize) -> String {
    format!("{{\"doi\":\"10.1/{n}\"}}")
}
