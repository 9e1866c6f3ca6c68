//! Tables, their versions, and how connections are set up.

use std::path::Path;

use rusqlite::{Connection, Transaction};

use super::ledger::Ledger;
use crate::store::{StoreError, StoredRow, now};

/// Each entry leads from the version before it to its own; an entry is never changed once it was
/// released. `user_version` holds how many were applied.
const MIGRATIONS: &[Migration] = &[
    |transaction| Ok(transaction.execute_batch(TRIALS_AND_ROWS)?),
    group_rows_by_series,
];

type Migration = fn(&Transaction<'_>) -> Result<(), StoreError>;

const TRIALS_AND_ROWS: &str = "
    CREATE TABLE trials (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        namespace TEXT NOT NULL,
        UNIQUE (name, namespace)
    );
    -- time: microseconds since 1970
    CREATE TABLE observations (
        id INTEGER PRIMARY KEY,
        trial INTEGER NOT NULL,
        metric TEXT NOT NULL,
        time INTEGER NOT NULL,
        value TEXT NOT NULL
    );
    CREATE INDEX observations_by_metric ON observations (trial, metric, time);
    CREATE TABLE sources (
        trial INTEGER NOT NULL,
        source TEXT NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (trial, source)
    ) WITHOUT ROWID;
    CREATE TABLE batches (
        trial INTEGER NOT NULL,
        batch TEXT NOT NULL,
        PRIMARY KEY (trial, batch)
    ) WITHOUT ROWID;
";

/// Ids of series and rows: see `account.rs`. The one tree of `observations` is also its index.
const SERIES: &str = "
    ALTER TABLE trials ADD COLUMN next_row INTEGER NOT NULL DEFAULT 0;
    -- microseconds since 1970, as all times
    ALTER TABLE trials ADD COLUMN reported INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE batches ADD COLUMN stored INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX batches_by_age ON batches (stored);
    CREATE TABLE series (
        id INTEGER PRIMARY KEY,
        trial INTEGER NOT NULL,
        metric TEXT NOT NULL,
        count INTEGER NOT NULL,
        min TEXT,
        max TEXT,
        first INTEGER NOT NULL,
        latest INTEGER NOT NULL,
        value TEXT NOT NULL
    );
    DROP INDEX observations_by_metric;
    ALTER TABLE observations RENAME TO ungrouped;
    CREATE TABLE observations (
        series INTEGER NOT NULL,
        time INTEGER NOT NULL,
        id INTEGER NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (series, time, id)
    ) WITHOUT ROWID;
";

fn group_rows_by_series(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    transaction.execute_batch(SERIES)?;
    let now = now();
    transaction.execute("UPDATE trials SET reported = ?1", [now])?;
    transaction.execute("UPDATE batches SET stored = ?1", [now])?;
    let mut ledger = Ledger::new(transaction);
    let mut statement =
        transaction.prepare("SELECT trial, metric, time, value FROM ungrouped ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let stored = StoredRow {
            metric: row.get(1)?,
            micros: row.get(2)?,
            value: row.get(3)?,
        };
        ledger.insert(row.get(0)?, &[stored])?;
    }
    ledger.settle(now)?;
    drop(rows);
    drop(statement);
    Ok(transaction.execute_batch("DROP TABLE ungrouped")?)
}

/// Connects for writing. `synchronous=FULL` makes each commit survive the loss of power.
pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path).map_err(|error| named(path, &error))?;
    connection.execute_batch(
        "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;",
    )?;
    Ok(connection)
}

/// Connects for reading alone.
pub(super) fn connect_to_read(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path).map_err(|error| named(path, &error))?;
    connection.execute_batch("PRAGMA busy_timeout = 10000; PRAGMA query_only = ON;")?;
    Ok(connection)
}

/// Applies the migrations that a database lacks, each as a whole.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let known = MIGRATIONS.len() as i64;
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for (version, migration) in (1..).zip(MIGRATIONS).skip(found as usize) {
        let transaction = connection.transaction()?;
        migration(&transaction)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

fn named(path: &Path, error: &rusqlite::Error) -> StoreError {
    StoreError::Database(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_first_version_are_grouped() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(TRIALS_AND_ROWS).unwrap();
        connection
            .execute_batch(
                "INSERT INTO trials VALUES (7, 't', 'n');
                 INSERT INTO batches VALUES (7, 'b');
                 INSERT INTO observations VALUES
                     (1, 7, 'loss', 20, '0.2'), (2, 7, 'acc', 10, 'x'), (3, 7, 'loss', 10, '0.30');
                 PRAGMA user_version = 1;",
            )
            .unwrap();
        migrate(&mut connection).unwrap();
        let read = |sql: &str| {
            let mut statement = connection.prepare(sql).unwrap();
            let rows = statement
                .query_map([], |row| row.get::<_, String>(0))
                .unwrap();
            rows.map(Result::unwrap).collect::<Vec<_>>()
        };
        let series =
            read("SELECT format('%s %d %s %s %s', metric, count, min, max, value) FROM series");
        assert_eq!(series, ["loss 2 0.2 0.30 0.2", "acc 1   x"]);
        let rows = read(
            "SELECT format('%s %d %d %s', metric, time, o.id, o.value)
             FROM observations o JOIN series ON series.id = series ORDER BY o.id",
        );
        assert_eq!(rows, ["loss 20 0 0.2", "acc 10 1 x", "loss 10 2 0.30"]);
        assert_eq!(read("SELECT format('%d', next_row) FROM trials"), ["3"]);
        let forgotten = read("SELECT batch FROM batches WHERE stored = 0");
        assert_eq!(forgotten, [""; 0]);
    }

    #[test]
    fn migrating_twice_changes_nothing_and_a_newer_schema_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        connection
            .execute("INSERT INTO trials (name, namespace) VALUES ('t', 'n')", [])
            .unwrap();
        migrate(&mut connection).unwrap();
        let trials: i64 = connection
            .query_row("SELECT count(*) FROM trials", [], |row| row.get(0))
            .unwrap();
        assert_eq!(trials, 1);

        connection.pragma_update(None, "user_version", 99).unwrap();
        let known = MIGRATIONS.len() as i64;
        assert_eq!(
            migrate(&mut connection),
            Err(StoreError::Newer { found: 99, known })
        );
    }
}
