//! Database URLs: which store to open.

use std::{fmt, path::PathBuf, str::FromStr};

use sqlx::{mysql::MySqlConnectOptions, postgres::PgConnectOptions};

/// A database that can be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// `sqlite://PATH`: one file; a relative path starts at the working directory.
    Sqlite(PathBuf),
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=MODE`; `?host=FOLDER` for a socket.
    Postgres(ServerUrl),
    /// `mysql://USER:PASSWORD@HOST:PORT/DATABASE?ssl-mode=MODE`; `?socket=PATH` for a socket.
    Mysql(ServerUrl),
}

/// A URL of a database server. What is printed of it has no password.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl(String);

/// A database URL that can't be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// There is no `://` in it.
    #[error("database url has no scheme; write sqlite://PATH, postgres://… or mysql://…")]
    NoScheme,
    /// The path is empty.
    #[error("database url names no file; write sqlite://PATH")]
    NoPath,
    /// The URL of a server can't be read.
    #[error("database url {url}: {reason}; write {scheme}://USER:PASSWORD@HOST:PORT/DATABASE")]
    Server {
        /// The URL, without its password.
        url: String,
        /// Its scheme.
        scheme: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A scheme that this version has no store for.
    #[error("database scheme {0:?} is not supported; use sqlite, postgres or mysql")]
    Unsupported(String),
}

impl DatabaseUrl {
    /// Names a PostgreSQL server; refuses what its driver can't read.
    fn postgres(text: &str) -> Result<Self, UrlError> {
        let url = ServerUrl(text.to_owned());
        let read = url.0.parse::<PgConnectOptions>();
        read.map_err(|error| url.refused("postgres", &error))?;
        Ok(Self::Postgres(url))
    }

    /// Names a MySQL or MariaDB server; refuses what its driver can't read.
    fn mysql(text: &str) -> Result<Self, UrlError> {
        let url = ServerUrl(text.to_owned());
        let read = url.0.parse::<MySqlConnectOptions>();
        read.map_err(|error| url.refused("mysql", &error))?;
        Ok(Self::Mysql(url))
    }
}

impl ServerUrl {
    /// The whole URL, as its driver reads it.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }

    fn refused(&self, scheme: &'static str, reason: &dyn fmt::Display) -> UrlError {
        UrlError::Server {
            url: self.to_string(),
            scheme,
            reason: reason.to_string(),
        }
    }
}

/// Leaves the password out, and options, which may hold one.
impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        match rest.rsplit_once('@') {
            Some((login, place)) => {
                let user = login.split(':').next().unwrap_or_default();
                write!(f, "{scheme}://{user}@{place}")
            }
            None => write!(f, "{scheme}://{rest}"),
        }
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for DatabaseUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        // Text without a scheme may be a password that went astray, so it isn't repeated.
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::NoScheme)?;
        match scheme {
            "sqlite" if rest.is_empty() => Err(UrlError::NoPath),
            "sqlite" => Ok(Self::Sqlite(rest.into())),
            "postgres" | "postgresql" => Self::postgres(text),
            "mysql" => Self::mysql(text),
            "mariadb" => Self::mysql(&format!("mysql://{rest}")),
            other => Err(UrlError::Unsupported(other.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_database_or_say_what_to_write() {
        let sqlite = |path: &str| Ok(DatabaseUrl::Sqlite(path.into()));
        let server = |text: &str| ServerUrl(text.into());
        for (url, expected) in [
            (
                "sqlite:///var/lib/diwan/log.db",
                sqlite("/var/lib/diwan/log.db"),
            ),
            ("sqlite://log.db", sqlite("log.db")),
            ("sqlite://", Err(UrlError::NoPath)),
            ("log.db", Err(UrlError::NoScheme)),
            (
                "postgres://u:p@h:1/d?sslmode=require",
                Ok(DatabaseUrl::Postgres(server(
                    "postgres://u:p@h:1/d?sslmode=require",
                ))),
            ),
            (
                "mariadb://u@h/d",
                Ok(DatabaseUrl::Mysql(server("mysql://u@h/d"))),
            ),
            ("oracle://h", Err(UrlError::Unsupported("oracle".into()))),
        ] {
            assert_eq!(url.parse(), expected, "{url}");
        }
    }

    #[test]
    fn what_is_printed_has_no_password() {
        for url in [
            "postgres://u:secret@h:5/d?password=secret",
            "postgres://u:se@cret@h:5/d",
            "mysql://u:secret@h:x/d",
        ] {
            let seen = match url.parse::<DatabaseUrl>() {
                Ok(read) => format!("{read:?}"),
                Err(error) => error.to_string(),
            };
            let (user, secret) = (seen.contains("u@h"), seen.contains("cret"));
            assert!(user && !secret, "{seen}");
        }
    }
}
