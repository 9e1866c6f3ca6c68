//! Who may use the page in a browser: whoever opens the printed address.
//!
//! The address carries a token that works once. It is exchanged for a cookie, which holds the
//! secret of the data directory and so survives restarts.

use std::{collections::VecDeque, io, path::Path, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{Html, IntoResponse, Redirect, Response},
};
use http::{HeaderMap, StatusCode, Uri, header};
use parking_lot::Mutex;

use crate::private_file::{read_or_make, same_secret, secret};

/// As many addresses are open at a time; the oldest one expires first.
const MAX_TOKENS: usize = 16;

const REFUSAL: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Diwan</title>\
    <style>body{font:1rem/1.5 system-ui;margin:4rem auto;max-width:36rem;padding:0 1rem}</style>\
    <h1>This page needs a key</h1><p>Open the address that <code>diwan up</code> printed in the \
    terminal; it carries a key that works once and signs this browser in.</p>";

/// Guards a router of pages.
#[derive(Clone)]
pub struct BrowserAuth {
    shared: Arc<Shared>,
}

struct Shared {
    cookie: String,
    session: String,
    tokens: Mutex<VecDeque<String>>,
}

impl BrowserAuth {
    /// Reads the secret of a data directory, or makes it. `port` tells the cookies of several
    /// servers on one machine apart, as browsers do not.
    pub fn open(directory: &Path, port: u16) -> io::Result<Self> {
        let session = read_or_make(&directory.join("session"), || Ok(secret()))?;
        let shared = Shared {
            cookie: format!("diwan-{port}"),
            session: session.trim().to_owned(),
            tokens: Mutex::new(VecDeque::new()),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// A new token for an address: `http://HOST:PORT/?token=TOKEN`. It works once.
    pub fn mint(&self) -> String {
        let token = secret();
        let mut tokens = self.shared.tokens.lock();
        if tokens.len() == MAX_TOKENS {
            tokens.pop_front();
        }
        tokens.push_back(token.clone());
        token
    }

    /// Puts the guard before a router.
    pub fn guard(&self, router: Router) -> Router {
        router.layer(middleware::from_fn_with_state(self.clone(), check))
    }

    fn redeem(&self, token: &str) -> bool {
        let mut tokens = self.shared.tokens.lock();
        let before = tokens.len();
        tokens.retain(|known| !same_secret(known, token));
        tokens.len() < before
    }

    fn is_signed_in(&self, headers: &HeaderMap) -> bool {
        let values = headers.get_all(header::COOKIE).into_iter();
        values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .any(|(name, value)| {
                name == self.shared.cookie && same_secret(value, &self.shared.session)
            })
    }
}

async fn check(State(auth): State<BrowserAuth>, request: Request, next: Next) -> Response {
    let signed_in = auth.is_signed_in(request.headers());
    if let Some((token, rest)) = split_token(request.uri()) {
        // The printed address keeps working in a browser that is signed in.
        if signed_in {
            return Redirect::to(&rest).into_response();
        }
        if auth.redeem(&token) {
            let cookie = format!(
                "{}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000",
                auth.shared.cookie, auth.shared.session
            );
            return ([(header::SET_COOKIE, cookie)], Redirect::to(&rest)).into_response();
        }
    }
    if signed_in {
        return next.run(request).await;
    }
    let headers = [(header::CACHE_CONTROL, "no-store")];
    (StatusCode::UNAUTHORIZED, headers, Html(REFUSAL)).into_response()
}

/// The token in an address, and the address without it.
fn split_token(uri: &Uri) -> Option<(String, String)> {
    let (mut token, mut rest) = (None, Vec::new());
    for pair in uri.query()?.split('&') {
        match pair.strip_prefix("token=") {
            Some(value) => token = Some(value.to_owned()),
            None => rest.push(pair),
        }
    }
    // A path that starts with two slashes would lead to another host.
    let path = format!("/{}", uri.path().trim_start_matches('/'));
    let target = if rest.is_empty() {
        path
    } else {
        format!("{path}?{}", rest.join("&"))
    };
    Some((token?, target))
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, routing::get};
    use http::{Request, Response, StatusCode, header};
    use tower::ServiceExt;

    use super::BrowserAuth;

    async fn ask(router: &Router, path: &str, cookie: Option<&str>) -> Response<Body> {
        let mut request = Request::get(path);
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        router
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_token_signs_one_browser_in() {
        let directory = tempfile::tempdir().unwrap();
        let auth = BrowserAuth::open(directory.path(), 80).unwrap();
        let router = auth.guard(Router::new().route("/", get(|| async { "page" })));
        let address = format!("/?a=b&token={}", auth.mint());

        assert_eq!(
            ask(&router, "/", None).await.status(),
            StatusCode::UNAUTHORIZED
        );
        assert_eq!(
            ask(&router, "/?token=x", None).await.status(),
            StatusCode::UNAUTHORIZED
        );

        let signed = ask(&router, &address, None).await;
        assert_eq!(signed.status(), StatusCode::SEE_OTHER);
        assert_eq!(signed.headers()[header::LOCATION], "/?a=b");
        let cookie = signed.headers()[header::SET_COOKIE].to_str().unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"));
        let cookie = cookie.split(';').next().unwrap();

        assert_eq!(
            ask(&router, "/", Some(cookie)).await.status(),
            StatusCode::OK
        );
        let again = ask(&router, &address, Some(cookie)).await;
        assert_eq!(again.status(), StatusCode::SEE_OTHER);
        assert_eq!(
            ask(&router, &address, None).await.status(),
            StatusCode::UNAUTHORIZED
        );

        let restarted = BrowserAuth::open(directory.path(), 80).unwrap();
        let router = restarted.guard(Router::new().route("/", get(|| async { "page" })));
        assert_eq!(
            ask(&router, "/", Some(cookie)).await.status(),
            StatusCode::OK
        );
    }

    #[test]
    fn a_redirect_stays_on_this_host() {
        let uri = "http://h//evil.example/?token=x".parse().unwrap();
        assert_eq!(super::split_token(&uri).unwrap().1, "/evil.example/");
    }
}
