//! The rows that a transaction adds, and what they change of their trials.

use std::collections::HashMap;

use rusqlite::{Transaction, params};

use super::reader;
use crate::store::{StoreError, StoredRow, account::Account};

/// The trials that a transaction adds rows to. Their tallies are written once, at its end.
pub(super) struct Ledger<'a> {
    transaction: &'a Transaction<'a>,
    accounts: HashMap<i64, Account>,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(transaction: &'a Transaction<'a>) -> Self {
        let accounts = HashMap::new();
        Self {
            transaction,
            accounts,
        }
    }

    pub(super) fn transaction(&self) -> &'a Transaction<'a> {
        self.transaction
    }

    /// Adds rows to a trial.
    pub(super) fn insert(&mut self, trial: i64, rows: &[StoredRow]) -> Result<(), StoreError> {
        let transaction = self.transaction;
        let account = self.account(trial)?;
        let mut statement = transaction.prepare_cached(
            "INSERT INTO observations (series, time, id, value) VALUES (?1, ?2, ?3, ?4)",
        )?;
        for row in rows {
            let place = account.place(row)?;
            statement.execute(params![place.series, row.micros, place.id, row.value])?;
        }
        Ok(())
    }

    /// Adds rows that are not there yet.
    pub(super) fn insert_new(&mut self, trial: i64, rows: &[StoredRow]) -> Result<(), StoreError> {
        for row in rows {
            let known = match self.account(trial)?.series(&row.metric) {
                Some(series) => self
                    .transaction
                    .prepare_cached(
                        "SELECT 1 FROM observations WHERE series = ?1 AND time = ?2 AND value = ?3",
                    )?
                    .exists(params![series, row.micros, row.value])?,
                None => false,
            };
            if !known {
                self.insert(trial, std::slice::from_ref(row))?;
            }
        }
        Ok(())
    }

    /// Forgets a trial.
    pub(super) fn delete(&mut self, trial: i64) -> Result<(), StoreError> {
        self.accounts.remove(&trial);
        delete(self.transaction, trial)
    }

    /// Writes what the rows changed of their trials.
    pub(super) fn settle(self, now: i64) -> Result<(), StoreError> {
        let mut trials = self
            .transaction
            .prepare_cached("UPDATE trials SET next_row = ?2, reported = ?3 WHERE id = ?1")?;
        let mut series = self.transaction.prepare_cached(
            "INSERT OR REPLACE INTO series
             (id, trial, metric, count, min, max, first, latest, value)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        for account in self.accounts.values() {
            trials.execute([account.trial(), account.next_row(), now])?;
            for (id, metric, tally) in account.changed() {
                series.execute(params![
                    id,
                    account.trial(),
                    metric,
                    tally.count,
                    tally.min,
                    tally.max,
                    tally.first,
                    tally.latest,
                    tally.value
                ])?;
            }
        }
        Ok(())
    }

    fn account(&mut self, trial: i64) -> Result<&mut Account, StoreError> {
        use std::collections::hash_map::Entry;
        match self.accounts.entry(trial) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => Ok(entry.insert(reader::account(self.transaction, trial)?)),
        }
    }
}

/// Forgets a trial.
pub(super) fn delete(transaction: &Transaction<'_>, trial: i64) -> Result<(), StoreError> {
    let (first, last) = crate::store::account::series_ids(trial);
    for statement in [
        "DELETE FROM observations WHERE series BETWEEN ?1 AND ?2",
        "DELETE FROM series WHERE id BETWEEN ?1 AND ?2",
    ] {
        transaction
            .prepare_cached(statement)?
            .execute([first, last])?;
    }
    for statement in [
        "DELETE FROM sources WHERE trial = ?1",
        "DELETE FROM batches WHERE trial = ?1",
        "DELETE FROM trials WHERE id = ?1",
    ] {
        transaction.prepare_cached(statement)?.execute([trial])?;
    }
    Ok(())
}
