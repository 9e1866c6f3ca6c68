//! The webhooks' certificates, made here: an authority that all replicas share, kept in a Secret,
//! and a short-lived certificate that each replica makes for itself.
//!
//! A new authority is made before the old one ends, and when the Secret is deleted. The old one's
//! certificate stays in the bundle that the API server trusts, so replicas may change over one
//! after the other.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::crypto::ring::sign::any_ecdsa_type;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use time::OffsetDateTime;

/// The Secret.
const NAME: &str = "diwan-controller";
const CERTIFICATE: &str = "ca.crt";
const KEY: &str = "ca.key";
const PREVIOUS: &str = "previous.crt";
const TRIAL_TOKENS: &str = "trial-tokens";
/// How long an authority lasts.
const AUTHORITY_LASTS: Duration = Duration::from_hours(365 * 24);
/// How long before its end a new one is made.
const AUTHORITY_ENDS: Duration = Duration::from_hours(60 * 24);
/// How long a replica's certificate lasts; it is renewed at half of it.
const CERTIFICATE_LASTS: Duration = Duration::from_hours(14 * 24);
/// Clocks of API servers may be behind.
const LENIENCE: Duration = Duration::from_hours(1);

/// What replicas share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shared {
    certificate: String,
    key: String,
    previous: String,
    /// From which tokens of trials are made.
    pub(super) trial_tokens: Vec<u8>,
}

impl Shared {
    /// What the API server has to trust, in PEM.
    pub(super) fn bundle(&self) -> String {
        format!("{}{}", self.certificate, self.previous)
    }

    /// A new authority after this one.
    fn successor(&self) -> anyhow::Result<Self> {
        let (certificate, key) = make_authority()?;
        Ok(Self {
            certificate,
            key,
            previous: self.certificate.clone(),
            trial_tokens: self.trial_tokens.clone(),
        })
    }

    fn first() -> anyhow::Result<Self> {
        let (certificate, key) = make_authority()?;
        let trial_tokens = random_bytes()?;
        Ok(Self {
            certificate,
            key,
            previous: String::new(),
            trial_tokens,
        })
    }

    fn ends_soon(&self) -> bool {
        let ends = end_of(&self.certificate);
        let soon = Timestamp::now() + AUTHORITY_ENDS;
        ends.is_none_or(|ends| ends < soon)
    }
}

/// Reads what replicas share; makes it where it is missing or ends soon. `known` is what was shared
/// before, as far as this replica knows.
pub(super) async fn shared(
    client: &Client,
    namespace: &str,
    known: Option<&Shared>,
) -> anyhow::Result<Shared> {
    let api = Api::<Secret>::namespaced(client.clone(), namespace);
    let found = api.get_opt(NAME).await?;
    let read = found.as_ref().and_then(read);
    let made = match (&read, known) {
        (Some(shared), _) if !shared.ends_soon() => return Ok(shared.clone()),
        (Some(shared), _) | (None, Some(shared)) => shared.successor()?,
        (None, None) => Shared::first()?,
    };
    let version = found.and_then(|secret| secret.metadata.resource_version);
    let secret = write(&made, version.clone());
    let params = PostParams::default();
    let written = match version {
        Some(_) => api.replace(NAME, &params, &secret).await,
        None => api.create(&params, &secret).await,
    };
    match written {
        Ok(_) => Ok(made),
        // Another replica was faster: its is the one that counts.
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let secret = api.get(NAME).await?;
            read_or_fail(&secret)
        }
        Err(error) => Err(error).context("can't write the certificates of the webhooks"),
    }
}

fn read_or_fail(secret: &Secret) -> anyhow::Result<Shared> {
    read(secret).with_context(|| format!("secret {NAME} does not hold what it should"))
}

fn read(secret: &Secret) -> Option<Shared> {
    let data = secret.data.as_ref()?;
    let text = |key| String::from_utf8(data.get(key)?.0.clone()).ok();
    Some(Shared {
        certificate: text(CERTIFICATE)?,
        key: text(KEY)?,
        previous: text(PREVIOUS).unwrap_or_default(),
        trial_tokens: data.get(TRIAL_TOKENS)?.0.clone(),
    })
}

fn write(shared: &Shared, version: Option<String>) -> Secret {
    let entries = [
        (CERTIFICATE, shared.certificate.as_bytes()),
        (KEY, shared.key.as_bytes()),
        (PREVIOUS, shared.previous.as_bytes()),
        (TRIAL_TOKENS, &shared.trial_tokens),
    ];
    let data = entries.map(|(key, value)| (key.to_owned(), ByteString(value.to_vec())));
    Secret {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            resource_version: version,
            ..ObjectMeta::default()
        },
        data: Some(data.into()),
        ..Secret::default()
    }
}

fn random_bytes() -> anyhow::Result<Vec<u8>> {
    let mut bytes = vec![0; 32];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random
        .fill(&mut bytes)
        .map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
    Ok(bytes)
}

fn make_authority() -> anyhow::Result<(String, String)> {
    let key = KeyPair::generate().context("can't make a key")?;
    let certificate = authority()
        .self_signed(&key)
        .context("can't make a certificate")?;
    // The end is kept in the certificate's own comment: reading certificates takes another library.
    let ends = Timestamp::now() + AUTHORITY_LASTS;
    let certificate = format!("# ends {ends}\n{}", certificate.pem());
    Ok((certificate, key.serialize_pem()))
}

fn end_of(certificate: &str) -> Option<Timestamp> {
    let line = certificate.lines().next()?;
    line.strip_prefix("# ends ")?.parse().ok()
}

fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "diwan-controller");
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyCertSign,
    ];
    lasting(&mut params, AUTHORITY_LASTS);
    params
}

fn lasting(params: &mut CertificateParams, time: Duration) {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - LENIENCE;
    params.not_after = now + time;
}

/// The certificate that this replica shows; it can be changed while connections come in.
#[derive(Debug, Default)]
pub(super) struct Certificate(Mutex<Option<Arc<CertifiedKey>>>);

impl Certificate {
    /// Makes a certificate for these names, and shows it from now on.
    pub(super) fn renew(&self, shared: &Shared, names: &[String]) -> anyhow::Result<()> {
        let key = KeyPair::from_pem(&shared.key).context("the authority's key")?;
        let issuer = Issuer::new(authority(), key);
        let mut params = CertificateParams::new(names.to_vec())?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        lasting(&mut params, CERTIFICATE_LASTS);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let key = any_ecdsa_type(&key)?;
        let certified = CertifiedKey::new(vec![certificate.der().clone()], key);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(certified));
        Ok(())
    }

    /// How long until it is to be renewed.
    pub(super) const fn renewed_after() -> Duration {
        Duration::from_secs(CERTIFICATE_LASTS.as_secs() / 2)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// As the API server takes a bundle: base64 of PEM.
pub(super) fn encoded(bundle: &str) -> String {
    let pem: String = bundle.lines().filter(|line| !line.starts_with('#')).fold(
        String::new(),
        |mut text, line| {
            text.push_str(line);
            text.push('\n');
            text
        },
    );
    STANDARD.encode(pem)
}
