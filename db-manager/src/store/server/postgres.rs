//! PostgreSQL: bulk rows go by `COPY … (FORMAT BINARY)`.

use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt as _, stream::BoxStream};
use sqlx::{
    Arguments as _, AssertSqlSafe, ConnectOptions as _, Connection as _, PgPool, Postgres,
    Row as _, Transaction,
    postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow},
};

use super::engine::{Arg, Cell, Dialect, Engine, Fault, Kind, Load, Record, Session};

/// How much is sent to `COPY` at a time, in bytes.
const CHUNK: usize = 256 << 10;
/// The microseconds between 1970, where ours begin, and 2000, where PostgreSQL's do.
const EPOCH: i64 = 946_684_800_000_000;

pub(super) struct PostgresEngine {
    options: PgConnectOptions,
    pool: PgPool,
}

impl PostgresEngine {
    pub(super) fn new(options: PgConnectOptions, connections: u32, wait: Duration) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(wait)
            .connect_lazy_with(options.clone());
        Self { options, pool }
    }
}

#[async_trait]
impl Engine for PostgresEngine {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn reach(&self) -> Result<(), Fault> {
        Ok(self.options.connect().await?.close().await?)
    }

    async fn begin(&self) -> Result<Box<dyn Session>, Fault> {
        Ok(Box::new(PostgresSession(self.pool.begin().await?)))
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

struct PostgresSession(Transaction<'static, Postgres>);

#[async_trait]
impl Session for PostgresSession {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn execute(&mut self, sql: &str, args: Vec<Arg>) -> Result<u64, Fault> {
        let query = sqlx::query_with(AssertSqlSafe(numbered(sql)), arguments(args)?);
        Ok(query.execute(&mut *self.0).await?.rows_affected())
    }

    fn fetch<'a>(
        &'a mut self,
        sql: &str,
        args: Vec<Arg>,
        shape: &'static [Kind],
    ) -> BoxStream<'a, Result<Record, Fault>> {
        let args = match arguments(args) {
            Ok(args) => args,
            Err(fault) => return futures::stream::once(async { Err(fault) }).boxed(),
        };
        sqlx::query_with(AssertSqlSafe(numbered(sql)), args)
            .fetch(&mut *self.0)
            .map(move |row| Ok(record(&row?, shape)?))
            .boxed()
    }

    async fn load(&mut self, rows: Load<'_>) -> Result<(), Fault> {
        let statement = match rows {
            Load::Observations(_) => {
                "COPY diwan_observations (series, time, id, value) FROM STDIN (FORMAT BINARY)"
            }
            Load::Katib { .. } => {
                "COPY observation_logs (trial_name, time, metric_name, value)
                 FROM STDIN (FORMAT BINARY)"
            }
        };
        let mut copy = self.0.copy_in_raw(statement).await?;
        let mut buffer = Vec::with_capacity(CHUNK + (8 << 10));
        // Signature, flags, and the length of an empty extension.
        buffer.extend_from_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
        let count = match rows {
            Load::Observations(entries) => entries.len(),
            Load::Katib { rows, .. } => rows.len(),
        };
        for at in 0..count {
            buffer.extend_from_slice(&4_i16.to_be_bytes());
            match rows {
                Load::Observations(entries) => {
                    let entry = &entries[at];
                    for number in [entry.series, entry.time, entry.id] {
                        field(&mut buffer, &number.to_be_bytes())?;
                    }
                    field(&mut buffer, entry.value.as_bytes())?;
                }
                Load::Katib { trial, rows } => {
                    let row = &rows[at];
                    field(&mut buffer, trial.as_bytes())?;
                    let time = row.micros.saturating_sub(EPOCH);
                    field(&mut buffer, &time.to_be_bytes())?;
                    field(&mut buffer, row.metric.as_bytes())?;
                    field(&mut buffer, row.value.as_bytes())?;
                }
            }
            if buffer.len() >= CHUNK {
                copy.send(&buffer[..]).await?;
                buffer.clear();
            }
        }
        buffer.extend_from_slice(&(-1_i16).to_be_bytes());
        copy.send(&buffer[..]).await?;
        copy.finish().await?;
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<(), Fault> {
        Ok(self.0.commit().await?)
    }
}

/// Writes a field of a row: its length, and its bytes.
fn field(buffer: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Fault> {
    let length = i32::try_from(bytes.len()).map_err(|_| {
        let error = "a value has more than 2 GB".to_owned();
        Fault::Lasting(crate::store::StoreError::Refused(error))
    })?;
    buffer.extend_from_slice(&length.to_be_bytes());
    buffer.extend_from_slice(bytes);
    Ok(())
}

/// Numbers the arguments of a statement: `$1`, `$2`, …
fn numbered(sql: &str) -> String {
    let mut text = String::with_capacity(sql.len() + 16);
    for (at, part) in sql.split('?').enumerate() {
        if at > 0 {
            text.push('$');
            text.push_str(&at.to_string());
        }
        text.push_str(part);
    }
    text
}

fn arguments(args: Vec<Arg>) -> Result<PgArguments, Fault> {
    let mut arguments = PgArguments::default();
    for arg in args {
        let added = match arg {
            Arg::Int(number) => arguments.add(number),
            Arg::Text(text) => arguments.add(text),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

fn record(row: &PgRow, shape: &[Kind]) -> Result<Record, sqlx::Error> {
    let cells = shape.iter().enumerate().map(|(at, kind)| {
        Ok(match kind {
            Kind::Int => Cell::Int(row.try_get_unchecked(at)?),
            Kind::Text => Cell::Text(row.try_get_unchecked(at)?),
        })
    });
    Ok(Record(cells.collect::<Result<_, sqlx::Error>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_numbered() {
        assert_eq!(numbered("a = ? AND b IN (?,?)"), "a = $1 AND b IN ($2,$3)");
    }
}
