//! Tokens of service accounts: signed here, and only valid for as long as what they are bound to
//! is there.

use std::{io, path::Path};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use rcgen::{KeyPair, PublicKeyData};
use ring::{
    digest,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
        UnparsedPublicKey,
    },
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::private_file;

/// Who issues tokens, and for whom they are unless something else is asked for.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc";
/// Who issues the tokens that are kept in secrets.
pub(super) const SECRET_ISSUER: &str = "kubernetes/serviceaccount";
/// A token lives so long unless asked otherwise, in seconds.
pub(crate) const LIFETIME: i64 = 3600;
/// What a pod's own volume asks for, in seconds: such a token lives for a year, as by default in
/// Kubernetes, for the sake of programs that read it once.
const POD_LIFETIME: i64 = 3607;
const YEAR: i64 = 365 * 24 * 3600;

/// A token that is asked for.
#[derive(Clone, Debug, Default)]
pub struct TokenOrder {
    /// For whom it is; the API itself when empty.
    pub audiences: Vec<String>,
    /// How long it lives, in seconds.
    pub seconds: Option<i64>,
    /// What it ends with.
    pub bound: Option<Bound>,
}

/// What a token ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// `Pod`, `Secret` or `Node`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its unique identifier; whichever it has when empty.
    pub uid: String,
}

/// A token.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token.
    pub token: String,
    /// For whom it is.
    pub audiences: Vec<String>,
    /// When another one is to be asked for.
    pub expires: Timestamp,
}

/// Signs tokens and knows its own.
pub(crate) struct Signer {
    key: EcdsaKeyPair,
    id: String,
    random: SystemRandom,
}

impl Signer {
    /// Reads the key, or makes it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let text = private_file::read_or_make(path, || {
            let key = KeyPair::generate().map_err(io::Error::other)?;
            Ok(key.serialize_pem())
        })?;
        let pair = KeyPair::from_pem(&text).map_err(io::Error::other)?;
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            pair.serialized_der(),
            &random,
        )
        .map_err(|rejected| io::Error::other(rejected.to_string()))?;
        let id = digest::digest(&digest::SHA256, &pair.subject_public_key_info());
        let id = URL_SAFE_NO_PAD.encode(id);
        Ok(Self { key, id, random })
    }

    /// The token that says these claims.
    pub(crate) fn sign(&self, claims: &Value) -> Result<String, String> {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = part(&json!({ "alg": "ES256", "kid": self.id }));
        let text = format!("{head}.{}", part(claims));
        let signature = self.key.sign(&self.random, text.as_bytes());
        let signature = signature.map_err(|_| "the key can't sign".to_owned())?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// What a token claims, if it was signed here.
    pub(super) fn claims(&self, token: &str) -> Option<Value> {
        let (text, signature) = token.rsplit_once('.')?;
        let (head, claims) = text.split_once('.')?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let head: Value = serde_json::from_slice(&decode(head)?).ok()?;
        if head["alg"] != "ES256" {
            return None;
        }
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.key.public_key());
        public.verify(text.as_bytes(), &decode(signature)?).ok()?;
        serde_json::from_slice(&decode(claims)?).ok()
    }
}

/// What the tokens of an account claim, for a time.
pub(crate) struct Claims<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) account: &'a str,
    pub(crate) account_uid: &'a str,
    pub(crate) audiences: &'a [String],
    /// Kinds in lower case, names and identifiers of what the token is bound to.
    pub(crate) bound: &'a [(String, String, String)],
    pub(crate) now: Timestamp,
    pub(crate) seconds: i64,
}

impl Claims<'_> {
    /// The claims as Kubernetes writes them.
    pub(crate) fn to_value(&self) -> Value {
        let now = self.now.as_second();
        let mut private = json!({
            "namespace": self.namespace,
            "serviceaccount": { "name": self.account, "uid": self.account_uid },
        });
        for (kind, name, uid) in self.bound {
            private[kind] = json!({ "name": name, "uid": uid });
        }
        let of_pod = self.bound.iter().any(|(kind, _, _)| kind == "pod");
        let ours = self.audiences.iter().any(|audience| audience == ISSUER);
        let mut seconds = self.seconds;
        if of_pod && ours && seconds == POD_LIFETIME {
            private["warnafter"] = json!(now + seconds);
            seconds = YEAR;
        }
        json!({
            "aud": self.audiences,
            "exp": now + seconds,
            "iat": now,
            "iss": ISSUER,
            "jti": Uuid::new_v4().to_string(),
            "kubernetes.io": private,
            "nbf": now,
            "sub": super::user::account_name(self.namespace, self.account),
        })
    }
}

/// The claims of a token that is kept in a secret: it has no end.
pub(crate) fn secret_claims(namespace: &str, account: &str, uid: &str, secret: &str) -> Value {
    let key = |name: &str| format!("kubernetes.io/serviceaccount/{name}");
    json!({
        "iss": SECRET_ISSUER,
        key("namespace"): namespace,
        key("secret.name"): secret,
        key("service-account.name"): account,
        key("service-account.uid"): uid,
        "sub": super::user::account_name(namespace, account),
    })
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use jiff::Timestamp;
    use serde_json::json;

    use super::{Claims, ISSUER, Signer};

    fn signer() -> (tempfile::TempDir, Signer) {
        let directory = tempfile::tempdir().unwrap();
        let signer = Signer::open(&directory.path().join("key")).unwrap();
        (directory, signer)
    }

    #[test]
    fn only_what_was_signed_here_is_believed() {
        let (directory, signer) = signer();
        let claims = json!({ "sub": "a" });
        let token = signer.sign(&claims).unwrap();
        assert_eq!(signer.claims(&token), Some(claims));
        let reopened = Signer::open(&directory.path().join("key")).unwrap();
        assert!(reopened.claims(&token).is_some());

        let parts: Vec<&str> = token.split('.').collect();
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let other = encode(r#"{"sub":"b"}"#);
        let none = encode(r#"{"alg":"none"}"#);
        for forged in [
            format!("{}.{other}.{}", parts[0], parts[2]),
            format!("{none}.{}.", parts[1]),
            format!("{none}.{}.{}", parts[1], parts[2]),
            format!("{}.{}.", parts[0], parts[1]),
            format!("{}.{}", parts[0], parts[1]),
            String::new(),
            "..".to_owned(),
        ] {
            assert_eq!(signer.claims(&forged), None, "{forged}");
        }
        let (_other, stranger) = self::signer();
        assert_eq!(stranger.claims(&token), None);
    }

    #[test]
    fn a_pods_own_token_lives_for_a_year() {
        let audiences = [ISSUER.to_owned()];
        let bound = [("pod".to_owned(), "p".to_owned(), "7".to_owned())];
        let mut claims = Claims {
            namespace: "n",
            account: "a",
            account_uid: "1",
            audiences: &audiences,
            bound: &bound,
            now: Timestamp::from_second(1000).unwrap(),
            seconds: 3607,
        };
        let value = claims.to_value();
        assert_eq!(value["exp"], 1000 + 365 * 24 * 3600);
        assert_eq!(value["kubernetes.io"]["warnafter"], 4607);
        assert_eq!(value["sub"], "system:serviceaccount:n:a");
        claims.bound = &[];
        assert_eq!(claims.to_value()["exp"], 4607);
    }
}
