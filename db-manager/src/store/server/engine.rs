//! What the two kinds of database servers have in common: sessions that run SQL. Statements are
//! written once, with `?` where an argument goes; where the kinds differ, [`Dialect`] says how.

use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::store::{StoreError, StoredRow};

/// A database server, reached through a pool of connections.
#[async_trait]
pub(super) trait Engine: Send + Sync + 'static {
    fn dialect(&self) -> Dialect;

    /// Connects once, so that what is wrong is told at once.
    async fn reach(&self) -> Result<(), Fault>;

    /// Opens a transaction. It is taken back unless it is committed.
    async fn begin(&self) -> Result<Box<dyn Session>, Fault>;

    /// Closes all connections.
    async fn close(&self);
}

/// A transaction.
#[async_trait]
pub(super) trait Session: Send {
    fn dialect(&self) -> Dialect;

    /// Runs a statement; returns how many rows it touched.
    async fn execute(&mut self, sql: &str, args: Vec<Arg>) -> Result<u64, Fault>;

    /// Runs a query. Rows come as they are read, with the columns that `shape` tells.
    fn fetch<'a>(
        &'a mut self,
        sql: &str,
        args: Vec<Arg>,
        shape: &'static [Kind],
    ) -> BoxStream<'a, Result<Record, Fault>>;

    /// Adds many rows in the fastest way that the server has.
    async fn load(&mut self, rows: Load<'_>) -> Result<(), Fault>;

    async fn commit(self: Box<Self>) -> Result<(), Fault>;
}

/// Rows to add.
#[derive(Clone, Copy)]
pub(super) enum Load<'a> {
    /// To Diwan's table of observations.
    Observations(&'a [Entry<'a>]),
    /// To Katib's table.
    Katib {
        trial: &'a str,
        rows: &'a [StoredRow],
    },
}

/// A row of Diwan's table of observations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) series: i64,
    pub(super) time: i64,
    pub(super) id: i64,
    pub(super) value: &'a str,
}

/// An argument of a statement.
#[derive(Clone, Debug)]
pub(super) enum Arg {
    Int(i64),
    Text(Option<String>),
}

impl From<i64> for Arg {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<Option<String>> for Arg {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

/// What a column of a query holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Text,
}

/// A row that a query found.
#[derive(Debug)]
pub(super) struct Record(pub(super) Vec<Cell>);

/// A value that a query found.
#[derive(Debug)]
pub(super) enum Cell {
    Int(Option<i64>),
    Text(Option<String>),
}

impl Record {
    /// A number; 0 where there is none.
    pub(super) fn int(&self, at: usize) -> i64 {
        match self.0.get(at) {
            Some(Cell::Int(Some(number))) => *number,
            _ => 0,
        }
    }

    /// Takes a text out; nothing where there is none.
    pub(super) fn take(&mut self, at: usize) -> Option<String> {
        match self.0.get_mut(at) {
            Some(Cell::Text(text)) => text.take(),
            _ => None,
        }
    }

    /// Takes a text out; empty where there is none.
    pub(super) fn text(&mut self, at: usize) -> String {
        self.take(at).unwrap_or_default()
    }
}

/// Why a session did not do what was asked.
#[derive(Debug)]
pub(super) enum Fault {
    /// The server is away, or another session was in the way: the transaction may succeed later.
    Passing(String),
    /// It will not.
    Lasting(StoreError),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Lasting(error)
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        let message = error.to_string();
        match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Passing(message),
            sqlx::Error::PoolClosed => Self::Lasting(StoreError::Closed),
            sqlx::Error::Encode(_) => Self::Lasting(StoreError::Refused(message)),
            sqlx::Error::Database(refusal) => {
                let state = refusal.code().unwrap_or_default();
                classify(&state, refusal.message(), message)
            }
            _ => Self::Lasting(StoreError::Database(message)),
        }
    }
}

/// Judges an error by its SQLSTATE (ISO 9075; both kinds of servers send it): 08 connection,
/// 40 taken back (deadlock), 53 and 55P03 resources, 57P going down, 22 data, 42501 and 28
/// privileges. MySQL has HY000 for most else, with texts that don't change.
fn classify(state: &str, text: &str, message: String) -> Fault {
    let passing_texts = [
        "Lock wait timeout",
        "try restarting transaction",
        "shutdown in progress",
        "Too many connections",
        "WSREP has not yet prepared",
        "read-only",
    ];
    let passing = ["08", "40", "53", "57P", "55P03", "25006"];
    if passing.iter().any(|class| state.starts_with(class))
        || passing_texts.iter().any(|part| text.contains(part))
    {
        Fault::Passing(message)
    } else if state.starts_with("22") || text.contains("max_allowed_packet") {
        Fault::Lasting(StoreError::Refused(message))
    } else {
        Fault::Lasting(StoreError::Database(message))
    }
}

/// How SQL is written for a kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Postgres,
    Mysql,
}

impl Dialect {
    /// An insertion of a row that changes nothing where its key is there.
    pub(super) fn insert_new(self, table: &str, columns: &str, values: &str) -> String {
        match self {
            Self::Postgres => {
                format!("INSERT INTO {table} ({columns}) VALUES ({values}) ON CONFLICT DO NOTHING")
            }
            Self::Mysql => format!("INSERT IGNORE INTO {table} ({columns}) VALUES ({values})"),
        }
    }

    /// An insertion of what a query finds that changes nothing where a key is there.
    pub(super) fn insert_select_new(self, into: &str, query: &str) -> String {
        match self {
            Self::Postgres => format!("INSERT INTO {into} {query} ON CONFLICT DO NOTHING"),
            Self::Mysql => format!("INSERT IGNORE INTO {into} {query}"),
        }
    }

    /// An insertion of rows that sets `columns` where the key is there.
    pub(super) fn upsert(self, key: &str, columns: &[&str]) -> String {
        let set = |new: &dyn Fn(&str) -> String| {
            let set: Vec<_> = columns
                .iter()
                .map(|c| format!("{c} = {}", new(c)))
                .collect();
            set.join(", ")
        };
        match self {
            Self::Postgres => {
                let set = set(&|column| format!("EXCLUDED.{column}"));
                format!(" ON CONFLICT ({key}) DO UPDATE SET {set}")
            }
            Self::Mysql => {
                let set = set(&|column| format!("VALUES({column})"));
                format!(" ON DUPLICATE KEY UPDATE {set}")
            }
        }
    }

    /// The microseconds since 1970 of Katib's column `time`. The double precision of old servers
    /// is exact for whole seconds, and for the microseconds of one minute.
    pub(super) fn katib_micros(self) -> &'static str {
        match self {
            Self::Postgres => {
                "(EXTRACT(EPOCH FROM date_trunc('second', time))::bigint * 1000000
                  + EXTRACT(MICROSECONDS FROM time)::bigint % 1000000)"
            }
            Self::Mysql => "TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', time)",
        }
    }

    /// A time that is compared with Katib's column.
    pub(super) fn katib_time(self) -> &'static str {
        match self {
            Self::Postgres => "CAST(? AS timestamp)",
            Self::Mysql => "CAST(? AS DATETIME(6))",
        }
    }

    /// The schema that unqualified names of tables mean.
    pub(super) fn current_schema(self) -> &'static str {
        match self {
            Self::Postgres => "current_schema()",
            Self::Mysql => "DATABASE()",
        }
    }
}

/// A time as SQL writes it, in UTC.
pub(super) fn sql_time(micros: i64) -> String {
    let text = crate::time::format(micros);
    text.trim_end_matches('Z').replace('T', " ")
}

/// `?` for each of `count` arguments.
pub(super) fn placeholders(count: usize) -> String {
    let mut text = "?,".repeat(count);
    text.pop();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart_by_their_state() {
        for (state, text, passing) in [
            ("57P01", "terminating connection", true),
            ("40P01", "deadlock detected", true),
            ("40001", "Deadlock found", true),
            (
                "HY000",
                "Lock wait timeout exceeded; try restarting transaction",
                true,
            ),
            ("22021", "invalid byte sequence", false),
            ("42P01", "relation does not exist", false),
            ("28P01", "password authentication failed", false),
        ] {
            let fault = classify(state, text, text.to_owned());
            assert_eq!(
                matches!(fault, Fault::Passing(_)),
                passing,
                "{state} {text}"
            );
        }
        let refused = classify("22021", "invalid byte", String::new());
        assert!(matches!(refused, Fault::Lasting(StoreError::Refused(_))));
    }

    #[test]
    fn times_are_written_without_a_zone() {
        assert_eq!(sql_time(1_500_000), "1970-01-01 00:00:01.5");
        assert_eq!(sql_time(-62_135_596_800_000_000), "0001-01-01 00:00:00");
    }
}
