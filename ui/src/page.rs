//! The web page, carried inside the binary.

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::BASE;

#[derive(RustEmbed)]
#[folder = "web/dist"]
struct Dist;

/// What is served while the page is not built.
const NOT_BUILT: &str = include_str!("page/not_built.html");

/// Scripts and styles come from this server only; only pages of this server, such as
/// Kubeflow's dashboard before it, may frame the page.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' data:; \
    object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'";

/// Serves the page: a file where there is one, and the page itself for every address in it.
pub(crate) fn router() -> Router {
    Router::new()
        .route(
            BASE.trim_end_matches('/'),
            get(async || Redirect::permanent(BASE)),
        )
        .route(BASE, get(serve))
        .route(&format!("{BASE}{{*path}}"), get(serve))
}

async fn serve(uri: Uri, request: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches(BASE);
    if let Some(file) = Dist::get(path).filter(|_| path != "index.html") {
        return asset(path, file, &request);
    }
    if path.starts_with("assets/") {
        return StatusCode::NOT_FOUND.into_response();
    }
    match Dist::get("index.html") {
        Some(index) => asset("index.html", index, &request),
        None => (StatusCode::SERVICE_UNAVAILABLE, Html(NOT_BUILT)).into_response(),
    }
}

/// Answers with a file. Names under `assets/` change with their content and are kept for good;
/// everything else is asked for again.
fn asset(path: &str, file: EmbeddedFile, request: &HeaderMap) -> Response {
    let etag = etag(&file.metadata.sha256_hash());
    let cache = if path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let headers = [
        (header::CONTENT_TYPE, content_type(path)),
        (header::CACHE_CONTROL, cache.to_owned()),
        (header::ETAG, etag.clone()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "same-origin".to_owned()),
        (
            header::CONTENT_SECURITY_POLICY,
            CONTENT_SECURITY_POLICY.to_owned(),
        ),
    ];
    if request
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == etag.as_bytes())
    {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, Body::from(file.data)).into_response()
}

fn content_type(path: &str) -> String {
    let mime = mime_guess::from_path(path).first_or_octet_stream();
    if mime.type_() == mime_guess::mime::TEXT {
        format!("{mime}; charset=utf-8")
    } else {
        mime.to_string()
    }
}

/// Weak, because compression changes the bytes.
fn etag(hash: &[u8]) -> String {
    let digits = hash.iter().take(16).map(|byte| format!("{byte:02x}"));
    format!("W/\"{}\"", digits.collect::<String>())
}
