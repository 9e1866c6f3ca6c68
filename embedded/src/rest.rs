//! The API over HTTP: what a request asks for, and how the answer is written.

mod accept;
pub(crate) mod body;
mod deletion;
mod duplicate;
mod eviction;
mod field_validation;
mod list_options;
mod log;
mod manager;
mod patched;
mod path;
mod protobuf;
mod query;
mod read;
pub(crate) mod reply;
mod review;
mod scale;
mod stream;
mod usage;
mod watch;
mod write;
mod write_options;

use std::{
    convert::Infallible,
    error::Error,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, Response, header, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};

pub(crate) use self::read::partial;
use self::{
    accept::Form,
    path::{Route, Target},
    query::Query,
};
use crate::{
    Status,
    access::{self, Attributes, User},
    api::Api,
    discovery, openapi,
};

/// Bodies of requests are at most so large, as kube-apiserver has it.
const BODY_LIMIT: usize = 3 << 20;

/// The API as a tower service over HTTP requests, for a `kube::Client` in process and for the
/// listener. The listener tells who sends a request by an extension of it; who is in this process
/// may do everything.
#[derive(Clone)]
pub struct Service {
    api: Api,
}

impl Service {
    /// The API behind the service.
    pub(crate) fn api(&self) -> &Api {
        &self.api
    }
}

/// What a request is about.
pub(crate) fn attributes<B>(request: &Request<B>) -> Result<Attributes, Status> {
    let query = Query::parse(request.uri())?;
    let path = request.uri().path();
    Ok(Attributes::read(request.method(), path, |name| {
        query.get(name)
    }))
}

/// The API as a service: `kube::Client::new(service(api), "default")` works on it directly.
pub fn service(api: Api) -> Service {
    Service { api }
}

impl<B> tower::Service<Request<B>> for Service
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let api = self.api.clone();
        let head = request.method() == Method::HEAD;
        let accept = request.headers().get(header::ACCEPT);
        let accept = accept.and_then(|value| value.to_str().ok());
        let yaml = accept.is_some_and(|accept| Form::negotiate(accept) == Some(Form::Yaml));
        Box::pin(async move {
            let failure = |status: Status| match reply::yaml_failure(&status) {
                Ok(response) if yaml => response,
                _ => reply::failure(&status),
            };
            let mut response = answer(&api, request).await.unwrap_or_else(failure);
            if head {
                *response.body_mut() = Body::empty();
            }
            Ok(response)
        })
    }
}

/// What a request asks for, read once.
struct Call<'a> {
    api: &'a Api,
    user: &'a User,
    target: Target,
    query: Query,
    accept: &'a str,
    /// Whether the request changes nothing.
    reads: bool,
    content_type: &'a str,
    user_agent: &'a str,
    body: Bytes,
}

impl Call<'_> {
    /// The form of the answer.
    fn form(&self) -> Result<Form, Status> {
        let target = &self.target;
        Form::negotiate(self.accept).ok_or_else(|| {
            // A known type in a form that is not known.
            let formed = self.accept.starts_with("application/json");
            if target.resource.custom || formed {
                return Status::not_acceptable_custom(accept::WHOLE);
            }
            let lists = target.name.is_none() && self.reads;
            Status::not_acceptable(if lists {
                accept::STREAMED
            } else {
                accept::WHOLE
            })
        })
    }
}

async fn answer<B>(api: &Api, request: Request<B>) -> Result<Response<Body>, Status>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let asked = attributes(&request)?;
    let (mut parts, body) = request.into_parts();
    let kinds = api.kinds();
    let user = parts.extensions.remove::<User>();
    let user = user.unwrap_or_else(User::admin);
    access::authorize(api, &user, &asked)?;
    if let Ok(Route::Resource(target)) = path::parse(&kinds, parts.uri.path())
        && stream::is_meant(&target)
    {
        let query = Query::parse(&parts.uri)?;
        return stream::answer(api, &target, &query, &mut parts).await;
    }
    let text = |name| {
        parts
            .headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
    };
    let accept = text(header::ACCEPT);
    let query = Query::parse(&parts.uri)?;
    match path::parse(&kinds, parts.uri.path())? {
        Route::Resource(target) => {
            let body = collect(body).await?;
            let content_type = text(header::CONTENT_TYPE);
            let call = Call {
                api,
                user: &user,
                target,
                query,
                accept,
                reads: parts.method == Method::GET,
                content_type,
                user_agent: text(header::USER_AGENT),
                body,
            };
            let answered = dispatch(&parts.method, &call).await;
            let Some(warning) = kinds.deprecation(call.target.resource) else {
                return answered;
            };
            let mut response = answered.map_err(|status| match status.code {
                // Refused before anybody looked at what it is about.
                415 => status,
                _ => status.warned(warning),
            })?;
            reply::warn(&mut response, &[warning.to_owned()]);
            Ok(response)
        }
        Route::Usage(path) => usage::answer(api, &parts.method, &path, &query),
        Route::Review(target) => {
            if parts.method != Method::POST {
                return Err(Status::method_not_allowed());
            }
            let body = collect(body).await?;
            review::answer(api, &user, &target, &body, text(header::CONTENT_TYPE))
        }
        Route::Nowhere => Ok(nowhere()),
        other if parts.method != Method::GET && parts.method != Method::HEAD => {
            drop(other);
            Err(Status::method_not_allowed())
        }
        Route::Discovery(path) => match discovery::answer(&kinds, &path, accept, host(&parts)) {
            // A group that is not built in: what answers elsewhere knows no page for it.
            Err(_) if !path::is_builtin(&kinds, &path) => Ok(nowhere()),
            answer => answer,
        },
        Route::OpenApi(path) => openapi::answer(&kinds, &path),
        Route::OldOpenApi => Ok(openapi::answer_old(accept).unwrap_or_else(nowhere)),
        Route::Version => Ok(reply::json(200, &discovery::version())),
        Route::Health => Ok(reply::text("ok")),
    }
}

/// The address at which a client found this server; none within the process.
fn host(parts: &Parts) -> &str {
    let told = parts.headers.get(header::HOST);
    let told = told.and_then(|host| host.to_str().ok());
    let asked = parts.uri.authority().map(http::uri::Authority::as_str);
    told.or(asked).unwrap_or_default()
}

/// Sends a request about a kind to its verb.
async fn dispatch(method: &Method, call: &Call<'_>) -> Result<Response<Body>, Status> {
    let target = &call.target;
    let named = target.name.is_some();
    let custom = target.resource.custom;
    if target.watch {
        return match *method {
            Method::GET => watch::answer(call),
            _ => Err(Status::method_not_allowed()),
        };
    }
    // Kinds of definitions are served across namespaces only to readers.
    let across = target.resource.namespaced && target.namespace.is_none();
    if custom && across && !matches!(*method, Method::GET | Method::HEAD) {
        return Ok(nowhere());
    }
    if target.resource.read_only && !matches!(*method, Method::GET | Method::HEAD) {
        return Err(Status::method_not_allowed());
    }
    match (target.subresource.as_deref(), method.as_str()) {
        (Some("log"), "GET") => log::answer(call).await,
        (Some("eviction"), "POST") => eviction::answer(call).await,
        (Some("scale"), _) => scale::answer(method, call).await,
        (None | Some("status"), "GET") if named => read::get(call),
        (None | Some("status"), "HEAD") if named && custom => read::get(call),
        (None, "GET") => read::list(call),
        (None, "HEAD") if custom => read::list(call),
        (None, "POST") if !named || custom => write::create(call).await,
        (None, "PUT" | "PATCH") if custom && !named => {
            Err(Status::bad_request("name must be provided"))
        }
        (None | Some("status" | "finalize"), "PUT") if named => write::update(call).await,
        (None | Some("status"), "PATCH") if named => write::patch(call).await,
        (None, "DELETE") if named => deletion::one(call).await,
        (None, "DELETE") => deletion::many(call).await,
        (Some("status"), "DELETE") if custom => {
            Err(Status::not_supported(target.resource, "delete"))
        }
        (Some("status"), "POST") if custom => Err(Status::not_supported(target.resource, "create")),
        _ => Err(Status::method_not_allowed()),
    }
}

/// The page that is not there.
fn nowhere() -> Response<Body> {
    let text = Body::from("404 page not found\n");
    reply::response(404, "text/plain; charset=utf-8", text)
}

async fn collect<B>(body: B) -> Result<Bytes, Status>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Status::too_large(BODY_LIMIT)),
        Err(error) => Err(Status::bad_request(format!("can't read the body: {error}"))),
    }
}
