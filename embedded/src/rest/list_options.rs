//! Which part of a list a request asks for, and as of when.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::query::Query;
use crate::{
    status::{Cause, Status},
    store::Object,
};

/// What the tokens of Kubernetes name as their version.
const TOKEN_VERSION: &str = "meta.k8s.io/v1";
const TOO_OLD: &str = "The resourceVersion for the provided list is too old.";
const TOO_OLD_TO_CONTINUE: &str = "The provided continue parameter is too old to display a \
    consistent list result. You can start a new list without the continue parameter, or use the \
    continue token in this response to retrieve the remainder of the results. Continuing with the \
    provided token results in an inconsistent list - objects that were created, modified, or \
    deleted between the time the first chunk was returned and now may show up in the list.";

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// The version whose objects are asked for; the current one without it.
    pub(super) at: Option<u64>,
    /// A version that the server must have reached.
    at_least: u64,
    /// At most so many objects.
    limit: Option<usize>,
    /// Only objects from this place on.
    start: Option<String>,
    /// Whether it goes on with a list.
    continues: bool,
}

/// The metadata of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListMeta {
    version: u64,
    next: Option<String>,
    remaining: Option<usize>,
}

impl Part {
    /// Reads what a request asks for.
    pub(super) fn parse(query: &Query) -> Result<Self, Status> {
        check_list(query)?;
        let limit = query.number::<i64>("limit")?.unwrap_or(0);
        query.number::<i64>("timeoutSeconds")?;
        let asked = query.get("resourceVersion");
        let version = asked.map_or(Ok(0), version).map_err(|why| {
            Status::bad_request(format!("invalid resource version: {}", why.message))
        })?;
        // Kubernetes answers from its cache when any version will do, and whole.
        let limit = usize::try_from(limit)
            .ok()
            .filter(|limit| *limit > 0 && asked != Some("0"));
        if let Some(token) = query.get("continue") {
            let (at, start) = decode(token)?;
            if version != 0 {
                return Err(Status::bad_request(
                    "specifying resource version is not allowed when using continue",
                ));
            }
            return Ok(Self {
                at: u64::try_from(at).ok(),
                at_least: 0,
                limit,
                start: Some(start),
                continues: true,
            });
        }
        // A first page that names a version and no match is as of that version.
        let exact = match query.get("resourceVersionMatch") {
            Some(matched) => matched == "Exact",
            None => limit.is_some() && version != 0,
        };
        Ok(Self {
            at: exact.then_some(version),
            at_least: version,
            limit,
            start: None,
            continues: false,
        })
    }

    /// Refuses versions that the server has not reached.
    pub(super) fn check(&self, current: u64) -> Result<(), Status> {
        let asked = self.at.unwrap_or(0).max(self.at_least);
        if asked > current {
            return Err(Status::too_new(asked, current));
        }
        Ok(())
    }

    /// The answer when the objects of the version are forgotten.
    pub(super) fn expired(&self) -> Status {
        if !self.continues {
            return Status::new(410, "Expired", TOO_OLD);
        }
        let mut status = Status::new(410, "Expired", TOO_OLD_TO_CONTINUE);
        status.goes_on = self.start.as_deref().map(|start| encode(-1, start));
        status
    }

    /// Takes the part out of all objects, which are in the order of their places. `counts` says
    /// whether what is left can be told: not when a selector has to look at it.
    pub(super) fn take(
        &self,
        mut objects: Vec<Arc<Object>>,
        namespaced: bool,
        version: u64,
        counts: bool,
    ) -> (Vec<Arc<Object>>, ListMeta) {
        let place = |object: &Object| place(object, namespaced);
        if let Some(start) = &self.start {
            let first = objects.partition_point(|object| place(object) < *start);
            objects.drain(..first);
        }
        let mut meta = ListMeta {
            version,
            next: None,
            remaining: None,
        };
        if let Some(limit) = self.limit.filter(|limit| *limit < objects.len()) {
            meta.remaining = counts.then_some(objects.len() - limit);
            objects.truncate(limit);
            // The next place after the last one.
            let start = objects.last().map(|last| place(last) + "\0");
            meta.next = start.map(|start| encode(version as i64, &start));
        }
        (objects, meta)
    }
}

impl ListMeta {
    /// The metadata on the wire. Lists of custom kinds always tell where they go on.
    pub(super) fn to_value(&self, custom: bool) -> Value {
        let mut value = json!({ "resourceVersion": self.version.to_string() });
        if custom || self.next.is_some() {
            value["continue"] = json!(self.next.as_deref().unwrap_or_default());
        }
        if let Some(remaining) = self.remaining {
            value["remainingItemCount"] = json!(remaining);
        }
        value
    }
}

/// Puts objects into the order of their places, as Kubernetes lists them: a namespace ends with
/// a slash, which comes after a hyphen.
pub(super) fn sort(objects: &mut [Arc<Object>]) {
    let of = |object: &Arc<Object>| place(object, false);
    objects.sort_by_cached_key(of);
}

fn place(object: &Object, namespaced: bool) -> String {
    let key = &object.key;
    if namespaced || key.namespace.is_empty() {
        key.name.clone()
    } else {
        format!("{}/{}", key.namespace, key.name)
    }
}

/// Checks the parameters of a watch.
pub(super) fn check_watch(query: &Query) -> Result<(), Status> {
    const ONLY: &str = "NotOlderThan";
    let initial = query.get("sendInitialEvents").is_some();
    let matched = query.get("resourceVersionMatch");
    let mut causes = Vec::new();
    if initial && matched != Some(ONLY) {
        causes.push(forbidden(
            "resourceVersionMatch",
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ));
    }
    if matched.is_some() && !initial {
        causes.push(forbidden(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ));
    }
    if let Some(other) = matched.filter(|matched| *matched != ONLY) {
        causes.push(unsupported("resourceVersionMatch", other, &[ONLY]));
    }
    if query.get("continue").is_some() {
        causes.push(forbidden(
            "resourceVersionMatch",
            "resourceVersionMatch is forbidden when continue is provided",
        ));
    }
    refuse(&causes)
}

fn check_list(query: &Query) -> Result<(), Status> {
    let field = "resourceVersionMatch";
    let version = query.get("resourceVersion");
    let mut causes = Vec::new();
    if let Some(matched) = query.get(field) {
        if version.is_none() {
            let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            causes.push(forbidden(field, why));
        }
        if query.get("continue").is_some() {
            let why = "resourceVersionMatch is forbidden when continue is provided";
            causes.push(forbidden(field, why));
        }
        if !matches!(matched, "Exact" | "NotOlderThan") {
            causes.push(unsupported(field, matched, &["Exact", "NotOlderThan", ""]));
        }
        if matched == "Exact" && version == Some("0") {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            causes.push(forbidden(field, why));
        }
    }
    if query.get("sendInitialEvents").is_some() {
        let why = "sendInitialEvents is forbidden for list";
        causes.push(forbidden("sendInitialEvents", why));
    }
    refuse(&causes)
}

fn refuse(causes: &[Cause]) -> Result<(), Status> {
    if causes.is_empty() {
        return Ok(());
    }
    Err(Status::invalid_options("ListOptions", causes))
}

fn forbidden(field: &str, why: &str) -> Cause {
    crate::validate::cause(diwan_api::FieldError::forbidden(field, why))
}

fn unsupported(field: &str, given: &str, known: &[&str]) -> Cause {
    crate::validate::cause(diwan_api::FieldError::not_supported(field, given, known))
}

/// A version as clients write it. Kubernetes has no reason for the error outside of lists.
pub(super) fn version(text: &str) -> Result<u64, Status> {
    text.parse().map_err(|_| {
        let why = "strconv.ParseUint: parsing";
        let text =
            format!("resourceVersion: Invalid value: {text:?}: {why} {text:?}: invalid syntax");
        Status::new(500, "", text)
    })
}

fn encode(version: i64, start: &str) -> String {
    let token = json!({ "v": TOKEN_VERSION, "rv": version, "start": start });
    BASE64_URL_SAFE_NO_PAD.encode(token.to_string())
}

/// The version and the place in a token.
fn decode(token: &str) -> Result<(i64, String), Status> {
    let refuse = |why: &str| {
        let text = format!("invalid continue token: continue key is not valid: {why}");
        Status::bad_request(text)
    };
    let bytes = BASE64_URL_SAFE_NO_PAD
        .decode(token)
        .map_err(|_| refuse("illegal base64 data at input byte 0"))?;
    let token: Value = serde_json::from_slice(&bytes).map_err(|why| refuse(&why.to_string()))?;
    if token["v"] != TOKEN_VERSION {
        return Err(refuse("server does not recognize this encoded version"));
    }
    match (token["rv"].as_i64(), token["start"].as_str()) {
        (Some(version), Some(start)) if version != 0 && !start.is_empty() => {
            Ok((version, start.to_owned()))
        }
        _ => Err(refuse("incorrect encoded start resourceVersion")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::{Part, decode, encode, sort};
    use crate::{
        rest::query::Query,
        store::{Key, Object},
    };

    fn object(namespace: &str, name: &str) -> Arc<Object> {
        let key = Key {
            storage: 0,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        Arc::new(Object::new(key, 1, json!({ "metadata": { "name": name } })))
    }

    fn part(query: &str) -> Part {
        let uri = format!("/?{query}").parse().unwrap();
        Part::parse(&Query::parse(&uri).unwrap()).unwrap()
    }

    #[test]
    fn a_token_goes_on_behind_the_last_object() {
        let objects = || vec![object("n", "a"), object("n", "b"), object("n", "c")];
        let (first, meta) = part("limit=2").take(objects(), true, 7, true);
        assert_eq!((first.len(), meta.remaining), (2, Some(1)));
        let token = meta.next.unwrap();
        assert_eq!(decode(&token).unwrap(), (7, "b\0".to_owned()));
        let next = part(&format!("continue={token}"));
        assert_eq!(next.at, Some(7));
        let (rest, meta) = next.take(objects(), true, 7, true);
        assert_eq!((rest[0].key.name.as_str(), rest.len()), ("c", 1));
        assert_eq!((meta.next, meta.remaining), (None, None));
    }

    #[test]
    fn a_token_that_is_too_old_is_answered_with_one_for_any_version() {
        let old = part(&format!("limit=1&continue={}", encode(7, "b\0")));
        let token = old.expired().goes_on.unwrap();
        assert_eq!(decode(&token).unwrap(), (-1, "b\0".to_owned()));
        assert_eq!(part(&format!("continue={token}")).at, None);
        assert_eq!(part("resourceVersion=3&limit=1").expired().goes_on, None);
    }

    #[test]
    fn namespaces_are_listed_in_the_order_of_their_places() {
        let mut objects = vec![object("a", "x"), object("a-b", "x"), object("b", "x")];
        sort(&mut objects);
        let order: Vec<&str> = objects.iter().map(|o| o.key.namespace.as_str()).collect();
        assert_eq!(order, ["a-b", "a", "b"]);
    }
}
