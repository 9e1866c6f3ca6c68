//! Who asks.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The group that may do everything.
pub(crate) const MASTERS: &str = "system:masters";
/// The group of everybody who proved who they are.
pub(crate) const AUTHENTICATED: &str = "system:authenticated";
/// The group of everybody else.
pub(crate) const UNAUTHENTICATED: &str = "system:unauthenticated";
/// Who proved nothing.
pub(crate) const ANONYMOUS: &str = "system:anonymous";
const ACCOUNT: &str = "system:serviceaccount:";
const ACCOUNTS: &str = "system:serviceaccounts";

/// Who asks, as Kubernetes names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The unique identifier, empty when there is none.
    pub uid: String,
    /// The groups.
    pub groups: Vec<String>,
    /// What else is known.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// A user who proved who they are.
    pub(crate) fn authenticated(name: &str, groups: Vec<String>) -> Self {
        let mut user = Self {
            name: name.to_owned(),
            groups,
            ..Self::default()
        };
        user.groups.push(AUTHENTICATED.to_owned());
        user
    }

    /// The user of this machine: who holds the token of the data directory, and all parts of this
    /// process.
    pub(crate) fn admin() -> Self {
        Self::authenticated("admin", vec![MASTERS.to_owned()])
    }

    /// Who sends nothing that tells who they are.
    pub(crate) fn anonymous() -> Self {
        Self {
            name: ANONYMOUS.to_owned(),
            groups: vec![UNAUTHENTICATED.to_owned()],
            ..Self::default()
        }
    }

    /// A service account.
    pub(crate) fn service_account(namespace: &str, name: &str, uid: &str) -> Self {
        let mut user = Self::authenticated(
            &account_name(namespace, name),
            account_groups(namespace).to_vec(),
        );
        uid.clone_into(&mut user.uid);
        user
    }

    /// Whether the user may do everything.
    pub(crate) fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == MASTERS)
    }

    /// The user as `UserInfo` writes it.
    pub(crate) fn info(&self) -> Value {
        let mut info = json!({});
        if !self.name.is_empty() {
            info["username"] = json!(self.name);
        }
        if !self.uid.is_empty() {
            info["uid"] = json!(self.uid);
        }
        if !self.groups.is_empty() {
            info["groups"] = json!(self.groups);
        }
        if !self.extra.is_empty() {
            info["extra"] = json!(self.extra);
        }
        info
    }
}

/// The user name of a service account.
pub(crate) fn account_name(namespace: &str, name: &str) -> String {
    format!("{ACCOUNT}{namespace}:{name}")
}

/// The namespace and name of the service account that has a user name.
pub(crate) fn account_of(user: &str) -> Option<(&str, &str)> {
    user.strip_prefix(ACCOUNT)?.split_once(':')
}

/// The groups of the service accounts of a namespace.
pub(crate) fn account_groups(namespace: &str) -> [String; 2] {
    [ACCOUNTS.to_owned(), format!("{ACCOUNTS}:{namespace}")]
}

#[cfg(test)]
mod tests {
    use super::{User, account_of};

    #[test]
    fn a_service_account_is_named_by_its_namespace() {
        let user = User::service_account("a", "robot", "7");
        assert_eq!(user.name, "system:serviceaccount:a:robot");
        assert_eq!(account_of(&user.name), Some(("a", "robot")));
        assert_eq!(
            user.groups,
            [
                "system:serviceaccounts",
                "system:serviceaccounts:a",
                "system:authenticated"
            ]
        );
        assert!(!user.is_master() && User::admin().is_master());
        assert_eq!(account_of("robot"), None);
    }
}
