//! Insertion as fast as SQLite takes it: the rows that the store made of an import, inserted table by table with
//! prepared statements into a library that is empty. Nothing is parsed, normalised or looked up.
//!
//! Must never name a table or a column, so that it measures whatever schema the store has.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gleaner_model::clock::SystemClock;
use gleaner_store::Library;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Rows, params_from_iter};

use crate::claim::options;
use crate::raw::Raw;

/// Rows of each table in one transaction: as many jobs as the store adds in one.
const BATCH: usize = 5000;

struct Table {
    select: String,
    insert: String,
}

/// Jobs a second, the final merging of the log included, the reading of the rows not.
pub(crate) fn insert(library: &Path, dir: &Path) -> f64 {
    make_empty_library(dir);
    let source =
        Connection::open_with_flags(library.join(Library::DATABASE), OpenFlags::SQLITE_OPEN_READ_ONLY)
            .unwrap();
    let target = Raw::open(dir.join(Library::DATABASE));
    let tables = tables(&source, &target.connection);
    let mut selects: Vec<_> = tables.iter().map(|table| source.prepare(&table.select).unwrap()).collect();
    let mut cursors: Vec<Rows<'_>> = selects.iter_mut().map(|select| select.query([]).unwrap()).collect();
    let mut took = Duration::ZERO;
    loop {
        let batch: Vec<Vec<Vec<Value>>> = cursors.iter_mut().map(take).collect();
        if batch.iter().all(Vec::is_empty) {
            break;
        }
        let started = Instant::now();
        target.connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        for (table, rows) in tables.iter().zip(&batch) {
            let mut insert = target.connection.prepare_cached(&table.insert).unwrap();
            for row in rows {
                insert.execute(params_from_iter(row)).unwrap();
            }
        }
        target.connection.execute_batch("COMMIT").unwrap();
        target.committed();
        took += started.elapsed();
    }
    let jobs: i64 = source.query_row("SELECT count(*) FROM job", [], |row| row.get(0)).unwrap();
    let started = Instant::now();
    target.close();
    jobs as f64 / (took + started.elapsed()).as_secs_f64()
}

/// The schema is what the store makes of an empty directory.
fn make_empty_library(dir: &Path) {
    let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tokio.block_on(Library::open(dir, &options(), Arc::new(SystemClock)).unwrap().close());
}

/// The tables that an import filled. Their rows come in the order of the jobs, as an import adds them; in the
/// order of an index they would go in faster than any import can.
fn tables(source: &Connection, target: &Connection) -> Vec<Table> {
    let all =
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid";
    let mut names = source.prepare(all).unwrap();
    let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let is_empty = |connection: &Connection, name: &str| -> bool {
        let any = format!("SELECT NOT EXISTS (SELECT 1 FROM {name})");
        connection.query_row(&any, [], |row| row.get(0)).unwrap()
    };
    let filled = names.iter().filter(|name| !is_empty(source, name) && is_empty(target, name));
    filled.map(|name| table(source, name)).collect()
}

fn table(source: &Connection, name: &str) -> Table {
    let mut columns = source.prepare(&format!("SELECT name FROM pragma_table_info('{name}')")).unwrap();
    let columns: Vec<String> = columns.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let order = ["job", "id"].into_iter().find(|job| columns.iter().any(|column| column == job));
    let order = order.map_or_else(String::new, |column| format!(" ORDER BY {column}"));
    let places = vec!["?"; columns.len()].join(", ");
    Table {
        select: format!("SELECT * FROM {name}{order}"),
        insert: format!("INSERT INTO {name} VALUES ({places})"),
    }
}

fn take(rows: &mut Rows<'_>) -> Vec<Vec<Value>> {
    let mut taken = Vec::with_capacity(BATCH);
    while taken.len() < BATCH
        && let Some(row) = rows.next().unwrap()
    {
        let columns = row.as_ref().column_count();
        taken.push((0..columns).map(|column| row.get(column).unwrap()).collect());
    }
    taken
}
