//! Tables, their versions, and how connections are set up.

use std::path::Path;

use rusqlite::Connection;

use crate::store::StoreError;

/// Each entry leads from the version before it to its own; an entry is never changed once it was
/// released. `user_version` holds how many were applied.
const MIGRATIONS: &[&str] = &["
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
"];

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
    for (version, statements) in (1..).zip(MIGRATIONS).skip(found as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(statements)?;
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
