//! What the API server says of callers: whose a token is, and what an account may do. Answers are
//! kept for a few seconds.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use diwan_ui::{Action, ReviewError, Reviewer};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::{Instant, timeout};

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(5);
/// How many answers are kept at most.
const MOST: usize = 4096;
/// How long the API server may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Account {
    /// The user's name.
    pub(super) user: String,
    groups: Vec<String>,
    uid: Option<String>,
    extra: BTreeMap<String, Vec<String>>,
}

impl Account {
    /// A user of whom no groups are known.
    fn named(user: &str) -> Self {
        Self {
            user: user.to_owned(),
            ..Self::default()
        }
    }
}

impl From<UserInfo> for Account {
    fn from(user: UserInfo) -> Self {
        Self {
            user: user.username.unwrap_or_default(),
            groups: user.groups.unwrap_or_default(),
            uid: user.uid,
            extra: user.extra.unwrap_or_default(),
        }
    }
}

/// Asks the API server about callers.
pub(super) struct Reviews {
    client: Client,
    accounts: Kept<String, Option<Account>>,
    verdicts: Kept<(Account, Action), bool>,
}

impl Reviews {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            accounts: Kept::default(),
            verdicts: Kept::default(),
        }
    }

    /// Whose a token is; `None` when it is nobody's, or no more.
    pub(super) async fn account(&self, token: &str) -> Result<Option<Account>, ReviewError> {
        let key = token.to_owned();
        if let Some(account) = self.accounts.get(&key) {
            return Ok(account);
        }
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: key.clone(),
                audiences: None,
            },
            ..TokenReview::default()
        };
        let api = Api::<TokenReview>::all(self.client.clone());
        let status = within(api.create(&PostParams::default(), &review))
            .await
            .map_err(ReviewError)?
            .status;
        let known = status.filter(|status| status.authenticated == Some(true));
        let account = known.and_then(|status| status.user).map(Account::from);
        let account = account.filter(|account| !account.user.is_empty());
        self.accounts.put(key, account.clone());
        Ok(account)
    }

    /// Whether an account may do something.
    pub(super) async fn may(
        &self,
        account: &Account,
        action: &Action,
    ) -> Result<bool, ReviewError> {
        let key = (account.clone(), action.clone());
        if let Some(allowed) = self.verdicts.get(&key) {
            return Ok(allowed);
        }
        let api = Api::<SubjectAccessReview>::all(self.client.clone());
        let review = review(account, action);
        let status = within(api.create(&PostParams::default(), &review))
            .await
            .map_err(ReviewError)?
            .status;
        let allowed = status.is_some_and(|status| status.allowed && status.denied != Some(true));
        self.verdicts.put(key, allowed);
        Ok(allowed)
    }
}

#[async_trait]
impl Reviewer for Reviews {
    async fn may(&self, user: &str, action: &Action) -> Result<bool, ReviewError> {
        Reviews::may(self, &Account::named(user), action).await
    }
}

fn review(account: &Account, action: &Action) -> SubjectAccessReview {
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let attributes = ResourceAttributes {
        verb: given(action.verb),
        group: given(action.group),
        resource: given(action.resource),
        subresource: given(action.subresource),
        namespace: given(&action.namespace),
        name: given(&action.name),
        ..ResourceAttributes::default()
    };
    SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: given(&account.user),
            groups: Some(account.groups.clone()).filter(|groups| !groups.is_empty()),
            uid: account.uid.clone(),
            extra: Some(account.extra.clone()).filter(|extra| !extra.is_empty()),
            resource_attributes: Some(attributes),
            non_resource_attributes: None,
        },
        ..SubjectAccessReview::default()
    }
}

/// Waits for an answer of the API server; else says what is wrong, in a sentence.
pub(super) async fn within<T>(asked: impl Future<Output = kube::Result<T>>) -> Result<T, String> {
    match timeout(PATIENCE, asked).await {
        Ok(Err(kube::Error::Api(status))) => Err(status.message.clone()),
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("the API server does not answer".to_owned()),
    }
}

/// Answers that are kept for a while.
struct Kept<K, V>(Mutex<HashMap<K, (Instant, V)>>);

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Eq + Hash, V: Clone> Kept<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, value) = kept.get(key)?;
        (since.elapsed() < KEPT).then(|| value.clone())
    }

    fn put(&self, key: K, value: V) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.retain(|_, (since, _)| since.elapsed() < KEPT);
        }
        // Somebody asks for thousands of things a second: rather ask again than grow.
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(key, (Instant::now(), value));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::fake::{Asked, FakeApi};
    use super::*;

    fn action(verb: &'static str, namespace: &str) -> Action {
        Action {
            verb,
            group: "kubeflow.org",
            resource: "trials",
            subresource: "status",
            namespace: namespace.to_owned(),
            name: "t".to_owned(),
        }
    }

    /// The token `good` is `ada`'s, who is of `team`; members of `team` may do everything there.
    fn server(asked: Asked) -> (u16, Value) {
        let spec = &asked.body["spec"];
        match asked.path.as_str() {
            "/apis/authentication.k8s.io/v1/tokenreviews" => {
                let status = match spec["token"].as_str() {
                    Some("good") => json!({"authenticated": true, "user": {
                        "username": "ada", "uid": "7", "groups": ["team"], "extra": {"k": ["v"]},
                    }}),
                    Some("other") => json!({"authenticated": false, "error": "no", "user": {}}),
                    _ => json!({}),
                };
                (201, json!({"spec": {}, "status": status}))
            }
            "/apis/authorization.k8s.io/v1/subjectaccessreviews" => {
                let is_member = spec["groups"] == json!(["team"]) && spec["extra"]["k"][0] == "v";
                let attributes = &spec["resourceAttributes"];
                let allowed = is_member && attributes["namespace"] == "team"
                    || spec["user"] == "root" && attributes["verb"] != "delete";
                (201, json!({"spec": {}, "status": {"allowed": allowed}}))
            }
            path => panic!("{path}"),
        }
    }

    #[tokio::test]
    async fn a_token_is_somebodys_or_nobodys() {
        let api = FakeApi::new(server);
        let reviews = Reviews::new(api.client());
        let account = reviews.account("good").await.unwrap().unwrap();
        assert_eq!(
            (account.user.as_str(), &account.groups[..]),
            ("ada", &["team".to_owned()][..])
        );
        for token in ["other", "garbage", ""] {
            assert_eq!(reviews.account(token).await.unwrap(), None, "{token}");
        }
        assert!(reviews.may(&account, &action("get", "team")).await.unwrap());
        assert!(
            !reviews
                .may(&account, &action("get", "other"))
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn a_user_of_the_page_is_asked_about_by_name() {
        let reviews = Reviews::new(FakeApi::new(server).client());
        let may = async |user, verb| Reviewer::may(&reviews, user, &action(verb, "a")).await;
        assert!(may("root", "get").await.unwrap());
        assert!(!may("root", "delete").await.unwrap());
        assert!(!may("ada", "get").await.unwrap());
    }

    #[test]
    fn a_review_says_all_that_is_asked() {
        let review = review(&Account::named("ada"), &action("update", "team"));
        let expected = json!({"user": "ada", "resourceAttributes": {
            "verb": "update", "group": "kubeflow.org", "resource": "trials",
            "subresource": "status", "namespace": "team", "name": "t",
        }});
        assert_eq!(serde_json::to_value(review.spec).unwrap(), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_kept_for_a_while() {
        let api = FakeApi::new(server);
        let reviews = Reviews::new(api.client());
        for _ in 0..3 {
            let account = reviews.account("good").await.unwrap().unwrap();
            assert!(reviews.may(&account, &action("get", "team")).await.unwrap());
        }
        assert_eq!(api.asked(), 2);
        tokio::time::advance(KEPT).await;
        reviews.account("good").await.unwrap();
        assert_eq!(api.asked(), 3);
    }

    #[tokio::test]
    async fn a_refusal_to_answer_is_no_answer() {
        let api = FakeApi::new(|_| (403, json!({"message": "diwan may not ask"})));
        let reviews = Reviews::new(api.client());
        for _ in 0..2 {
            let error = reviews.account("good").await.unwrap_err().to_string();
            assert!(error.contains("diwan may not ask"), "{error}");
        }
        assert_eq!(api.asked(), 2, "what failed is asked again");
        assert!(
            reviews
                .may(&Account::named("ada"), &action("get", "a"))
                .await
                .is_err()
        );
    }

    #[test]
    fn what_is_kept_does_not_grow() {
        let kept = Kept::default();
        for key in 0..=MOST {
            kept.put(key, ());
        }
        assert!(kept.0.lock().unwrap().len() <= MOST);
        assert_eq!(kept.get(&MOST), Some(()));
    }
}
