//! Which database keeps the observation log.

use anyhow::bail;
use diwan_db_manager::url::DatabaseUrl;
use diwan_db_manager::{Schema, katib};

/// The database of this URL; without one, the one that the variables of Katib's DB manager name.
pub(crate) fn named(url: Option<&DatabaseUrl>) -> anyhow::Result<(DatabaseUrl, Schema)> {
    if let Some(url) = url {
        return Ok((url.clone(), Schema::default()));
    }
    match katib::database(|name| std::env::var(name).ok())? {
        Some(found) => Ok(found),
        None => bail!(
            "no database is named: give --database-url, or Katib's variables (DB_NAME=mysql or \
             postgres)"
        ),
    }
}
