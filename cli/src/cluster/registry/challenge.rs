//! What a registry wants to see before it answers: the header `WWW-Authenticate`.

use reqwest::Url;

/// What a registry wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A token from somewhere else.
    Bearer(Bearer),
    /// A name and a password.
    Basic,
}

/// Where a token is given out, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bearer {
    realm: String,
    /// For whom the token is.
    service: Option<String>,
    /// What it allows.
    scope: Option<String>,
}

impl Bearer {
    /// Where to ask for it; for this scope unless the registry names another.
    pub(super) fn url(&self, scope: &str) -> Option<Url> {
        let mut url = Url::parse(&self.realm).ok()?;
        let scope = ("scope", self.scope.as_deref().unwrap_or(scope));
        let service = self.service.as_deref().map(|service| ("service", service));
        url.query_pairs_mut()
            .extend_pairs([scope].into_iter().chain(service));
        Some(url)
    }
}

impl Challenge {
    /// Reads the header's value.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service, mut scope) = (None, None, None);
        let mut rest = rest;
        while let Some((name, value, after)) = parameter(rest) {
            match name.to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value.to_owned()),
                "service" => service = Some(value.to_owned()),
                "scope" => scope = Some(value.to_owned()),
                _ => {}
            }
            rest = after;
        }
        let realm = realm?;
        Some(Self::Bearer(Bearer {
            realm,
            service,
            scope,
        }))
    }
}

/// The first parameter's name and value, and what follows.
fn parameter(text: &str) -> Option<(&str, &str, &str)> {
    let text = text.trim_start_matches([' ', ',']);
    let (name, rest) = text.split_once('=')?;
    let (value, rest) = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => rest.split_at(rest.find(',').unwrap_or(rest.len())),
    };
    Some((name.trim(), value.trim(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let bearer = |realm: &str, service: Option<&str>, scope: Option<&str>| {
            Some(Challenge::Bearer(Bearer {
                realm: realm.to_owned(),
                service: service.map(str::to_owned),
                scope: scope.map(str::to_owned),
            }))
        };
        for (header, expected) in [
            (
                r#"Bearer realm="https://a.io/token",service="r.io",scope="repository:a/b:pull,push""#,
                bearer(
                    "https://a.io/token",
                    Some("r.io"),
                    Some("repository:a/b:pull,push"),
                ),
            ),
            (
                r#"bearer service=r.io, realm="https://a.io", error="invalid_token""#,
                bearer("https://a.io", Some("r.io"), None),
            ),
            (r#"Basic realm="x""#, Some(Challenge::Basic)),
            ("Basic", Some(Challenge::Basic)),
            (r#"Bearer service="r.io""#, None),
            ("Negotiate", None),
        ] {
            assert_eq!(Challenge::parse(header), expected, "{header}");
        }
    }
}
