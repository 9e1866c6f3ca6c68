//! Asks registries what images run: the reading part of the OCI distribution interface.
//!
//! What registries say goes no further than a few checked words: whoever may create a pod chooses
//! which registry is asked.

mod challenge;
mod credentials;
mod document;
mod reference;

use std::error::Error as _;

use diwan_controller::admission::image_program::ImageProgram;
use reqwest::header::{ACCEPT, AUTHORIZATION, WWW_AUTHENTICATE};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;

use challenge::Challenge;
pub(super) use credentials::Credentials;
use credentials::Login;
use document::Next;
use reference::Reference;

/// Manifests and configurations are much smaller.
const LARGEST: usize = 4 << 20;
/// In which header a registry says what a tag stands for.
const DIGEST: &str = "docker-content-digest";

/// What is known of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Image {
    /// What its name stands for, where the registry tells.
    pub(super) digest: Option<String>,
    /// What it runs.
    pub(super) program: ImageProgram,
}

/// The registries.
pub(super) struct Registries {
    /// Those that are asked without TLS, as HOST or HOST:PORT.
    insecure: Vec<String>,
}

/// Why there is no answer.
enum Failure {
    /// Somebody else may get one.
    Refused(String),
    /// Nobody does now.
    Broken(String),
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Broken(text)
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        Self::Broken(deepest(&error))
    }
}

impl Registries {
    pub(super) fn new(insecure: Vec<String>) -> Self {
        Self { insecure }
    }

    /// What the name stands for now, where the registry tells without counting a pull.
    pub(super) async fn digest(&self, image: &str, credentials: &Credentials) -> Option<String> {
        let reference = Reference::parse(image).ok()?;
        for login in attempts(&reference, credentials) {
            let mut session = self.session(&reference, login).ok()?;
            match session
                .ask(Method::HEAD, &session.manifest(&reference.version))
                .await
            {
                Ok(answer) => return digest_of(&answer),
                Err(Failure::Refused(_)) => {}
                Err(Failure::Broken(_)) => return None,
            }
        }
        None
    }

    /// Reads what an image runs.
    pub(super) async fn read(
        &self,
        image: &str,
        credentials: &Credentials,
    ) -> Result<Image, String> {
        let reference = Reference::parse(image)?;
        let mut last = String::new();
        for login in attempts(&reference, credentials) {
            last = match self.read_as(&reference, login).await {
                Ok(image) => return Ok(image),
                Err(Failure::Refused(text)) => text,
                Err(Failure::Broken(text)) => {
                    last = text;
                    break;
                }
            };
        }
        Err(format!("registry {}: {last}", reference.registry))
    }

    async fn read_as(&self, reference: &Reference, login: Option<Login>) -> Result<Image, Failure> {
        self.session(reference, login)?.read().await
    }

    fn session<'a>(
        &self,
        reference: &'a Reference,
        login: Option<Login>,
    ) -> Result<Session<'a>, String> {
        let is_insecure = self.insecure.iter().any(|host| host == reference.address());
        let client = client(is_insecure)?;
        let scheme = if is_insecure { "http" } else { "https" };
        let (address, repository) = (reference.address(), &reference.repository);
        Ok(Session {
            base: format!("{scheme}://{address}/v2/{repository}"),
            client,
            reference,
            login,
            authorization: None,
        })
    }
}

/// A client that asks without TLS only where that is allowed.
fn client(is_insecure: bool) -> Result<Client, String> {
    let builder = || {
        Client::builder()
            .https_only(!is_insecure)
            .user_agent(concat!("diwan/", env!("CARGO_PKG_VERSION")))
    };
    let mut client = builder().build();
    if client.is_err() && is_insecure {
        // Without authorities there is still what needs none.
        client = builder().tls_certs_only([]).build();
    }
    client.map_err(|error| {
        let reason = deepest(&error);
        format!("TLS can't be used: {reason}; name a file of authorities in SSL_CERT_FILE")
    })
}

/// The innermost reason of an error; the others name the question, not what is wrong.
fn deepest(error: &reqwest::Error) -> String {
    let mut source = error.source();
    while let Some(deeper) = source.and_then(|error| error.source()) {
        source = Some(deeper);
    }
    source.map_or_else(|| error.to_string(), ToString::to_string)
}

/// With which logins an image is asked for, at last without one.
fn attempts(reference: &Reference, credentials: &Credentials) -> Vec<Option<Login>> {
    let logins = credentials.logins(reference).into_iter().map(Some);
    logins.chain([None]).collect()
}

fn digest_of(answer: &Response) -> Option<String> {
    let digest = answer.headers().get(DIGEST)?.to_str().ok()?;
    reference::is_digest(digest).then(|| digest.to_owned())
}

/// Questions about one repository.
struct Session<'a> {
    client: Client,
    base: String,
    reference: &'a Reference,
    login: Option<Login>,
    authorization: Option<Authorization>,
}

/// What is shown with each question.
enum Authorization {
    Token(String),
    Login(Login),
}

impl Session<'_> {
    fn manifest(&self, version: &str) -> String {
        format!("{}/manifests/{version}", self.base)
    }

    async fn read(&mut self) -> Result<Image, Failure> {
        let url = self.manifest(&self.reference.version);
        let answer = self.ask(Method::GET, &url).await?;
        let digest = digest_of(&answer);
        let mut document = json(answer).await?;
        if let Next::Manifest(manifest) = document::next(&document, document::architecture())? {
            let url = self.manifest(&manifest);
            document = json(self.ask(Method::GET, &url).await?).await?;
        }
        let Next::Config(config) = document::next(&document, document::architecture())? else {
            return Err(Failure::Broken("an index leads to another".to_owned()));
        };
        let url = format!("{}/blobs/{config}", self.base);
        let config = json(self.ask(Method::GET, &url).await?).await?;
        Ok(Image {
            digest,
            program: document::program(&config),
        })
    }

    /// Asks, and once more after the registry has said what it wants to see.
    async fn ask(&mut self, method: Method, url: &str) -> Result<Response, Failure> {
        let mut answer = self.send(method.clone(), url).await?;
        if answer.status() == StatusCode::UNAUTHORIZED && self.authorization.is_none() {
            self.authorize(challenge(&answer)).await?;
            answer = self.send(method, url).await?;
        }
        accepted(answer)
    }

    async fn send(&self, method: Method, url: &str) -> Result<Response, Failure> {
        let request = self.client.request(method, url);
        let request = request.header(ACCEPT, document::MANIFESTS);
        let request = match &self.authorization {
            Some(Authorization::Token(token)) => {
                request.header(AUTHORIZATION, format!("Bearer {token}"))
            }
            Some(Authorization::Login(login)) => with_login(request, login),
            None => request,
        };
        Ok(request.send().await?)
    }

    async fn authorize(&mut self, challenge: Option<Challenge>) -> Result<(), Failure> {
        self.authorization = match (challenge, &self.login) {
            (Some(Challenge::Bearer(bearer)), _) => {
                let pull = format!("repository:{}:pull", self.reference.repository);
                let url = bearer.url(&pull).ok_or("its realm is no URL".to_owned())?;
                Some(Authorization::Token(self.token(url).await?))
            }
            (Some(Challenge::Basic), Some(login)) => Some(Authorization::Login(login.clone())),
            _ => None,
        };
        Ok(())
    }

    async fn token(&self, url: Url) -> Result<String, Failure> {
        let request = self.client.get(url);
        let request = match &self.login {
            Some(login) => with_login(request, login),
            None => request,
        };
        let answer = json(accepted(request.send().await?)?).await?;
        let token = answer["token"].as_str().or(answer["access_token"].as_str());
        let token = token.ok_or_else(|| "it gives no token".to_owned())?;
        Ok(token.to_owned())
    }
}

fn challenge(answer: &Response) -> Option<Challenge> {
    let headers = answer.headers().get_all(WWW_AUTHENTICATE);
    let mut texts = headers.iter().filter_map(|header| header.to_str().ok());
    texts.find_map(Challenge::parse)
}

fn with_login(request: RequestBuilder, login: &Login) -> RequestBuilder {
    request.basic_auth(&login.user, Some(&login.password))
}

fn accepted(answer: Response) -> Result<Response, Failure> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let text = format!("it answers {status}");
    // Some deny that there is what one may not see.
    Err(match status.as_u16() {
        401 | 403 | 404 => Failure::Refused(text),
        _ => Failure::Broken(text),
    })
}

async fn json(mut answer: Response) -> Result<Value, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > LARGEST {
            return Err(Failure::Broken("it answers with too much".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body)
        .map_err(|_| Failure::Broken("it does not answer with JSON".to_owned()))
}

#[cfg(test)]
pub(super) mod tests;
