//! What calls carry beside their messages, which name a trial but not its namespace.

use tonic::Status;
use tonic::metadata::MetadataMap;

/// The namespace of the trials that a call names.
pub const NAMESPACE_KEY: &str = "diwan-namespace";
/// What shows that the caller may act for the trial.
pub const TOKEN_KEY: &str = "diwan-trial-token";
/// The id of a report; a second report of the trial with the same id is not stored.
pub const BATCH_KEY: &str = "diwan-batch";

/// What holds the token of an account, as `Bearer TOKEN`.
const AUTHORIZATION: &str = "authorization";

/// What a call sends to show who makes it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The token of a trial, which its own collector sends.
    pub trial_token: Option<String>,
    /// The token of an account of the cluster.
    pub bearer: Option<String>,
}

impl Credentials {
    /// Reads them; a value of `authorization` that is no bearer's counts as not sent.
    ///
    /// # Errors
    /// A value is no ASCII text.
    pub fn of(metadata: &MetadataMap) -> Result<Self, Status> {
        let authorization = text(metadata, AUTHORIZATION)?;
        let bearer = authorization.as_deref().and_then(bearer).map(str::to_owned);
        Ok(Self {
            trial_token: text(metadata, TOKEN_KEY)?,
            bearer,
        })
    }
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Reads a value; an empty one counts as not sent.
///
/// # Errors
/// It is no ASCII text.
pub fn text(metadata: &MetadataMap, key: &str) -> Result<Option<String>, Status> {
    let Some(value) = metadata.get(key) else {
        return Ok(None);
    };
    let value = value
        .to_str()
        .map_err(|_| Status::invalid_argument(format!("metadata {key} is not ascii text")))?;
    Ok(Some(value.to_owned()).filter(|value| !value.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_from_what_a_call_carries() {
        let mut metadata = MetadataMap::new();
        assert!(Credentials::of(&metadata).unwrap() == Credentials::default());
        metadata.insert(TOKEN_KEY, "abc".parse().unwrap());
        for (sent, bearer) in [
            ("Bearer t0ken", Some("t0ken")),
            ("bearer  t0ken", Some("t0ken")),
            ("Bearer ", None),
            ("Basic dXNlcg==", None),
            ("t0ken", None),
        ] {
            metadata.insert(AUTHORIZATION, sent.parse().unwrap());
            let credentials = Credentials::of(&metadata).unwrap();
            assert_eq!(credentials.bearer.as_deref(), bearer, "{sent}");
            assert_eq!(credentials.trial_token.as_deref(), Some("abc"));
        }
    }
}
