//! The names and passwords in pull Secrets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Map, Value};

use super::reference::{Reference, canonical};

/// With what one logs in.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::cluster) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

/// The names and passwords of some Secrets, by where they hold.
#[derive(Default)]
pub(in crate::cluster) struct Credentials(Vec<(Place, Login)>);

/// A registry, or a part of one: `*.example.com` or `example.com/team`.
struct Place {
    registry: String,
    path: String,
}

impl Credentials {
    /// Takes in a Secret of the types `dockerconfigjson` and `dockercfg`; others hold nothing.
    pub(in crate::cluster) fn add(&mut self, secret: &Secret) {
        let Some(data) = &secret.data else { return };
        let json = |key: &str| serde_json::from_slice::<Value>(&data.get(key)?.0).ok();
        let new = json(".dockerconfigjson").map(|mut config| config["auths"].take());
        let auths = new.or_else(|| json(".dockercfg"));
        let auths = auths.as_ref().and_then(Value::as_object);
        self.add_all(auths.into_iter().flatten());
    }

    fn add_all<'a>(&mut self, auths: impl Iterator<Item = (&'a String, &'a Value)>) {
        let logins = auths.filter_map(|(place, auth)| {
            Some((Place::parse(place), Login::parse(auth.as_object()?)?))
        });
        self.0.extend(logins);
    }

    /// What may be tried at an image, the nearest first.
    pub(super) fn logins(&self, reference: &Reference) -> Vec<Login> {
        let mut found: Vec<&(Place, Login)> = self.0.iter().collect();
        found.retain(|(place, _)| place.holds(reference));
        found.sort_by_key(|(place, _)| std::cmp::Reverse(place.path.len()));
        found.into_iter().map(|(_, login)| login.clone()).collect()
    }
}

impl Login {
    fn parse(auth: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| auth.get(name)?.as_str().filter(|text| !text.is_empty());
        if let (Some(user), Some(password)) = (text("username"), text("password")) {
            return Some(Self {
                user: user.to_owned(),
                password: password.to_owned(),
            });
        }
        let both = String::from_utf8(STANDARD.decode(text("auth")?.trim()).ok()?).ok()?;
        let (user, password) = both.split_once(':')?;
        Some(Self {
            user: user.to_owned(),
            password: password.trim_end_matches('\0').to_owned(),
        })
    }
}

impl Place {
    fn parse(text: &str) -> Self {
        let text = text.split_once("://").map_or(text, |(_, rest)| rest);
        let (registry, path) = text.split_once('/').unwrap_or((text, ""));
        let path = path.trim_matches('/');
        Self {
            registry: canonical(registry).to_owned(),
            // As in https://index.docker.io/v1/: the version of an interface.
            path: match path {
                "v1" | "v2" => String::new(),
                path => path.to_owned(),
            },
        }
    }

    fn holds(&self, reference: &Reference) -> bool {
        let path = reference.repository.strip_prefix(self.path.as_str());
        let is_below =
            self.path.is_empty() || path.is_some_and(|p| p.is_empty() || p.starts_with('/'));
        is_below && matches(&self.registry, &reference.registry)
    }
}

/// Whether a registry fits a pattern; a star stands for a part of one of its names.
fn matches(pattern: &str, registry: &str) -> bool {
    let (patterns, names) = (pattern.split('.'), registry.split('.'));
    patterns.clone().count() == names.clone().count()
        && patterns
            .zip(names)
            .all(|(pattern, name)| match pattern.split_once('*') {
                None => pattern == name,
                Some((before, after)) => name
                    .strip_prefix(before)
                    .is_some_and(|rest| rest.ends_with(after)),
            })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn credentials(auths: Value) -> Credentials {
        let config = json!({"auths": auths}).to_string();
        let data = json!({".dockerconfigjson": STANDARD.encode(config)});
        let mut credentials = Credentials::default();
        credentials.add(&serde_json::from_value(json!({"data": data})).unwrap());
        credentials
    }

    fn users(credentials: &Credentials, image: &str) -> Vec<String> {
        let logins = credentials.logins(&Reference::parse(image).unwrap());
        let user = |login: Login| format!("{} {}", login.user, login.password);
        logins.into_iter().map(user).collect()
    }

    fn login(user: &str) -> Value {
        json!({"username": user, "password": "p"})
    }

    #[test]
    fn a_login_holds_where_its_secret_says() {
        let credentials = credentials(json!({
            "https://index.docker.io/v1/": {"auth": STANDARD.encode("hub:a:b")},
            "r.io": login("all"),
            "r.io/team": login("team"),
            "http://*.cloud.io": login("cloud"),
            "localhost:5000": login("local"),
            "empty.io": {},
        }));
        for (image, expected) in [
            ("busybox", &["hub a:b"][..]),
            ("r.io/team/x", &["team p", "all p"]),
            ("r.io/team", &["team p", "all p"]),
            ("r.io/teams/x", &["all p"]),
            ("eu.cloud.io/x", &["cloud p"]),
            ("cloud.io/x", &[]),
            ("a.eu.cloud.io/x", &[]),
            ("localhost:5000/x", &["local p"]),
            ("localhost:5001/x", &[]),
            ("empty.io/x", &[]),
        ] {
            assert_eq!(users(&credentials, image), expected, "{image}");
        }
    }

    #[test]
    fn the_old_type_of_secret_is_read_and_others_hold_nothing() {
        let mut credentials = Credentials::default();
        let old = STANDARD.encode(json!({"r.io": login("old")}).to_string());
        for data in [
            json!({".dockercfg": old}),
            json!({".dockerconfigjson": STANDARD.encode("no JSON")}),
            json!({"password": STANDARD.encode("x")}),
        ] {
            credentials.add(&serde_json::from_value(json!({"data": data})).unwrap());
        }
        assert_eq!(users(&credentials, "r.io/x"), ["old p"]);
    }
}
