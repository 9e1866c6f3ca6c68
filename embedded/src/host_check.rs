//! Which `Host` and `Origin` a browser may send: protection against other sites' scripts and
//! against names that were made to resolve to this machine.

use std::net::IpAddr;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, Uri, header};

/// The host names under which the pages may be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts {
    names: Vec<String>,
    any_address: bool,
}

impl Hosts {
    /// Loopback names, the address that is listened on, and further names. When all addresses are
    /// listened on, any address will do: an address, unlike a name, can't be made to lead here.
    pub fn new(listen: IpAddr, names: &[String]) -> Self {
        let mut all = vec![
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
            "::1".to_owned(),
        ];
        all.push(listen.to_string());
        all.extend(names.iter().map(|name| name.to_lowercase()));
        Self {
            names: all,
            any_address: listen.is_unspecified(),
        }
    }

    fn allows(&self, authority: &str) -> bool {
        let host = host(authority).to_lowercase();
        let is_address = || host.parse::<IpAddr>().is_ok();
        self.names.contains(&host) || (self.any_address && is_address())
    }

    fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), &'static str> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let authority = uri.authority().map(http::uri::Authority::as_str);
        let authority = authority.or(text(header::HOST)).unwrap_or_default();
        if !self.allows(authority) {
            return Err(
                "this host name is not served; use localhost or the address printed at start",
            );
        }
        match headers.get(header::ORIGIN) {
            None => Ok(()),
            Some(origin) if *origin == format!("http://{authority}") => Ok(()),
            Some(_) => Err("requests from other sites are refused"),
        }
    }
}

/// Refuses requests from other sites.
pub(crate) async fn check(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    match hosts.check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(why) => (StatusCode::FORBIDDEN, why).into_response(),
    }
}

/// The host of an authority, without port and brackets.
fn host(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use http::{HeaderMap, HeaderValue, Uri, header};

    use super::Hosts;

    #[track_caller]
    fn check(listen: Ipv4Addr, host: &str, origin: Option<&str>, allowed: bool) {
        let hosts = Hosts::new(IpAddr::V4(listen), &["box.example".to_owned()]);
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        let found = hosts.check(&Uri::from_static("/"), &headers);
        assert_eq!(found.is_ok(), allowed, "{host} {origin:?}");
    }

    #[test]
    fn only_known_hosts_and_the_own_origin_are_allowed() {
        let loopback = Ipv4Addr::LOCALHOST;
        check(loopback, "localhost:8080", None, true);
        check(loopback, "[::1]:8080", None, true);
        check(loopback, "BOX.example", None, true);
        check(loopback, "evil.example:8080", None, false);
        check(loopback, "192.0.2.1:8080", None, false);
        check(Ipv4Addr::UNSPECIFIED, "192.0.2.1:8080", None, true);
        check(Ipv4Addr::UNSPECIFIED, "evil.example", None, false);
        check(
            loopback,
            "localhost:8080",
            Some("http://localhost:8080"),
            true,
        );
        check(
            loopback,
            "localhost:8080",
            Some("http://localhost:9090"),
            false,
        );
        check(loopback, "localhost:8080", Some("null"), false);
    }
}
