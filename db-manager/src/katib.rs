//! The environment of Katib's DB manager, so that an installation's settings go on to hold.

use crate::{
    store::Schema,
    url::{DatabaseUrl, UrlError},
};

/// Settings that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KatibError {
    /// A kind of database that Katib doesn't know either.
    #[error("DB_NAME is {0:?}; use mysql or postgres")]
    Name(String),
    /// A switch that is neither on nor off.
    #[error("SKIP_DB_INITIALIZATION is {0:?}; use true or false")]
    Switch(String),
    /// The parts don't make a URL.
    #[error(transparent)]
    Url(#[from] UrlError),
}

/// Reads the variables through `variable`; nothing when `DB_NAME` is not set. With
/// `SKIP_DB_INITIALIZATION` no table is made or changed.
pub fn database(
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<(DatabaseUrl, Schema)>, KatibError> {
    let set = |name: &str| variable(name).filter(|text| !text.is_empty());
    let Some(name) = set("DB_NAME") else {
        return Ok(None);
    };
    let or = |name: &str, default: &str| set(name).unwrap_or_else(|| default.to_owned());
    let password = encoded(&or("DB_PASSWORD", ""));
    let url = match name.as_str() {
        "postgres" => {
            let user = encoded(&or("DB_USER", "katib"));
            let host = or("KATIB_POSTGRESQL_DB_HOST", "katib-postgres");
            let port = or("KATIB_POSTGRESQL_DB_PORT", "5432");
            let database = encoded(&or("KATIB_POSTGRESQL_DB_DATABASE", "katib"));
            let mode = encoded(&or("KATIB_POSTGRESQL_SSL_MODE", "disable"));
            format!("postgres://{user}:{password}@{host}:{port}/{database}?sslmode={mode}")
        }
        "mysql" => {
            let user = encoded(&or("DB_USER", "root"));
            let host = or("KATIB_MYSQL_DB_HOST", "katib-mysql");
            let port = or("KATIB_MYSQL_DB_PORT", "3306");
            let database = encoded(&or("KATIB_MYSQL_DB_DATABASE", "katib"));
            format!("mysql://{user}:{password}@{host}:{port}/{database}")
        }
        other => return Err(KatibError::Name(other.to_owned())),
    };
    let schema = match or("SKIP_DB_INITIALIZATION", "false").as_str() {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Schema::Untouched,
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Schema::Detect,
        other => return Err(KatibError::Switch(other.to_owned())),
    };
    Ok(Some((url.parse()?, schema)))
}

/// Writes text so that it stands in a URL as itself.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let each = text.bytes().map(|byte| match byte {
        byte if plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> Result<Option<(DatabaseUrl, Schema)>, KatibError> {
        database(|name| {
            let found = set.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn variables_make_a_url() {
        assert_eq!(read(&[("DB_PASSWORD", "p")]), Ok(None));
        for (set, url, schema) in [
            (
                &[("DB_NAME", "mysql"), ("DB_PASSWORD", "p@ss/w:rd%é")][..],
                "mysql://root:p%40ss%2Fw%3Ard%25%C3%A9@katib-mysql:3306/katib",
                Schema::Detect,
            ),
            (
                &[
                    ("DB_NAME", "postgres"),
                    ("DB_USER", "u"),
                    ("KATIB_POSTGRESQL_DB_HOST", "h"),
                    ("KATIB_POSTGRESQL_DB_PORT", "1"),
                    ("KATIB_POSTGRESQL_DB_DATABASE", "d"),
                    ("KATIB_POSTGRESQL_SSL_MODE", "verify-full"),
                    ("SKIP_DB_INITIALIZATION", "true"),
                ][..],
                "postgres://u:@h:1/d?sslmode=verify-full",
                Schema::Untouched,
            ),
        ] {
            assert_eq!(read(set), Ok(Some((url.parse().unwrap(), schema))), "{url}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let other = read(&[("DB_NAME", "oracle")]);
        assert_eq!(other, Err(KatibError::Name("oracle".into())));
        let switch = read(&[("DB_NAME", "mysql"), ("SKIP_DB_INITIALIZATION", "maybe")]);
        assert_eq!(switch, Err(KatibError::Switch("maybe".into())));
        let mode = read(&[
            ("DB_NAME", "postgres"),
            ("KATIB_POSTGRESQL_SSL_MODE", "off"),
        ]);
        assert!(matches!(mode, Err(KatibError::Url(_))), "{mode:?}");
    }
}
