//! Who may see what. Users are named by a header that what stands in front of the router sets; what
//! each may do is asked through a port.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use axum::{
    extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State},
    http::{HeaderMap, HeaderName, Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::{API_BASE, error::ApiError};

mod need;

pub use need::Action;
use need::needs;

/// How many questions are asked at a time.
const AT_A_TIME: usize = 16;
/// No name is longer.
const LONGEST_NAME: usize = 253;

/// Decides whether a user may do something; implemented where roles are known.
#[async_trait]
pub trait Reviewer: Send + Sync {
    /// Whether the user may do that.
    ///
    /// # Errors
    /// When that can't be found out now.
    async fn may(&self, user: &str, action: &Action) -> Result<bool, ReviewError>;
}

/// It can't be found out whether a user may do something.
#[derive(Debug, thiserror::Error)]
#[error("failed to ask what the user may do: {0}")]
pub struct ReviewError(pub String);

/// Who names users, and who knows what they may do.
#[derive(Clone)]
pub struct AccessControl {
    /// The header that holds the user's name.
    pub user_header: HeaderName,
    /// What is cut off the front of a user's name, if it is there.
    pub user_prefix: String,
    /// Knows what users may do.
    pub reviewer: Arc<dyn Reviewer>,
}

impl AccessControl {
    /// Who sends a request.
    fn user(&self, headers: &HeaderMap) -> Result<String, ApiError> {
        let header = &self.user_header;
        let mut values = headers.get_all(header).iter();
        let value = values.next().and_then(|value| value.to_str().ok());
        let value = value.map(|value| value.strip_prefix(&self.user_prefix).unwrap_or(value));
        match (value, values.next()) {
            (Some(user), None) if !user.is_empty() => Ok(user.to_owned()),
            (_, Some(_)) => Err(ApiError::Unauthorized(format!(
                "the header {header} names several users"
            ))),
            (_, None) => Err(ApiError::Unauthorized(format!(
                "the header {header}, which names the user, is missing: open the page through the \
                 gateway that signs users in"
            ))),
        }
    }
}

/// Who sends a request; without control, somebody who may do everything.
#[derive(Clone)]
pub(crate) struct Caller(Option<(String, Arc<dyn Reviewer>)>);

impl Caller {
    /// Refuses what the caller may not do, and names that could lead elsewhere.
    pub(crate) async fn check(&self, action: Action) -> Result<(), ApiError> {
        for name in [&action.namespace, &action.name] {
            if !is_name(name) {
                return Err(ApiError::BadRequest(format!(
                    "{name:?} is no name: use lower case letters, digits, '-' and '.'"
                )));
            }
        }
        match &self.0 {
            Some((user, reviewer)) if !reviewer.may(user, &action).await? => Err(
                ApiError::Forbidden(format!("user {user:?} may not {action}")),
            ),
            _ => Ok(()),
        }
    }

    /// Whether the caller may do something.
    pub(crate) async fn may(&self, action: &Action) -> Result<bool, ApiError> {
        match &self.0 {
            Some((user, reviewer)) => Ok(reviewer.may(user, action).await?),
            None => Ok(true),
        }
    }

    /// Returns those of the namespaces in which the caller may list experiments.
    pub(crate) async fn seen(
        &self,
        namespaces: HashSet<String>,
    ) -> Result<HashSet<String>, ApiError> {
        if self.may(&Action::list_experiments("")).await? {
            return Ok(namespaces);
        }
        let asked = namespaces.into_iter().map(async |namespace| {
            let seen = self.may(&Action::list_experiments(&namespace)).await?;
            Ok::<_, ApiError>(seen.then_some(namespace))
        });
        let seen = stream::iter(asked).buffer_unordered(AT_A_TIME);
        seen.try_filter_map(async |seen| Ok(seen))
            .try_collect()
            .await
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| ApiError::Forbidden("nobody asked who the caller is".into()))
    }
}

/// Stands before every route: finds out who calls, and asks what the route needs.
pub(crate) async fn guard(
    State(control): State<Option<AccessControl>>,
    route: MatchedPath,
    params: RawPathParams,
    mut request: Request,
    next: Next,
) -> Response {
    let path = route.as_str().strip_prefix(API_BASE).unwrap_or_default();
    // A body can't be shared while we wait for an answer.
    let (method, headers) = (request.method().clone(), request.headers().clone());
    match admit(control, path, &params, &method, &headers).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

/// Stands before routes that ask the caller themselves: finds out who calls.
pub(crate) async fn identify(
    State(control): State<Option<AccessControl>>,
    mut request: Request,
    next: Next,
) -> Response {
    match caller(control, request.headers()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

fn caller(control: Option<AccessControl>, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let user = control.map(|control| {
        let user = control.user(headers)?;
        Ok::<_, ApiError>((user, control.reviewer))
    });
    Ok(Caller(user.transpose()?))
}

async fn admit(
    control: Option<AccessControl>,
    path: &str,
    params: &RawPathParams,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Caller, ApiError> {
    let caller = caller(control, headers)?;
    let needs =
        needs(method, path).ok_or_else(|| ApiError::Forbidden(format!("nobody may use {path}")))?;
    let param = |key: &str| params.iter().find(|(name, _)| *name == key);
    let param = |key: &str| param(key).map_or("", |(_, value)| value);
    for need in needs {
        let action = need.of(param("namespace"), param("name"));
        caller.check(action).await?;
    }
    is_asked_on_purpose(method, headers)?;
    Ok(caller)
}

/// Refuses what a browser sends for a page of another site without asking us first: a POST of a
/// form or of plain text. We never allow the others.
fn is_asked_on_purpose(method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    if method != Method::POST {
        return Ok(());
    }
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|value| value.to_str().ok()).unwrap_or("");
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let allowed = ["application/yaml", "application/json"];
    if allowed.iter().any(|name| kind.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    Err(ApiError::UnsupportedMediaType(
        "send the header content-type: application/yaml, or application/json".into(),
    ))
}

/// Whether a text is a name, or none: it goes into addresses and selectors as it is.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    text.len() <= LONGEST_NAME && !text.starts_with('.') && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    struct Nobody;

    #[async_trait]
    impl Reviewer for Nobody {
        async fn may(&self, _: &str, _: &Action) -> Result<bool, ReviewError> {
            Ok(false)
        }
    }

    fn user(prefix: &str, values: &[&str]) -> Result<String, String> {
        let control = AccessControl {
            user_header: HeaderName::from_static("kubeflow-userid"),
            user_prefix: prefix.into(),
            reviewer: Arc::new(Nobody),
        };
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_str(value).unwrap();
            headers.append("kubeflow-userid", value);
        }
        control.user(&headers).map_err(|error| error.to_string())
    }

    #[test]
    fn the_header_names_one_user() {
        assert_eq!(user("", &["ada@example.com"]).unwrap(), "ada@example.com");
        assert_eq!(user("iap:", &["iap:ada"]).unwrap(), "ada");
        assert_eq!(user("iap:", &["ada"]).unwrap(), "ada");
        for (values, told) in [
            (&[][..], "kubeflow-userid, which names the user, is missing"),
            (&["iap:"], "is missing"),
            (&["ada", "root"], "several users"),
        ] {
            let error = user("iap:", values).unwrap_err();
            assert!(error.contains(told), "{values:?}: {error}");
        }
    }

    #[test]
    fn a_name_leads_nowhere_else() {
        assert!(is_name("") && is_name("tune-1.a"));
        for text in ["..", "a/b", "a?b", "a,b", "A", "é", "a b", &"a".repeat(254)] {
            assert!(!is_name(text), "{text}");
        }
    }

    #[test]
    fn a_form_of_another_site_is_refused() {
        let asked = |method: Method, kind: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(kind) = kind {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            }
            is_asked_on_purpose(&method, &headers).is_ok()
        };
        assert!(asked(Method::GET, None));
        assert!(asked(Method::POST, Some("Application/YAML; charset=utf-8")));
        for kind in [
            None,
            Some("text/plain;application/json"),
            Some("application/x-www-form-urlencoded"),
        ] {
            assert!(!asked(Method::POST, kind), "{kind:?}");
        }
    }
}
