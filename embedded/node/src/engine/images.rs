//! The images of a pod: there before its containers are made, fetched as each container's pull policy
//! says, with the events and the reasons for waiting of the kubelet.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Container;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::engine::{Engine, reference};
use crate::event::{self, Event};
use crate::node::Shared;
use crate::pod::Pod;
use crate::run::{self, InNamespace};
use crate::source::{self, Lookup};
use crate::status::{self, Wait};

/// The first wait before an image is fetched again; it doubles.
const FIRST_BACKOFF: Duration = Duration::from_secs(10);
/// The longest wait before an image is fetched again.
const LONGEST_BACKOFF: Duration = Duration::from_mins(5);
/// The logins in a Secret.
const LOGINS: &str = ".dockerconfigjson";

/// What is needed of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Image {
    /// Its identifier.
    pub(crate) id: String,
    /// Where its program starts.
    pub(crate) working_directory: Option<String>,
    /// The user of its program; empty for root.
    pub(crate) user: String,
    /// The signal that asks its program to end.
    pub(crate) stop_signal: Option<String>,
    /// It names a program.
    pub(crate) has_program: bool,
}

impl Image {
    /// Reads what an engine says of an image.
    pub(crate) fn read(object: &Value) -> Self {
        let config = &object["Config"];
        let text = |name: &str| config[name].as_str().filter(|text| !text.is_empty());
        let filled = |name: &str| config[name].as_array().is_some_and(|list| !list.is_empty());
        Self {
            id: object["Id"].as_str().unwrap_or_default().to_owned(),
            working_directory: text("WorkingDir").map(str::to_owned),
            user: text("User").unwrap_or_default().to_owned(),
            stop_signal: text("StopSignal").map(str::to_owned),
            has_program: filled("Entrypoint") || filled("Cmd"),
        }
    }
}

/// The images of a pod's containers, by the containers' names.
pub(crate) type Images = BTreeMap<String, Image>;

/// What a pull policy asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The image that is there is used.
    Use,
    /// It is fetched.
    Pull,
    /// It is not there, and may not be fetched.
    Missing,
}

fn step(policy: Option<&str>, is_there: bool) -> Step {
    match (policy, is_there) {
        (Some("Never"), false) => Step::Missing,
        (Some("Never" | "IfNotPresent") | None, true) => Step::Use,
        _ => Step::Pull,
    }
}

/// Why an image cannot be used now: the reason and the message.
type Fault = (&'static str, String);

/// Has the images of a pod ready, however long that takes.
pub(crate) async fn ready(shared: &Shared, engine: &Engine, pod: &Pod) -> Images {
    let mut images = Images::new();
    // By name and policy: containers of one image have it fetched once.
    let mut fetched: Vec<(&Container, Image)> = Vec::new();
    for container in pod.containers() {
        let is_same = |other: &Container| {
            other.image == container.image && other.image_pull_policy == container.image_pull_policy
        };
        let known = fetched.iter().find(|(other, _)| is_same(other));
        let image = match known {
            Some((_, image)) => {
                tell(
                    shared,
                    pod,
                    Event::normal("Pulled", present(name(container))),
                );
                image.clone()
            }
            None => until_there(shared, engine, pod, container).await,
        };
        images.insert(container.name.clone(), image.clone());
        fetched.push((container, image));
    }
    images
}

/// Tries until the image is there, at longer and longer intervals.
async fn until_there(shared: &Shared, engine: &Engine, pod: &Pod, container: &Container) -> Image {
    let mut backoff = FIRST_BACKOFF;
    loop {
        let is_first = backoff == FIRST_BACKOFF;
        let fault = match attempt(shared, engine, pod, container, is_first).await {
            Ok(image) => return image,
            Err(fault) => fault,
        };
        tell(
            shared,
            pod,
            Event::warning("Failed", format!("Error: {}", fault.0)),
        );
        publish(shared, pod, &container.name, fault.clone()).await;
        if fault.0 == "ErrImagePull" {
            let text = format!("Back-off pulling image {:?}", name(container));
            tell(shared, pod, Event::normal("BackOff", text.clone()));
            tell(
                shared,
                pod,
                Event::warning("Failed", "Error: ImagePullBackOff"),
            );
            let text = format!("{text}: ErrImagePull: {}", fault.1);
            publish(shared, pod, &container.name, ("ImagePullBackOff", text)).await;
        }
        sleep(backoff).await;
        backoff = (backoff * 2).min(LONGEST_BACKOFF);
    }
}

/// Does once what the policy asks for.
async fn attempt(
    shared: &Shared,
    engine: &Engine,
    pod: &Pod,
    container: &Container,
    is_first: bool,
) -> Result<Image, Fault> {
    let name = name(container);
    let failed = |error: String| {
        let text = format!("Failed to pull image {name:?}: {error}");
        tell(shared, pod, Event::warning("Failed", text));
        ("ErrImagePull", error)
    };
    let there = engine.image(name).await.map_err(failed)?;
    match (
        step(container.image_pull_policy.as_deref(), there.is_some()),
        there,
    ) {
        (Step::Use, Some(image)) => {
            tell(shared, pod, Event::normal("Pulled", present(name)));
            Ok(image)
        }
        (Step::Missing, _) => {
            let text = format!("Container image {name:?} is not present with pull policy of Never");
            tell(
                shared,
                pod,
                Event::warning("ErrImageNeverPull", text.clone()),
            );
            Err(("ErrImageNeverPull", text))
        }
        _ => {
            tell(
                shared,
                pod,
                Event::normal("Pulling", format!("Pulling image {name:?}")),
            );
            if is_first {
                let creating = ("ContainerCreating", String::new());
                publish(shared, pod, "", creating).await;
            }
            let since = Instant::now();
            let auth = login(&lookup(shared, pod), pod, name);
            engine.pull(name, auth.as_deref()).await.map_err(failed)?;
            let text = format!(
                "Successfully pulled image {name:?} in {:.3}s",
                since.elapsed().as_secs_f64()
            );
            tell(shared, pod, Event::normal("Pulled", text));
            let image = engine.image(name).await.map_err(failed)?;
            image.ok_or_else(|| failed("the container engine does not know it".to_owned()))
        }
    }
}

fn name(container: &Container) -> &str {
    container.image.as_deref().unwrap_or_default()
}

fn present(name: &str) -> String {
    format!("Container image {name:?} already present on machine")
}

fn tell(shared: &Shared, pod: &Pod, event: Event) {
    // What goes wrong is told again and again; what goes well is thinned out.
    if event.kind == "Warning" {
        event::record(&shared.api, "kubelet", &pod.object, event);
    } else {
        shared.events.record(&pod.object, event);
    }
}

/// Publishes why a container waits; one without a name stands for all.
async fn publish(shared: &Shared, pod: &Pod, container: &str, (reason, message): Fault) {
    let wait = Wait::Image {
        container: container.to_owned(),
        reason,
        message,
    };
    let now = Timestamp::now();
    run::publish(&shared.api, pod, |previous| {
        status::waiting(pod, previous, &wait, now)
    })
    .await;
}

fn lookup<'a>(shared: &'a Shared, pod: &'a Pod) -> InNamespace<'a> {
    InNamespace {
        api: &shared.api,
        namespace: &pod.namespace,
    }
}

/// What shows the image's registry who asks: the first login for it in the pod's pull secrets.
fn login(lookup: &dyn Lookup, pod: &Pod, image: &str) -> Option<String> {
    let registry = reference::registry(image);
    let secrets = pod.spec.image_pull_secrets.iter().flatten();
    secrets
        .filter_map(|secret| {
            source::secret(lookup, &secret.name, true)
                .ok()??
                .remove(LOGINS)
        })
        .find_map(|logins| login_in(&serde_json::from_slice(&logins).ok()?, registry))
}

/// The login for a registry, as engines read it.
fn login_in(logins: &Value, registry: &str) -> Option<String> {
    let mut all = logins["auths"].as_object()?.iter();
    let (_, login) = all.find(|(name, _)| reference::is_login_for(name, registry))?;
    let text = |name: &str| login[name].as_str().map(str::to_owned);
    let pair = || {
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(login["auth"].as_str()?)
            .ok()?;
        let pair = String::from_utf8(bytes).ok()?;
        let (user, password) = pair.split_once(':')?;
        Some((user.to_owned(), password.to_owned()))
    };
    let (user, password) = text("username").zip(text("password")).or_else(pair)?;
    let login = json!({ "username": user, "password": password, "serveraddress": registry });
    Some(URL_SAFE.encode(login.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_says_whether_an_image_is_fetched() {
        for (policy, there, expected) in [
            ("Always", true, Step::Pull),
            ("Always", false, Step::Pull),
            ("IfNotPresent", true, Step::Use),
            ("IfNotPresent", false, Step::Pull),
            ("Never", true, Step::Use),
            ("Never", false, Step::Missing),
        ] {
            assert_eq!(step(Some(policy), there), expected, "{policy} {there}");
        }
    }

    #[test]
    fn a_login_is_taken_from_a_secret_in_either_form() {
        let logins = json!({ "auths": {
            "https://index.docker.io/v1/": { "auth": "YTpi" },
            "ghcr.io": { "username": "c", "password": "d" },
        }});
        for (registry, user, password) in [("docker.io", "a", "b"), ("ghcr.io", "c", "d")] {
            let bytes = URL_SAFE
                .decode(login_in(&logins, registry).unwrap())
                .unwrap();
            let login: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(
                (&login["username"], &login["password"]),
                (&json!(user), &json!(password))
            );
        }
        assert_eq!(login_in(&logins, "other.io"), None);
    }

    #[test]
    fn of_an_image_is_kept_what_containers_need() {
        let image = Image::read(&json!({ "Id": "sha256:1", "Config": {
            "WorkingDir": "/work", "User": "", "StopSignal": "SIGINT", "Cmd": ["sh"],
        }}));
        assert_eq!(image.working_directory.as_deref(), Some("/work"));
        assert_eq!(image.stop_signal.as_deref(), Some("SIGINT"));
        assert!(image.has_program && image.user.is_empty());
        assert!(!Image::read(&json!({ "Config": { "Entrypoint": [] } })).has_program);
    }
}
