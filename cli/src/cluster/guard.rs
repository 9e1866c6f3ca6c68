//! Who may report, read, forget and stop: a trial's own collector by the trial's token, others by
//! the token of an account that may do so in Kubernetes.

use std::sync::Arc;

use async_trait::async_trait;
use diwan_db_manager::grpc::{Access, Credentials, Denied, TOKEN_KEY, TrialGuard};
use diwan_db_manager::{TrialRef, TrialTokens};
use diwan_ui::{Action, ReviewError};

use super::reviews::Reviews;
use super::trials::Trials;

/// Checks the calls of a cluster.
pub(super) struct Guard {
    /// Know the trials' own tokens.
    pub(super) tokens: Arc<TrialTokens>,
    /// Knows other callers.
    pub(super) reviews: Arc<Reviews>,
    /// Knows which trials go on.
    pub(super) trials: Trials,
    /// Whether everybody may read.
    pub(super) anonymous_reads: bool,
}

#[async_trait]
impl TrialGuard for Guard {
    async fn check(
        &self,
        trial: &TrialRef,
        access: Access,
        credentials: &Credentials,
    ) -> Result<(), Denied> {
        if access == Access::Read && self.anonymous_reads {
            return Ok(());
        }
        if let Some(token) = &credentials.trial_token {
            return self.tokens.check_token(token, trial);
        }
        match &credentials.bearer {
            Some(token) => self.check_account(token, trial, access).await,
            None if access == Access::Report => self.check_open(trial).await,
            None => Err(Denied::Unknown(format!(
                "send metadata `authorization: Bearer TOKEN` of an account that may {} in the \
                 trial's namespace, or the trial's own token as metadata {TOKEN_KEY}",
                wanted(access)
            ))),
        }
    }
}

impl Guard {
    async fn check_account(
        &self,
        token: &str,
        trial: &TrialRef,
        access: Access,
    ) -> Result<(), Denied> {
        let undecided = |error: ReviewError| Denied::Undecided(error.to_string());
        let account = self.reviews.account(token).await.map_err(undecided)?;
        let account = account.ok_or_else(|| {
            Denied::Unknown(
                "the token in metadata authorization is nobody's, or no longer valid".to_owned(),
            )
        })?;
        // Who may for all trials of a namespace, as most, is asked about once for all of them.
        for name in ["", &trial.name] {
            let action = action(access, &trial.namespace, name);
            let allowed = self.reviews.may(&account, &action).await;
            if allowed.map_err(undecided)? {
                return Ok(());
            }
        }
        Err(Denied::Forbidden(format!(
            "{} may not {} in the trial's namespace",
            account.user,
            wanted(access)
        )))
    }

    /// Katib's own collectors and SDKs send nothing at all: their reports are taken for as long as
    /// the trial goes on.
    async fn check_open(&self, trial: &TrialRef) -> Result<(), Denied> {
        match self.trials.is_open(trial).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Denied::Unknown(format!(
                "no trial of this name goes on; a later report needs the trial's own token as \
                 metadata {TOKEN_KEY}"
            ))),
            Err(error) => Err(Denied::Undecided(error.to_string())),
        }
    }
}

/// What an account has to be allowed to do.
fn action(access: Access, namespace: &str, trial: &str) -> Action {
    let (verb, subresource) = needed(access);
    Action {
        verb,
        group: diwan_api::GROUP,
        resource: "trials",
        subresource,
        namespace: namespace.to_owned(),
        name: trial.to_owned(),
    }
}

fn needed(access: Access) -> (&'static str, &'static str) {
    match access {
        Access::Read => ("get", ""),
        Access::Delete => ("delete", ""),
        Access::Report | Access::Stop => ("update", "status"),
    }
}

fn wanted(access: Access) -> String {
    match needed(access) {
        (verb, "") => format!("{verb} trials"),
        (verb, subresource) => format!("{verb} trials/{subresource}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::fake::{Asked, FakeApi};
    use super::*;

    const ALL: [Access; 4] = [Access::Report, Access::Read, Access::Delete, Access::Stop];

    /// The token `reader` is of an account that may get trials of `team`, `owner` of one that may
    /// do everything there, `friend` of one that may do everything with a trial `ended`. The trial
    /// `open` goes on.
    fn server(asked: Asked) -> (u16, Value) {
        let spec = &asked.body["spec"];
        if asked.path.ends_with("/tokenreviews") {
            let status = match spec["token"].as_str() {
                Some(user @ ("reader" | "owner" | "friend")) => {
                    json!({"authenticated": true, "user": {"username": user}})
                }
                _ => json!({"authenticated": false}),
            };
            return (201, json!({"spec": {}, "status": status}));
        }
        if asked.path.ends_with("/subjectaccessreviews") {
            let wanted = &spec["resourceAttributes"];
            let is_ours = wanted["namespace"] == "team" && wanted["resource"] == "trials";
            let may_all = is_ours && (spec["user"] == "owner" || wanted["verb"] == "get");
            let may_one = spec["user"] == "friend" && wanted["name"] == "ended";
            let allowed = may_all || may_one;
            return (201, json!({"spec": {}, "status": {"allowed": allowed}}));
        }
        match asked.path.rsplit('/').next() {
            Some("open") => {
                let trial = json!({
                    "apiVersion": "kubeflow.org/v1beta1", "kind": "Trial",
                    "metadata": {"name": "open", "namespace": "team"}, "spec": {},
                });
                (200, trial)
            }
            _ => (404, json!({"reason": "NotFound"})),
        }
    }

    fn guard(api: &FakeApi, anonymous_reads: bool) -> Guard {
        Guard {
            tokens: Arc::new(TrialTokens::new(&[7; 32])),
            reviews: Arc::new(Reviews::new(api.client())),
            trials: Trials(api.client()),
            anonymous_reads,
        }
    }

    fn bearer(token: &str) -> Credentials {
        Credentials {
            bearer: Some(token.to_owned()),
            trial_token: None,
        }
    }

    /// Which accesses pass.
    async fn passing(guard: &Guard, trial: &TrialRef, credentials: &Credentials) -> Vec<Access> {
        let mut passing = Vec::new();
        for access in ALL {
            if guard.check(trial, access, credentials).await.is_ok() {
                passing.push(access);
            }
        }
        passing
    }

    #[tokio::test]
    async fn each_door_opens_to_whom_it_should() {
        let api = FakeApi::new(server);
        let guard = guard(&api, false);
        let ours = TrialRef::new("team", "ended");
        let token = guard.tokens.token("team", "ended");
        let own = Credentials {
            trial_token: Some(token),
            bearer: None,
        };
        let nothing = Credentials::default();
        for (case, trial, credentials, expected) in [
            ("the trial itself", &ours, &own, &ALL[..]),
            ("another trial", &TrialRef::new("team", "open"), &own, &[]),
            (
                "another namespace",
                &TrialRef::new("other", "ended"),
                &own,
                &[],
            ),
            ("a reader", &ours, &bearer("reader"), &[Access::Read]),
            ("an owner", &ours, &bearer("owner"), &ALL),
            (
                "an owner elsewhere",
                &TrialRef::new("other", "ended"),
                &bearer("owner"),
                &[],
            ),
            (
                "an owner of a trial unknown",
                &TrialRef::new("", "ended"),
                &bearer("owner"),
                &[],
            ),
            ("a wrong token", &ours, &bearer("guess"), &[]),
            ("nobody", &ours, &nothing, &[]),
            (
                "a running trial's SDK",
                &TrialRef::new("team", "open"),
                &nothing,
                &[Access::Report],
            ),
            (
                "a trial that is not there",
                &TrialRef::new("", "open"),
                &nothing,
                &[],
            ),
        ] {
            assert_eq!(
                passing(&guard, trial, credentials).await,
                expected,
                "{case}"
            );
        }
    }

    #[tokio::test]
    async fn everybody_may_read_where_that_is_wished() {
        let guard = guard(&FakeApi::new(server), true);
        let trial = TrialRef::new("team", "ended");
        let nothing = Credentials::default();
        assert_eq!(passing(&guard, &trial, &nothing).await, [Access::Read]);
    }

    #[tokio::test]
    async fn a_refusal_says_what_to_send_and_not_where_the_trial_is() {
        let guard = guard(&FakeApi::new(server), false);
        let trial = TrialRef::new("secret", "ended");
        for (access, credentials, expected) in [
            (
                Access::Read,
                Credentials::default(),
                "account that may get trials in",
            ),
            (
                Access::Delete,
                Credentials::default(),
                "account that may delete trials in",
            ),
            (
                Access::Stop,
                Credentials::default(),
                "may update trials/status in",
            ),
            (
                Access::Report,
                Credentials::default(),
                "metadata diwan-trial-token",
            ),
            (Access::Read, bearer("guess"), "is nobody's"),
            (
                Access::Delete,
                bearer("reader"),
                "reader may not delete trials",
            ),
        ] {
            let denied = guard.check(&trial, access, &credentials).await.unwrap_err();
            let text = denied.to_string();
            assert!(text.contains(expected), "{text}");
            assert!(!text.contains("secret"), "{text}");
            let is_forbidden = matches!(denied, Denied::Forbidden(_));
            assert_eq!(is_forbidden, text.contains("reader"), "{text}");
        }
    }

    #[tokio::test]
    async fn nothing_passes_while_the_api_server_is_away() {
        let guard = guard(&FakeApi::new(|_| (503, json!({"message": "away"}))), false);
        let trial = TrialRef::new("team", "open");
        for (access, credentials) in [
            (Access::Read, bearer("owner")),
            (Access::Report, Credentials::default()),
        ] {
            let denied = guard.check(&trial, access, &credentials).await.unwrap_err();
            assert!(matches!(denied, Denied::Undecided(_)), "{denied}");
        }
    }
}
