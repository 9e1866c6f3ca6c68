//! What the data directory holds to tell clients apart.

use std::{io, path::Path};

use super::token::Signer;
use crate::{private_file, tls};

/// What the data directory holds to tell clients apart.
pub(crate) struct Keys {
    /// The certificate of the authority, in PEM.
    pub(crate) ca: String,
    /// The token that opens everything.
    pub(crate) admin: String,
    /// Signs tokens of service accounts.
    pub(crate) signer: Signer,
}

impl Keys {
    /// Reads the keys of a directory, or makes them.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        let authority = tls::Authority::open(directory).map_err(io::Error::other)?;
        Ok(Self {
            ca: authority.certificate,
            admin: authority.token,
            signer: Signer::open(&directory.join("service-account.key"))?,
        })
    }

    /// Whether a token is the one that opens everything.
    pub(crate) fn is_admin(&self, token: &str) -> bool {
        private_file::same_secret(token, &self.admin)
    }
}
