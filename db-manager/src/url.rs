//! Database URLs: which store to open.

use std::path::PathBuf;

/// A database that can be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// `sqlite://PATH`: one file; a relative path starts at the working directory.
    Sqlite(PathBuf),
}

/// A database URL that can't be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// There is no `://` in it.
    #[error("database url {0:?} has no scheme; write sqlite://PATH")]
    NoScheme(String),
    /// The path is empty.
    #[error("database url {0:?} names no file; write sqlite://PATH")]
    NoPath(String),
    /// A scheme that this version has no store for.
    #[error("database scheme {0:?} is not supported by this version; use sqlite://PATH")]
    Unsupported(String),
}

impl std::str::FromStr for DatabaseUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| UrlError::NoScheme(text.to_owned()))?;
        match scheme {
            "sqlite" if rest.is_empty() => Err(UrlError::NoPath(text.to_owned())),
            "sqlite" => Ok(Self::Sqlite(rest.into())),
            other => Err(UrlError::Unsupported(other.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_file_or_say_what_to_write() {
        let sqlite = |path: &str| Ok(DatabaseUrl::Sqlite(path.into()));
        for (url, expected) in [
            (
                "sqlite:///var/lib/diwan/log.db",
                sqlite("/var/lib/diwan/log.db"),
            ),
            ("sqlite://log.db", sqlite("log.db")),
            ("sqlite://", Err(UrlError::NoPath("sqlite://".into()))),
            ("log.db", Err(UrlError::NoScheme("log.db".into()))),
            // Users' passwords are part of such a url, so the message names the scheme alone.
            (
                "postgres://u:secret@h/db",
                Err(UrlError::Unsupported("postgres".into())),
            ),
            ("mysql://h/db", Err(UrlError::Unsupported("mysql".into()))),
        ] {
            assert_eq!(url.parse(), expected, "{url}");
        }
    }
}
