//! Who sends a request: by token, by certificate, or in the name of somebody else.

use http::{HeaderMap, header};
use jiff::Timestamp;
use serde_json::Value;

use super::{
    Attributes, Subject, User,
    authorization::{decide, refusal},
    token::{ISSUER, SECRET_ISSUER},
    user::{ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, account_groups, account_of},
};
use crate::{
    api::Api,
    metadata,
    resource::{NODES, PODS, Resource, SECRETS, SERVICE_ACCOUNTS},
    status::Status,
};

/// Who sends a request; `certificate` is the user of the connection's certificate, if it has one.
pub(crate) fn authenticate(
    api: &Api,
    headers: &HeaderMap,
    certificate: Option<&User>,
    asked: &Attributes,
) -> Result<User, Status> {
    let user = match (certificate, bearer(headers)) {
        (Some(user), _) => user.clone(),
        (None, Some(token)) => match check_token(api, token, &[]) {
            Ok((user, _)) => user,
            Err(_) => return Err(Status::unauthorized()),
        },
        (None, None) => User::anonymous(),
    };
    impersonated(api, user, headers, asked)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let sent = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .unwrap_or("Bearer ?");
    let (scheme, token) = sent.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Whose a token is, and for which of the audiences; for the API itself when none is named.
pub(crate) fn check_token(
    api: &Api,
    token: &str,
    audiences: &[String],
) -> Result<(User, Vec<String>), String> {
    let own = [ISSUER.to_owned()];
    let wanted = if audiences.is_empty() {
        &own[..]
    } else {
        audiences
    };
    if api.keys().is_admin(token) {
        return Ok((User::admin(), wanted.to_vec()));
    }
    let claims = api.keys().signer.claims(token);
    let claims = claims.ok_or("invalid bearer token")?;
    if claims["iss"] == SECRET_ISSUER {
        let user = secret_user(api, &claims, token).ok_or("invalid bearer token")?;
        if !wanted.contains(&own[0]) {
            return Err(unfit(&own, wanted));
        }
        return Ok((user, own.to_vec()));
    }
    let list = claims["aud"].as_array().into_iter().flatten();
    let given: Vec<String> = list.filter_map(Value::as_str).map(str::to_owned).collect();
    let fit: Vec<String> = wanted
        .iter()
        .filter(|a| given.contains(a))
        .cloned()
        .collect();
    if fit.is_empty() {
        return Err(unfit(&given, wanted));
    }
    let now = Timestamp::now().as_second();
    let from = claims["nbf"].as_i64().unwrap_or(i64::MAX);
    let until = claims["exp"].as_i64().unwrap_or(i64::MIN);
    if claims["iss"] != ISSUER || now < from {
        return Err("invalid bearer token".to_owned());
    }
    if now >= until {
        return Err("[invalid bearer token, service account token has expired]".to_owned());
    }
    let user = bound_user(api, &claims).ok_or("invalid bearer token")?;
    Ok((user, fit))
}

fn unfit(given: &[String], wanted: &[String]) -> String {
    format!(
        "[invalid bearer token, token audiences {} is invalid for the target audiences {}]",
        super::rule::quoted(given),
        super::rule::quoted(wanted)
    )
}

/// The account of a token, if it and all that the token is bound to are still the same.
fn bound_user(api: &Api, claims: &Value) -> Option<User> {
    let private = &claims["kubernetes.io"];
    let namespace = private["namespace"].as_str()?;
    let (name, uid) = same(
        api,
        &SERVICE_ACCOUNTS,
        namespace,
        &private["serviceaccount"],
    )?;
    let mut user = User::service_account(namespace, name, uid);
    let mut note = |key: &str, value: &str| {
        let key = format!("authentication.kubernetes.io/{key}");
        user.extra.insert(key, vec![value.to_owned()]);
    };
    if let Some(id) = claims["jti"].as_str() {
        note("credential-id", &format!("JTI={id}"));
    }
    if !private["secret"].is_null() {
        same(api, &SECRETS, namespace, &private["secret"])?;
    }
    if !private["pod"].is_null() {
        let (name, uid) = same(api, &PODS, namespace, &private["pod"])?;
        note("pod-name", name);
        note("pod-uid", uid);
    }
    let node = &private["node"];
    if !node.is_null() {
        // A pod outlives the record of its node; a token of the node alone does not.
        if private["pod"].is_null() {
            same(api, &NODES, "", node)?;
        }
        for (key, field) in [("node-name", "name"), ("node-uid", "uid")] {
            if let Some(text) = node[field].as_str() {
                note(key, text);
            }
        }
    }
    Some(user)
}

/// The name and identifier that a token claims, if there is such an object.
fn same<'a>(
    api: &Api,
    resource: &'static Resource,
    namespace: &str,
    claimed: &'a Value,
) -> Option<(&'a str, &'a str)> {
    let (name, uid) = (claimed["name"].as_str()?, claimed["uid"].as_str()?);
    let object = api.get(resource, namespace, name)?;
    (metadata::uid(&object) == uid).then_some((name, uid))
}

/// The account of a token that is kept in a secret, if the secret still holds it.
fn secret_user(api: &Api, claims: &Value, token: &str) -> Option<User> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let claim = |name: &str| claims[format!("kubernetes.io/serviceaccount/{name}")].as_str();
    let namespace = claim("namespace")?;
    let secret = api.get(&SECRETS, namespace, claim("secret.name")?)?;
    if secret["data"]["token"] != STANDARD.encode(token) {
        return None;
    }
    let (name, uid) = (
        claim("service-account.name")?,
        claim("service-account.uid")?,
    );
    let account = api.get(&SERVICE_ACCOUNTS, namespace, name)?;
    (metadata::uid(&account) == uid).then(|| User::service_account(namespace, name, uid))
}

/// The user in whose name the request is made, if the sender may do that.
fn impersonated(
    api: &Api,
    sender: User,
    headers: &HeaderMap,
    asked: &Attributes,
) -> Result<User, Status> {
    let Some(wanted) = wanted(headers)? else {
        return Ok(sender);
    };
    for needed in needed(&wanted) {
        if !decide(api, &sender, &needed).allowed {
            let tried = Attributes {
                verb: format!("impersonate-on:user-info:{}", asked.verb),
                subject: asked.subject.clone(),
            };
            return Err(refusal(&sender, &tried, ""));
        }
    }
    Ok(complete(wanted))
}

/// The user that the headers name.
fn wanted(headers: &HeaderMap) -> Result<Option<User>, Status> {
    let texts = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).into_iter();
        values
            .filter_map(|v| v.to_str().ok())
            .map(str::to_owned)
            .collect()
    };
    let first = |name: &str| texts(name).into_iter().next().unwrap_or_default();
    let mut user = User {
        name: first("impersonate-user"),
        uid: first("impersonate-uid"),
        groups: texts("impersonate-group"),
        ..User::default()
    };
    for name in headers.keys() {
        if let Some(key) = name.as_str().strip_prefix("impersonate-extra-") {
            user.extra
                .insert(key.replace("%2f", "/"), texts(name.as_str()));
        }
    }
    if user == User::default() {
        return Ok(None);
    }
    if user.name.is_empty() {
        return Err(Status::bad_request(
            "Impersonate-User is required with Impersonate-Group, Impersonate-Uid and \
             Impersonate-Extra",
        ));
    }
    Ok(Some(user))
}

/// What the sender must be allowed to do to act in a user's name.
fn needed(wanted: &User) -> Vec<Attributes> {
    let ask = |group: &str, resource: &str, part: &str, namespace: &str, name: &str| Attributes {
        verb: "impersonate".to_owned(),
        subject: Subject::Objects {
            group: group.to_owned(),
            resource: resource.to_owned(),
            subresource: part.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        },
    };
    let mut needed = vec![match account_of(&wanted.name) {
        Some((namespace, name)) => ask("", "serviceaccounts", "", namespace, name),
        None => ask("", "users", "", "", &wanted.name),
    }];
    needed.extend(
        wanted
            .groups
            .iter()
            .map(|group| ask("", "groups", "", "", group)),
    );
    let api = "authentication.k8s.io";
    if !wanted.uid.is_empty() {
        needed.push(ask(api, "uids", "", "", &wanted.uid));
    }
    for (key, values) in &wanted.extra {
        needed.extend(
            values
                .iter()
                .map(|value| ask(api, "userextras", key, "", value)),
        );
    }
    needed
}

/// Adds the groups that everybody of the kind is in.
fn complete(mut user: User) -> User {
    if let Some((namespace, _)) = account_of(&user.name)
        && user.groups.is_empty()
    {
        user.groups.extend(account_groups(namespace));
    }
    let all = if user.name == ANONYMOUS {
        UNAUTHENTICATED
    } else {
        AUTHENTICATED
    };
    if !user.groups.iter().any(|group| group == all) {
        user.groups.push(all.to_owned());
    }
    user
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header};

    use super::{bearer, complete, needed, wanted};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_bearer_token_is_read_whatever_its_case() {
        let read = |value| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(read("Bearer a"), Some("a".to_owned()));
        assert_eq!(read("bearer  a "), Some("a".to_owned()));
        for other in ["Basic a", "Bearer", "Bearer ", "a"] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn acting_for_others_needs_a_name_and_a_right_for_each_part() {
        assert_eq!(wanted(&headers(&[])).unwrap(), None);
        assert_eq!(
            wanted(&headers(&[("impersonate-group", "g")]))
                .unwrap_err()
                .code,
            400
        );
        let user = wanted(&headers(&[
            ("impersonate-user", "u"),
            ("impersonate-group", "g"),
            ("impersonate-group", "h"),
            ("impersonate-uid", "7"),
            ("impersonate-extra-k", "v"),
        ]));
        let user = user.unwrap().unwrap();
        assert_eq!(needed(&user).len(), 5);
        assert_eq!(complete(user).groups, ["g", "h", "system:authenticated"]);
        let account = wanted(&headers(&[(
            "impersonate-user",
            "system:serviceaccount:n:a",
        )]));
        let account = complete(account.unwrap().unwrap());
        assert_eq!(account.groups[1], "system:serviceaccounts:n");
    }
}
