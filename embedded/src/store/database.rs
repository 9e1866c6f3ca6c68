//! The file on disk: the only SQL of this crate.

use std::{
    collections::HashSet, fs::OpenOptions, os::unix::fs::OpenOptionsExt, path::Path, sync::Arc,
};

use rusqlite::{Connection, Transaction, params};

use super::{Key, Object, OpenError, State};
use crate::resource::{CUSTOM_RESOURCE_DEFINITIONS, STORAGES, intern};

/// The format written by this program; a database of a newer one is refused.
const FORMAT: i64 = 1;

/// The open database.
pub(super) struct Database {
    connection: Connection,
}

/// One change that goes to disk.
pub(super) struct Row<'a> {
    /// The object.
    pub(super) object: &'a Object,
    /// Whether it goes.
    pub(super) removed: bool,
}

impl Database {
    /// Opens the database in a directory and reads all objects.
    pub(super) fn open(directory: &Path) -> Result<(Self, State), OpenError> {
        let failed = |source| OpenError::Database {
            path: directory.to_owned(),
            source,
        };
        let path = directory.join("objects.db");
        // SQLite gives its other files the rights of this one: for the owner only.
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| OpenError::Io {
                path: directory.to_owned(),
                source,
            })?;
        let connection = Connection::open(path).map_err(failed)?;
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL;
                 PRAGMA synchronous = FULL;
                 PRAGMA wal_autocheckpoint = 2000;
                 CREATE TABLE IF NOT EXISTS format (version INTEGER NOT NULL);
                 CREATE TABLE IF NOT EXISTS clock (version INTEGER NOT NULL);
                 CREATE TABLE IF NOT EXISTS objects (
                     kind TEXT NOT NULL,
                     namespace TEXT NOT NULL,
                     name TEXT NOT NULL,
                     version INTEGER NOT NULL,
                     json BLOB NOT NULL,
                     UNIQUE (kind, namespace, name)
                 );
                 INSERT INTO format SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM format);
                 INSERT INTO clock SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM clock);",
            )
            .map_err(failed)?;
        let found: i64 = connection
            .query_row("SELECT version FROM format", [], |row| row.get(0))
            .map_err(failed)?;
        if found > FORMAT {
            return Err(OpenError::Format {
                found,
                known: FORMAT,
            });
        }
        let state = read(&connection, failed)?;
        Ok((Self { connection }, state))
    }

    /// Writes a batch durably.
    pub(super) fn commit(&mut self, rows: &[Row<'_>], version: u64) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        write(&transaction, rows, version)?;
        transaction.commit()
    }
}

fn write(transaction: &Transaction<'_>, rows: &[Row<'_>], version: u64) -> rusqlite::Result<()> {
    let mut put = transaction.prepare_cached(
        "INSERT INTO objects (kind, namespace, name, version, json) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET version = excluded.version, json = excluded.json",
    )?;
    let mut remove = transaction
        .prepare_cached("DELETE FROM objects WHERE kind = ?1 AND namespace = ?2 AND name = ?3")?;
    for Row { object, removed } in rows {
        let key = &object.key;
        let kind = intern::storage_name(key.storage);
        if *removed {
            remove.execute(params![kind, key.namespace, key.name])?;
        } else {
            let (version, json) = (object.version as i64, object.json.as_ref());
            put.execute(params![kind, key.namespace, key.name, version, json])?;
        }
    }
    transaction
        .prepare_cached("UPDATE clock SET version = ?1")?
        .execute([version as i64])?;
    Ok(())
}

fn read(
    connection: &Connection,
    failed: impl Fn(rusqlite::Error) -> OpenError,
) -> Result<State, OpenError> {
    let version: i64 = connection
        .query_row("SELECT version FROM clock", [], |row| row.get(0))
        .map_err(&failed)?;
    let mut state = State::new(version as u64);
    let known = known_tables(connection).map_err(&failed)?;
    let mut statement = connection
        .prepare("SELECT kind, namespace, name, version, json FROM objects")
        .map_err(&failed)?;
    let mut rows = statement.query([]).map_err(&failed)?;
    while let Some(row) = rows.next().map_err(&failed)? {
        let kind: String = row.get(0).map_err(&failed)?;
        // A table that this program does not know stays on disk untouched.
        if !known.contains(&kind) {
            continue;
        }
        let storage = intern::storage(&kind);
        let namespace: String = row.get(1).map_err(&failed)?;
        let name: String = row.get(2).map_err(&failed)?;
        let version: i64 = row.get(3).map_err(&failed)?;
        let json: Vec<u8> = row.get(4).map_err(&failed)?;
        let value = serde_json::from_slice(&json).map_err(|source| OpenError::Object {
            key: format!("{kind} {namespace}/{name}"),
            source,
        })?;
        let key = Key {
            storage,
            namespace,
            name,
        };
        state.put(Arc::new(Object::new(key, version as u64, value)));
    }
    Ok(state)
}

/// The tables of built-in kinds, and those of stored definitions, which have the same names.
fn known_tables(connection: &Connection) -> rusqlite::Result<HashSet<String>> {
    let mut statement = connection.prepare("SELECT name FROM objects WHERE kind = ?1")?;
    let definitions = STORAGES[CUSTOM_RESOURCE_DEFINITIONS.storage];
    let names = statement.query_map([definitions], |row| row.get(0))?;
    let mut known = names.collect::<rusqlite::Result<HashSet<String>>>()?;
    known.extend(STORAGES.iter().map(|&name| name.to_owned()));
    Ok(known)
}
