//! The web page as a browser gets it.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::server::{Answer, Server};

async fn open(server: &Server, path: &str, known: Option<&str>) -> Answer {
    let mut request = Request::builder().uri(path);
    if let Some(etag) = known {
        request = request.header("if-none-match", etag);
    }
    server
        .send(request.body(Body::empty()).expect("a request"))
        .await
}

#[tokio::test]
async fn every_address_in_the_page_is_the_page() {
    let server = Server::start();
    let first = open(&server, "/ui/", None).await;
    for path in ["/ui/new", "/ui/experiments/default/tune", "/ui/index.html"] {
        let page = open(&server, path, None).await;
        assert_eq!((page.code, &page.text), (first.code, &first.text), "{path}");
    }
    assert_eq!(open(&server, "/ui", None).await.headers["location"], "/ui/");
    assert_eq!(
        open(&server, "/ui/assets/none.js", None).await.code,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        open(&server, "/ui/api/v9/none", None).await.code,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn the_page_is_checked_for_news_and_its_parts_are_kept() {
    let server = Server::start();
    let page = open(&server, "/ui/", None).await;
    if page.code == StatusCode::SERVICE_UNAVAILABLE {
        assert!(
            page.text.contains("make ui"),
            "a page that is not built says how to build it"
        );
        return;
    }
    assert_eq!(page.headers["cache-control"], "no-cache");
    let policy = page.headers["content-security-policy"]
        .to_str()
        .expect("text");
    assert!(
        policy.contains("default-src 'self'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let etag = page.headers["etag"].to_str().expect("text");
    assert_eq!(
        open(&server, "/ui/", Some(etag)).await.code,
        StatusCode::NOT_MODIFIED
    );

    let script = page
        .text
        .split('"')
        .find(|part| part.starts_with("/ui/assets/index-"))
        .expect("a script");
    let script = open(&server, script, None).await;
    assert_eq!(
        script.headers["cache-control"],
        "public, max-age=31536000, immutable"
    );
    assert_eq!(
        script.headers["content-type"],
        "text/javascript; charset=utf-8"
    );
}

#[tokio::test]
async fn the_description_is_served() {
    let answer = open(&Server::start(), "/ui/api/openapi.json", None).await;
    let served = serde_json::from_str::<Value>(&answer.text).expect("JSON");
    let kept = serde_json::to_value(diwan_ui::openapi()).expect("JSON");
    assert_eq!(served, kept);
}
