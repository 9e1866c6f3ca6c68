//! Parameters of requests.

use http::Uri;

use crate::status::Status;

/// The parameters of a request.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the parameters.
    pub(super) fn parse(uri: &Uri) -> Result<Self, Status> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| Status::bad_request(format!("can't read the query: {error}")))?;
        Ok(Self(pairs.0))
    }

    /// A parameter, unless it is absent or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name)?;
        Some(found.1.as_str()).filter(|value| !value.is_empty())
    }

    /// All values of a parameter.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let found = self.0.iter().filter(move |(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A switch: on when it is there, unless it says otherwise.
    pub(super) fn flag(&self, name: &str) -> bool {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.is_some_and(|(_, value)| !(value.eq_ignore_ascii_case("false") || value == "0"))
    }

    /// A number.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Status> {
        self.get(name)
            .map(|text| {
                text.parse().map_err(|_| {
                    let why = "strconv.ParseInt: parsing";
                    Status::bad_request(format!("{why} {text:?}: invalid syntax"))
                })
            })
            .transpose()
    }

    /// Whether the request is only to be tried.
    pub(super) fn dry_run(&self) -> bool {
        self.get("dryRun").is_some()
    }
}
