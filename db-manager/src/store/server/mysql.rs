//! MySQL and MariaDB: bulk rows go by statements of many rows, within the limits on arguments and
//! on the size of a packet.

use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt as _, stream::BoxStream};
use sqlx::{
    Arguments as _, AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, MySql,
    MySqlPool, Row as _, Transaction,
    mysql::{MySqlArguments, MySqlConnectOptions, MySqlPoolOptions, MySqlRow},
};

use super::engine::{Arg, Cell, Dialect, Engine, Fault, Kind, Load, Record, Session, sql_time};

/// How many rows one statement adds. Four arguments each are far below the 65,535 of the protocol;
/// more rows bring no further speed.
const ROWS: usize = 1_000;
/// How many bytes of text one statement carries: below the smallest packet (1 MiB) that servers
/// are found with, unless a single value is larger.
const BYTES: usize = 512 << 10;

pub(super) struct MysqlEngine {
    options: MySqlConnectOptions,
    pool: MySqlPool,
}

impl MysqlEngine {
    pub(super) fn new(options: MySqlConnectOptions, connections: u32, wait: Duration) -> Self {
        let pool = MySqlPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(wait)
            // Text that is too long is an error, not a shorter text; and a trial that another
            // session has just made can be seen.
            .after_connect(|connection, _| {
                Box::pin(async move {
                    connection
                        .execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
                        .await?;
                    connection
                        .execute(
                            "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
                        )
                        .await?;
                    Ok(())
                })
            })
            .connect_lazy_with(options.clone());
        Self { options, pool }
    }
}

#[async_trait]
impl Engine for MysqlEngine {
    fn dialect(&self) -> Dialect {
        Dialect::Mysql
    }

    async fn reach(&self) -> Result<(), Fault> {
        Ok(self.options.connect().await?.close().await?)
    }

    async fn begin(&self) -> Result<Box<dyn Session>, Fault> {
        Ok(Box::new(MysqlSession(self.pool.begin().await?)))
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

struct MysqlSession(Transaction<'static, MySql>);

#[async_trait]
impl Session for MysqlSession {
    fn dialect(&self) -> Dialect {
        Dialect::Mysql
    }

    async fn execute(&mut self, sql: &str, args: Vec<Arg>) -> Result<u64, Fault> {
        // Some statements, such as those that make views, can't be prepared.
        if args.is_empty() {
            let sql = AssertSqlSafe(sql.to_owned());
            return Ok(self.0.execute(sqlx::raw_sql(sql)).await?.rows_affected());
        }
        let query = sqlx::query_with(AssertSqlSafe(sql.to_owned()), arguments(args)?);
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
        sqlx::query_with(AssertSqlSafe(sql.to_owned()), args)
            .fetch(&mut *self.0)
            .map(move |row| Ok(record(&row?, shape)?))
            .boxed()
    }

    async fn load(&mut self, rows: Load<'_>) -> Result<(), Fault> {
        let sizes: Vec<usize> = match rows {
            Load::Observations(entries) => entries.iter().map(|e| e.value.len()).collect(),
            Load::Katib { trial, rows } => rows
                .iter()
                .map(|row| trial.len() + row.metric.len() + row.value.len())
                .collect(),
        };
        let mut from = 0;
        while from < sizes.len() {
            let to = from + fitting(&sizes[from..]);
            let mut arguments = MySqlArguments::default();
            let into = match rows {
                Load::Observations(entries) => {
                    for entry in &entries[from..to] {
                        for number in [entry.series, entry.time, entry.id] {
                            arguments.add(number).map_err(sqlx::Error::Encode)?;
                        }
                        arguments.add(entry.value).map_err(sqlx::Error::Encode)?;
                    }
                    "diwan_observations (series, time, id, value)"
                }
                Load::Katib { trial, rows } => {
                    for row in &rows[from..to] {
                        let time = sql_time(row.micros);
                        for text in [trial, &time, &row.metric, &row.value] {
                            arguments.add(text).map_err(sqlx::Error::Encode)?;
                        }
                    }
                    "observation_logs (trial_name, time, metric_name, value)"
                }
            };
            let values = vec!["(?,?,?,?)"; to - from].join(",");
            let statement = format!("INSERT INTO {into} VALUES {values}");
            // The server keeps what it prepared of full statements and of single rows; others
            // seldom come twice.
            let keep = matches!(to - from, 1 | ROWS);
            sqlx::query_with(AssertSqlSafe(statement), arguments)
                .persistent(keep)
                .execute(&mut *self.0)
                .await?;
            from = to;
        }
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<(), Fault> {
        Ok(self.0.commit().await?)
    }
}

/// How many of the rows, at least one, go into one statement.
fn fitting(sizes: &[usize]) -> usize {
    let mut bytes = 0;
    let within = sizes.iter().take(ROWS).take_while(|size| {
        bytes += **size;
        bytes <= BYTES
    });
    within.count().max(1)
}

fn arguments(args: Vec<Arg>) -> Result<MySqlArguments, Fault> {
    let mut arguments = MySqlArguments::default();
    for arg in args {
        let added = match arg {
            Arg::Int(number) => arguments.add(number),
            Arg::Text(text) => arguments.add(text),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// Names are kept as bytes, so that servers compare them byte by byte; text is UTF-8 either way.
fn record(row: &MySqlRow, shape: &[Kind]) -> Result<Record, sqlx::Error> {
    let cells = shape.iter().enumerate().map(|(at, kind)| {
        Ok(match kind {
            Kind::Int => Cell::Int(row.try_get_unchecked(at)?),
            Kind::Text => {
                let bytes: Option<Vec<u8>> = row.try_get_unchecked(at)?;
                Cell::Text(bytes.map(|bytes| match String::from_utf8(bytes) {
                    Ok(text) => text,
                    Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
                }))
            }
        })
    });
    Ok(Record(cells.collect::<Result<_, sqlx::Error>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_holds_as_many_rows_as_its_limits_let_it() {
        assert_eq!(fitting(&[10; 5]), 5);
        assert_eq!(fitting(&vec![10; 5_000]), ROWS);
        assert_eq!(fitting(&[BYTES / 4; 10]), 4);
        assert_eq!(fitting(&[10 * BYTES, 1]), 1);
    }
}
