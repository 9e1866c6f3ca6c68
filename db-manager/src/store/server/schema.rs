//! Which tables of a database are used, and how they are brought up to date. `diwan_schema` holds
//! their version.

use futures::TryStreamExt as _;

use super::{
    engine::{Arg, Dialect, Engine, Fault, Kind, Session},
    reader,
    tables::{NOTES, ROWS, versions},
};
use crate::store::{Schema, StoreError, StoredRow, now};

/// Which tables are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Diwan's.
    Diwan,
    /// Katib's table for the rows. With `notes`, Diwan's tables of trials, sources and batches
    /// stand beside it and remember which reports were stored.
    Katib { notes: bool },
}

/// The lock that openers of a database take, so that two don't migrate it at once: any number that
/// others are unlikely to use.
const LOCK: i64 = 0x64_69_77_61_6e;

/// Finds out which tables to use, and makes or migrates them where that is wanted.
pub(super) async fn prepare(engine: &dyn Engine, schema: Schema) -> Result<Layout, Fault> {
    let dialect = engine.dialect();
    let mut session = engine.begin().await?;
    let session_ref = &mut *session;
    let known = versions(dialect).len();
    if schema == Schema::Untouched {
        return untouched(session_ref, known).await;
    }
    lock(session_ref, dialect).await?;
    let outcome = migrated(session_ref, dialect, schema, known).await;
    if dialect == Dialect::Mysql {
        // Held by the connection, which goes back to its pool.
        session_ref
            .execute("DO RELEASE_LOCK('diwan_schema')", vec![])
            .await?;
    }
    let layout = outcome?;
    session.commit().await?;
    Ok(layout)
}

async fn lock(session: &mut dyn Session, dialect: Dialect) -> Result<(), Fault> {
    match dialect {
        Dialect::Postgres => {
            let sql = format!("SELECT pg_advisory_xact_lock({LOCK})");
            session.execute(&sql, vec![]).await?;
        }
        Dialect::Mysql => {
            session
                .execute("DO GET_LOCK('diwan_schema', 600)", vec![])
                .await?;
        }
    }
    Ok(())
}

/// Uses what is there.
async fn untouched(session: &mut dyn Session, known: usize) -> Result<Layout, Fault> {
    let found = version(session).await?;
    newer(found, known)?;
    if found == known {
        return Ok(Layout::Diwan);
    }
    if has_table(session, "observation_logs").await? {
        let notes = found >= NOTES;
        return Ok(Layout::Katib { notes });
    }
    let error = if found == 0 {
        "the table observation_logs is not there, and none may be made".to_owned()
    } else {
        format!("version {found} has to be brought to {known}, which is not allowed")
    };
    Err(StoreError::Schema(format!("{error}; unset SKIP_DB_INITIALIZATION")).into())
}

/// Makes or migrates tables.
async fn migrated(
    session: &mut dyn Session,
    dialect: Dialect,
    schema: Schema,
    known: usize,
) -> Result<Layout, Fault> {
    session
        .execute(
            "CREATE TABLE IF NOT EXISTS diwan_schema (version BIGINT NOT NULL)",
            vec![],
        )
        .await?;
    let found = version(session).await?;
    newer(found, known)?;
    let katib = has_table(session, "observation_logs").await?;
    let stay = schema == Schema::Detect && katib && found <= NOTES;
    let until = if stay { NOTES } else { known };
    let steps = (1..).zip(versions(dialect));
    for (version, statements) in steps.take(until).skip(found) {
        for statement in *statements {
            session.execute(statement, vec![]).await?;
        }
        if version == ROWS && katib {
            if dialect == Dialect::Mysql {
                // The statements that made tables have ended the transaction.
                session.execute("START TRANSACTION", vec![]).await?;
            }
            take_over(session, dialect).await?;
        }
        note_version(session, version as i64).await?;
    }
    Ok(if stay {
        Layout::Katib { notes: true }
    } else {
        Layout::Diwan
    })
}

/// Copies the rows of Katib's table, in the order that they came in. The table stays as it is.
async fn take_over(session: &mut dyn Session, dialect: Dialect) -> Result<(), Fault> {
    /// How many rows are held in memory at a time.
    const PAGE: usize = 50_000;
    // What a broken attempt left behind, where the server can't take tables back.
    for table in ["diwan_observations", "diwan_series"] {
        session
            .execute(&format!("DELETE FROM {table}"), vec![])
            .await?;
    }
    let columns = match dialect {
        Dialect::Postgres => "trial_name, ''::text, ?::bigint",
        Dialect::Mysql => "CAST(trial_name AS BINARY), '', ?",
    };
    let names = dialect.insert_select_new(
        "diwan_trials (name, namespace, reported)",
        &format!("SELECT DISTINCT {columns} FROM observation_logs"),
    );
    session.execute(&names, vec![now().into()]).await?;
    session
        .execute("UPDATE diwan_trials SET next_row = 0", vec![])
        .await?;
    let mut after = i64::MIN;
    loop {
        let sql = format!(
            "SELECT id, trial_name, metric_name, {}, value FROM observation_logs
             WHERE id > ? AND time IS NOT NULL ORDER BY id LIMIT {PAGE}",
            dialect.katib_micros()
        );
        let shape = &[Kind::Int, Kind::Text, Kind::Text, Kind::Int, Kind::Text];
        let mut page: Vec<(String, StoredRow)> = Vec::new();
        {
            let mut records = session.fetch(&sql, vec![after.into()], shape);
            while let Some(mut record) = records.try_next().await? {
                after = record.int(0);
                let row = StoredRow {
                    metric: record.text(2),
                    micros: record.int(3),
                    value: record.text(4),
                };
                page.push((record.text(1), row));
            }
        }
        let full = page.len() == PAGE;
        // The sort is stable: rows of a trial keep their order.
        page.sort_by(|(a, _), (b, _)| a.cmp(b));
        for chunk in page.chunk_by(|(a, _), (b, _)| a == b) {
            let rows: Vec<StoredRow> = chunk.iter().map(|(_, row)| row.clone()).collect();
            let mut account = reader::account_by_name(session, &chunk[0].0).await?;
            super::writer::add(session, dialect, &mut account, &rows).await?;
        }
        if !full {
            return Ok(());
        }
    }
}

/// Sets the version in one statement, so that there is one at each instant.
async fn note_version(session: &mut dyn Session, version: i64) -> Result<(), Fault> {
    for sql in [
        "UPDATE diwan_schema SET version = ?",
        "INSERT INTO diwan_schema (version) VALUES (?)",
    ] {
        if session.execute(sql, vec![version.into()]).await? > 0 {
            break;
        }
    }
    Ok(())
}

/// Returns the version that a database has; 0 where it has none.
async fn version(session: &mut dyn Session) -> Result<usize, Fault> {
    if !has_table(session, "diwan_schema").await? {
        return Ok(0);
    }
    let mut records = session.fetch("SELECT version FROM diwan_schema", vec![], &[Kind::Int]);
    let version = records.try_next().await?.map_or(0, |record| record.int(0));
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

fn newer(found: usize, known: usize) -> Result<(), StoreError> {
    if found <= known {
        return Ok(());
    }
    Err(StoreError::Newer {
        found: found as i64,
        known: known as i64,
    })
}

async fn has_table(session: &mut dyn Session, name: &str) -> Result<bool, Fault> {
    let dialect = session.dialect();
    let sql = format!(
        "SELECT CAST(1 AS {}) FROM information_schema.tables
         WHERE table_schema = {} AND table_name = ?",
        match dialect {
            Dialect::Postgres => "bigint",
            Dialect::Mysql => "SIGNED",
        },
        dialect.current_schema()
    );
    let mut records = session.fetch(&sql, vec![Arg::from(name)], &[Kind::Int]);
    Ok(records.try_next().await?.is_some())
}
