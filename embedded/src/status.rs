//! The `Status` that Kubernetes answers when a request fails.

use std::fmt::{self, Display, Formatter};

use diwan_api::FieldErrors;
use serde_json::{Map, Value, json};

use crate::resource::Resource;

/// Why a request failed, as Kubernetes says it.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The HTTP status code.
    pub code: u16,
    /// One word, such as `NotFound`.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
    /// `details`, where there are any.
    pub details: Option<Box<Value>>,
    /// Where a client may go on with a list that has become too old.
    pub(crate) goes_on: Option<String>,
    /// What the client is told beside it, in headers.
    pub(crate) warnings: Vec<String>,
}

/// One reason among several why an object is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Path of the field.
    pub field: String,
    /// One word, such as `FieldValueRequired`.
    pub reason: &'static str,
    /// The text without the field.
    pub message: String,
}

impl Cause {
    fn to_value(&self) -> Value {
        json!({ "reason": self.reason, "message": self.message, "field": self.field })
    }
}

impl Status {
    /// A failure with a code, a reason and a message.
    pub fn new(code: u16, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
            message: message.into(),
            details: None,
            goes_on: None,
            warnings: Vec::new(),
        }
    }

    /// The same failure, with a warning.
    pub(crate) fn warned(mut self, warning: &str) -> Self {
        self.warnings.push(warning.to_owned());
        self
    }

    /// No such object.
    pub fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} not found", resource.qualified());
        Self::new(404, "NotFound", message).about(resource, name)
    }

    /// No such path.
    pub fn no_such_path() -> Self {
        let mut status = Self::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        );
        status.details = Some(Box::new(json!({})));
        status
    }

    /// An object of this name is there already.
    pub fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", resource.qualified());
        Self::new(409, "AlreadyExists", message).about(resource, name)
    }

    /// The object has changed since it was read.
    pub fn conflict(resource: &Resource, name: &str) -> Self {
        Self::conflict_because(
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and \
             try again",
        )
    }

    /// The object is not as the caller expects it.
    pub fn conflict_because(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: {why}",
            resource.qualified()
        );
        Self::new(409, "Conflict", message).about(resource, name)
    }

    /// The object is not the one that is to be deleted. Kubernetes names the kind here.
    pub(crate) fn conflict_of_kind(resource: &Resource, name: &str, why: &str) -> Self {
        let kind = resource.qualified_kind();
        let message = format!("Operation cannot be fulfilled on {kind} {name:?}: {why}");
        let mut status = Self::new(409, "Conflict", message);
        let mut details = named(resource, name);
        details.insert("kind".to_owned(), json!(resource.kind));
        status.details = Some(Box::new(Value::Object(details)));
        status
    }

    /// The object breaks rules.
    pub fn invalid(resource: &Resource, name: &str, causes: &[Cause]) -> Self {
        let causes = causes.iter().map(Cause::to_value).collect();
        Self::invalid_because(resource, name, causes)
    }

    /// The object breaks rules, and says that it is of another kind.
    pub(crate) fn invalid_as(
        resource: &Resource,
        kind: &str,
        name: &str,
        causes: &[Cause],
    ) -> Self {
        let mut details = named(resource, name);
        details.insert("kind".to_owned(), json!(kind));
        let causes = causes.iter().map(Cause::to_value).collect();
        let qualified = format!("{kind}.{}", resource.group);
        Self::invalid_kind(&qualified, name, details, causes)
    }

    fn invalid_because(resource: &Resource, name: &str, causes: Vec<Value>) -> Self {
        let mut details = named(resource, name);
        details.insert("kind".to_owned(), json!(resource.kind));
        Self::invalid_kind(&resource.qualified_kind(), name, details, causes)
    }

    fn invalid_kind(
        qualified_kind: &str,
        name: &str,
        mut details: Map<String, Value>,
        causes: Vec<Value>,
    ) -> Self {
        let text = |cause: &Value| {
            let part = |key: &str| cause[key].as_str().unwrap_or_default().to_owned();
            format!("{}: {}", part("field"), part("message"))
        };
        let mut texts: Vec<String> = Vec::new();
        for cause in &causes {
            let text = text(cause);
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let list = match texts.as_slice() {
            [one] => one.clone(),
            several => format!("[{}]", several.join(", ")),
        };
        let message = format!("{qualified_kind} {name:?} is invalid: {list}");
        let mut status = Self::new(422, "Invalid", message);
        details.insert("causes".to_owned(), Value::Array(causes));
        status.details = Some(Box::new(Value::Object(details)));
        status
    }

    /// The parameters of a request, which are of a kind such as `ListOptions`, break rules.
    pub(crate) fn invalid_options(kind: &str, causes: &[Cause]) -> Self {
        let details = json!({ "group": "meta.k8s.io", "kind": kind });
        let details = details.as_object().cloned().unwrap_or_default();
        let causes = causes.iter().map(Cause::to_value).collect();
        Self::invalid_kind(&format!("{kind}.meta.k8s.io"), "", details, causes)
    }

    /// Two verdicts on the same object as one, so that a user sees every error at once: what the
    /// schema says, and what admission says of the fields that the schema has nothing against.
    pub(crate) fn both(
        resource: &Resource,
        name: &str,
        schema: Result<(), Self>,
        admission: Result<(), Self>,
    ) -> Result<(), Self> {
        let (Err(schema), Err(admission)) = (&schema, &admission) else {
            return schema.and(admission);
        };
        let mut causes = schema.causes();
        let known: Vec<Value> = causes.iter().map(|cause| cause["field"].clone()).collect();
        causes.extend(
            admission
                .causes()
                .into_iter()
                .filter(|c| !known.contains(&c["field"])),
        );
        Err(Self::invalid_because(resource, name, causes))
    }

    fn causes(&self) -> Vec<Value> {
        let causes = self
            .details
            .as_ref()
            .and_then(|details| details["causes"].as_array());
        causes.cloned().unwrap_or_default()
    }

    /// The object breaks rules of ours.
    pub fn invalid_fields(resource: &Resource, name: &str, errors: &FieldErrors) -> Self {
        let causes: Vec<Cause> = errors
            .0
            .iter()
            .map(|e| Cause {
                field: e.field.clone(),
                reason: e.kind.reason(),
                message: e.message(),
            })
            .collect();
        Self::invalid(resource, name, &causes)
    }

    /// The request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// The request has no valid token.
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// The request is understood and refused.
    pub fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("{} {name:?} is forbidden: {why}", resource.qualified());
        Self::new(403, "Forbidden", message).about(resource, name)
    }

    /// The method does not exist here.
    pub fn method_not_allowed() -> Self {
        let text = "the server does not allow this method on the requested resource";
        let mut status = Self::new(405, "MethodNotAllowed", text);
        status.details = Some(Box::new(json!({})));
        status
    }

    /// The same of an object whose kind comes from a definition.
    pub(crate) fn not_acceptable_custom(known: &str) -> Self {
        let text = format!("only the following media types are accepted: {known}");
        Self::new(406, "NotAcceptable", text)
    }

    /// The method does not exist for objects of a definition.
    pub(crate) fn not_supported(resource: &Resource, verb: &str) -> Self {
        let kind = resource.qualified();
        let text = format!("{verb} is not supported on resources of kind {kind:?}");
        Self::new(405, "MethodNotAllowed", text).about(resource, "")
    }

    /// An update does not say which version it is made from. Kubernetes names the plural here.
    pub(crate) fn version_required(resource: &Resource, name: &str) -> Self {
        let cause = Cause {
            field: "metadata.resourceVersion".to_owned(),
            reason: "FieldValueInvalid",
            message: "Invalid value: 0: must be specified for an update".to_owned(),
        };
        let (kind, details) = (resource.qualified(), named(resource, name));
        Self::invalid_kind(&kind, name, details, vec![cause.to_value()])
    }

    /// None of the formats that the client accepts can be written.
    pub fn not_acceptable(known: &str) -> Self {
        let text = format!("406: Not Acceptable\n\nAvailable representations: {known}");
        let mut status = Self::new(406, "NotAcceptable", text);
        status.details = Some(Box::new(json!({})));
        status
    }

    /// The body is in a format that is not known here.
    pub fn unsupported_media_type(known: &str) -> Self {
        let text = format!(
            "the body of the request was in an unknown format - accepted media types include: \
             {known}"
        );
        Self::new(415, "UnsupportedMediaType", text)
    }

    /// The body is too large.
    pub fn too_large(limit: usize) -> Self {
        let text = format!("Request entity too large: limit is {limit}");
        Self::new(413, "RequestEntityTooLarge", text)
    }

    /// The history does not reach back to the version.
    pub fn expired(asked: u64, oldest: u64) -> Self {
        Self::new(
            410,
            "Expired",
            format!("too old resource version: {asked} ({oldest})"),
        )
    }

    /// The server has not seen the version yet.
    pub(crate) fn too_new(asked: u64, current: u64) -> Self {
        let text = format!("Timeout: Too large resource version: {asked}, current: {current}");
        let mut status = Self::new(504, "Timeout", text);
        status.details = Some(Box::new(json!({
            "causes": [{
                "reason": "ResourceVersionTooLarge",
                "message": "Too large resource version",
            }],
            "retryAfterSeconds": 1,
        })));
        status
    }

    /// How many seconds a client is to wait before it asks again.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.details.as_ref()?["retryAfterSeconds"].as_u64()
    }

    /// Something of ours broke.
    pub fn internal(why: impl Display) -> Self {
        Self::new(
            500,
            "InternalError",
            format!("Internal error occurred: {why}"),
        )
    }

    /// Names the object in the details.
    fn about(mut self, resource: &Resource, name: &str) -> Self {
        self.details = Some(Box::new(Value::Object(named(resource, name))));
        self
    }

    /// The object on the wire.
    pub fn to_value(&self) -> Value {
        let mut value = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        });
        if !self.reason.is_empty() {
            value["reason"] = json!(self.reason);
        }
        if let Some(token) = &self.goes_on {
            value["metadata"]["continue"] = json!(token);
        }
        if let Some(details) = &self.details {
            value["details"] = details.as_ref().clone();
        }
        value["code"] = json!(self.code);
        value
    }

    /// The object that says that a deletion is done.
    pub(crate) fn deleted(resource: &Resource, name: &str, uid: &str) -> Value {
        let mut details = named(resource, name);
        details.insert("uid".to_owned(), json!(uid));
        json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": details,
        })
    }
}

fn named(resource: &Resource, name: &str) -> Map<String, Value> {
    let mut details = Map::new();
    if !name.is_empty() {
        details.insert("name".to_owned(), json!(name));
    }
    if !resource.group.is_empty() {
        details.insert("group".to_owned(), json!(resource.group));
    }
    details.insert("kind".to_owned(), json!(resource.plural));
    details
}

impl Display for Status {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}
