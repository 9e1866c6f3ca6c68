//! Kinds of which nothing is stored: a client sends one and reads the answer.

use serde_json::{Value, json};

/// A kind of which nothing is stored.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Review {
    /// API group.
    pub(crate) group: &'static str,
    /// Name in paths.
    pub(crate) plural: &'static str,
    /// Name for one of it.
    pub(crate) singular: &'static str,
    /// Name in objects.
    pub(crate) kind: &'static str,
    /// Whether it is asked in a namespace.
    pub(crate) namespaced: bool,
}

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";

/// The kinds, in the order in which discovery lists them.
pub(crate) static REVIEWS: [Review; 6] = [
    review(
        AUTHENTICATION,
        "selfsubjectreviews",
        "selfsubjectreview",
        "SelfSubjectReview",
        false,
    ),
    review(
        AUTHENTICATION,
        "tokenreviews",
        "tokenreview",
        "TokenReview",
        false,
    ),
    review(
        AUTHORIZATION,
        "localsubjectaccessreviews",
        "localsubjectaccessreview",
        "LocalSubjectAccessReview",
        true,
    ),
    review(
        AUTHORIZATION,
        "selfsubjectaccessreviews",
        "selfsubjectaccessreview",
        "SelfSubjectAccessReview",
        false,
    ),
    review(
        AUTHORIZATION,
        "selfsubjectrulesreviews",
        "selfsubjectrulesreview",
        "SelfSubjectRulesReview",
        false,
    ),
    review(
        AUTHORIZATION,
        "subjectaccessreviews",
        "subjectaccessreview",
        "SubjectAccessReview",
        false,
    ),
];

/// A token of a service account: `serviceaccounts/NAME/token`.
pub(crate) static TOKEN_REQUEST: Review =
    review(AUTHENTICATION, "serviceaccounts", "", "TokenRequest", true);

/// The groups that have no other kinds.
pub(crate) const GROUPS: [&str; 2] = [AUTHENTICATION, AUTHORIZATION];

const fn review(
    group: &'static str,
    plural: &'static str,
    singular: &'static str,
    kind: &'static str,
    namespaced: bool,
) -> Review {
    Review {
        group,
        plural,
        singular,
        kind,
        namespaced,
    }
}

impl Review {
    /// `group/version`.
    pub(crate) fn api_version(&self) -> String {
        format!("{}/v1", self.group)
    }

    /// The entry in the list of a group's kinds.
    pub(crate) fn entry(&self) -> Value {
        json!({
            "name": self.plural,
            "singularName": self.singular,
            "namespaced": self.namespaced,
            "kind": self.kind,
            "verbs": ["create"],
        })
    }

    /// The entry in the list of everything.
    pub(crate) fn aggregated_entry(&self) -> Value {
        json!({
            "resource": self.plural,
            "responseKind": self.response_kind(),
            "scope": if self.namespaced { "Namespaced" } else { "Cluster" },
            "singularResource": self.singular,
            "verbs": ["create"],
        })
    }

    fn response_kind(&self) -> Value {
        json!({ "group": self.group, "version": "v1", "kind": self.kind })
    }
}

/// The kinds of a group.
pub(crate) fn of(group: &str) -> impl Iterator<Item = &'static Review> {
    REVIEWS.iter().filter(move |review| review.group == group)
}

/// The entry for tokens of service accounts in the list of a group's kinds.
pub(crate) fn token_entry() -> Value {
    json!({
        "name": "serviceaccounts/token",
        "singularName": "",
        "namespaced": true,
        "group": TOKEN_REQUEST.group,
        "version": "v1",
        "kind": TOKEN_REQUEST.kind,
        "verbs": ["create"],
    })
}

/// The entry for tokens of service accounts in the list of everything.
pub(crate) fn aggregated_token_entry() -> Value {
    json!({
        "subresource": "token", "responseKind": TOKEN_REQUEST.response_kind(), "verbs": ["create"],
    })
}
