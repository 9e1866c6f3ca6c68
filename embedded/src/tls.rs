//! Certificates and the token: made at first start, kept in the data directory.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use thiserror::Error;

use crate::private_file;

/// Names under which a server on this machine, or in a pod of it, is reached.
const NAMES: [&str; 6] = [
    "localhost",
    "127.0.0.1",
    "::1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
];

/// Who the server is, and how clients prove who they are.
#[derive(Clone)]
pub struct Credentials {
    ca: String,
    token: String,
    config: Arc<ServerConfig>,
}

/// Why there are no credentials.
#[derive(Debug, Error)]
pub enum CredentialsError {
    /// A file can't be read or written.
    #[error("can't use credentials in {}: {source}", .path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A certificate can't be made.
    #[error("can't make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A certificate can't be used.
    #[error("can't use the certificate: {0}")]
    Tls(#[from] rustls::Error),
}

impl Credentials {
    /// Reads the authority and the token in a directory, or makes them, and makes a certificate
    /// for this machine's names and `names` (host names or addresses).
    pub fn open(directory: &Path, names: &[String]) -> Result<Self, CredentialsError> {
        let found = Authority::open(directory)?;
        let key = KeyPair::from_pem(&found.key)?;
        let issuer = Issuer::new(authority(), key);
        let config = server_config(&issuer, &found.certificate, names)?;
        Ok(Self {
            ca: found.certificate,
            token: found.token,
            config: Arc::new(config),
        })
    }

    /// The certificate of the authority, in PEM.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// The bearer token that opens everything.
    pub fn token(&self) -> &str {
        &self.token
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }
}

/// What a data directory keeps about who it is.
pub(crate) struct Authority {
    /// The certificate, in PEM.
    pub(crate) certificate: String,
    /// The token that opens everything.
    pub(crate) token: String,
    key: String,
}

impl Authority {
    /// Reads what a directory keeps, or makes it.
    pub(crate) fn open(directory: &Path) -> Result<Self, CredentialsError> {
        let io = |source| CredentialsError::Io {
            path: directory.to_owned(),
            source,
        };
        std::fs::create_dir_all(directory).map_err(io)?;
        let fresh = KeyPair::generate()?;
        let key =
            private_file::read_or_make(&directory.join("ca.key"), || Ok(fresh.serialize_pem()))
                .map_err(io)?;
        let fresh = authority().self_signed(&KeyPair::from_pem(&key)?)?;
        let certificate = private_file::read_or_make(&directory.join("ca.crt"), || Ok(fresh.pem()))
            .map_err(io)?;
        let token =
            private_file::read_or_make(&directory.join("token"), || Ok(private_file::secret()))
                .map_err(io)?;
        Ok(Self {
            certificate,
            token: token.trim().to_owned(),
            key,
        })
    }
}

fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "diwan");
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
    ];
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2125, 1, 1);
    params
}

fn server_config(
    issuer: &Issuer<'_, KeyPair>,
    ca: &str,
    names: &[String],
) -> Result<ServerConfig, CredentialsError> {
    let mut all: Vec<String> = NAMES.map(str::to_owned).to_vec();
    all.extend(
        names
            .iter()
            .filter(|name| !NAMES.contains(&name.as_str()))
            .cloned(),
    );
    let mut params = CertificateParams::new(all)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "diwan-apiserver");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2125, 1, 1);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(client_verifier(ca)?)
        .with_single_cert(vec![certificate.der().clone()], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Takes certificates of clients that the authority signed. Clients need not have one.
fn client_verifier(ca: &str) -> Result<Arc<dyn ClientCertVerifier>, CredentialsError> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(ca.as_bytes())
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    roots.add(certificate)?;
    let provider = Arc::new(ring::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .allow_unauthenticated()
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()).into())
}

#[cfg(test)]
mod tests {
    use super::Credentials;

    #[test]
    fn the_authority_and_the_token_outlive_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let first = Credentials::open(directory.path(), &[]).unwrap();
        let second = Credentials::open(directory.path(), &["192.0.2.1".to_owned()]).unwrap();
        assert_eq!((first.ca(), first.token()), (second.ca(), second.token()));
        assert!(first.token().len() >= 32);
    }
}
