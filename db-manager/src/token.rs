//! Tokens of trials: who sends one shows that it speaks for that trial alone.
//!
//! A token is HMAC-SHA256 over namespace and name of the trial, under a secret that the control
//! plane and the DB manager share; nothing has to be stored for each trial.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::grpc::{Access, Credentials, Denied, TOKEN_KEY, TrialGuard};
use crate::store::TrialRef;

/// How many bytes a secret has.
const SECRET: usize = 32;

/// The secret from which tokens are made.
pub struct TrialTokens(hmac::Key);

impl TrialTokens {
    /// Takes the secret: 32 random bytes.
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Reads the secret from a file that its owner alone may read; makes it when there is none.
    ///
    /// # Errors
    /// The file can't be read or made, or holds no secret.
    pub fn open(path: &Path) -> io::Result<Self> {
        match fs::read(path) {
            Ok(secret) if secret.len() == SECRET => return Ok(Self::new(&secret)),
            Ok(_) => {
                let problem = format!("{} does not hold {SECRET} bytes", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) => {}
        }
        let mut secret = [0; SECRET];
        SystemRandom::new()
            .fill(&mut secret)
            .map_err(|_| io::Error::other("the system gives no random bytes"))?;
        // Whole or not at all, also when the power goes.
        let new = path.with_extension("new");
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = file.open(&new)?;
        file.write_all(&secret)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        Ok(Self::new(&secret))
    }

    /// Makes the token of a trial, as hexadecimal digits.
    pub fn token(&self, namespace: &str, trial: &str) -> String {
        let tag = hmac::sign(&self.0, &text(namespace, trial));
        tag.as_ref()
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .filter_map(|digit| char::from_digit(digit.into(), 16))
            .collect()
    }

    /// The same, for whoever makes tokens without knowing of secrets.
    pub fn maker(self: Arc<Self>) -> impl Fn(&str, &str) -> String + Send + Sync + 'static {
        move |namespace, trial| self.token(namespace, trial)
    }

    /// Refuses a token that is not that of the trial.
    ///
    /// # Errors
    /// It is another's, or nobody's.
    pub fn check_token(&self, token: &str, trial: &TrialRef) -> Result<(), Denied> {
        if self.is_of(token, &trial.namespace, &trial.name) {
            return Ok(());
        }
        Err(Denied::Forbidden(format!(
            "the token in metadata {TOKEN_KEY} is not the trial's"
        )))
    }

    /// Whether the token is that of the trial.
    pub fn is_of(&self, token: &str, namespace: &str, trial: &str) -> bool {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (pairs, rest) = token.as_bytes().as_chunks::<2>();
        let bytes: Option<Vec<u8>> = pairs
            .iter()
            .map(|[high, low]| Some((digit(*high)? * 16 + digit(*low)?) as u8))
            .collect();
        let verified = |bytes: Vec<u8>| hmac::verify(&self.0, &text(namespace, trial), &bytes);
        rest.is_empty() && bytes.is_some_and(|bytes| verified(bytes).is_ok())
    }
}

/// Names hold no slash, so no two trials have the same text.
fn text(namespace: &str, trial: &str) -> Vec<u8> {
    format!("{namespace}/{trial}").into_bytes()
}

/// A call that sends a token must send the trial's own. One that sends none is let through: SDKs
/// know of no tokens.
#[async_trait]
impl TrialGuard for TrialTokens {
    async fn check(
        &self,
        trial: &TrialRef,
        _access: Access,
        credentials: &Credentials,
    ) -> Result<(), Denied> {
        match &credentials.trial_token {
            Some(token) => self.check_token(token, trial),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_of_one_trial_and_one_secret() {
        let tokens = TrialTokens::new(&[7; 32]);
        let token = tokens.token("team", "a");
        assert_eq!(token.len(), 64);
        assert!(tokens.is_of(&token, "team", "a"));
        assert!(tokens.is_of(&token.to_uppercase(), "team", "a"));
        for (namespace, trial) in [("team", "b"), ("other", "a"), ("", "a")] {
            assert!(
                !tokens.is_of(&token, namespace, trial),
                "{namespace}/{trial}"
            );
        }
        assert!(!TrialTokens::new(&[8; 32]).is_of(&token, "team", "a"));
        for wrong in ["", "é", &token[1..], &token[..62], &format!("{token}00")] {
            assert!(!tokens.is_of(wrong, "team", "a"), "{wrong}");
        }
    }

    #[test]
    fn the_secret_of_a_file_stays_and_is_its_owners() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let token = TrialTokens::open(&path).unwrap().token("n", "t");
        assert_eq!(TrialTokens::open(&path).unwrap().token("n", "t"), token);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(&path, "short").unwrap();
        assert!(TrialTokens::open(&path).is_err());
    }

    #[tokio::test]
    async fn a_call_without_a_token_passes_and_one_with_a_wrong_token_does_not() {
        let tokens = TrialTokens::new(&[7; 32]);
        let trial = TrialRef::new("team", "a");
        let token = tokens.token("team", "a");
        for (sent, passes) in [
            (None, true),
            (Some(token.as_str()), true),
            (Some("00"), false),
        ] {
            let credentials = Credentials {
                trial_token: sent.map(str::to_owned),
                bearer: None,
            };
            let checked = tokens.check(&trial, Access::Report, &credentials).await;
            assert_eq!(checked.is_ok(), passes, "{sent:?}");
        }
    }
}
