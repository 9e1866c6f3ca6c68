//! Service accounts: what every namespace has of them, and their tokens.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Api, Subresource, identify};
use crate::{
    access::{Bound, Claims, ISSUER, IssuedToken, LIFETIME, TokenOrder},
    metadata,
    resource::{CONFIG_MAPS, NODES, PODS, Resource, SECRETS, SERVICE_ACCOUNTS},
    status::Status,
};

/// The config map of every namespace that holds the authority's certificate.
pub(crate) const ROOT_CERTIFICATE: &str = "kube-root-ca.crt";

impl Api {
    /// Issues a token of a service account.
    ///
    /// # Errors
    /// There is no such account, or not what the token is to be bound to.
    pub fn issue_token(
        &self,
        namespace: &str,
        account: &str,
        order: &TokenOrder,
    ) -> Result<IssuedToken, Status> {
        let found = self.get(&SERVICE_ACCOUNTS, namespace, account);
        let found = found.ok_or_else(|| Status::not_found(&SERVICE_ACCOUNTS, account))?;
        let bound = match &order.bound {
            Some(bound) => self.bound(namespace, account, bound)?,
            None => Vec::new(),
        };
        let mut audiences = order.audiences.clone();
        if audiences.is_empty() {
            audiences.push(ISSUER.to_owned());
        }
        let (now, seconds) = (Timestamp::now(), order.seconds.unwrap_or(LIFETIME));
        let claims = Claims {
            namespace,
            account,
            account_uid: metadata::uid(&found),
            audiences: &audiences,
            bound: &bound,
            now,
            seconds,
        };
        let token = self.keys().signer.sign(&claims.to_value());
        let expires = now.checked_add(SignedDuration::from_secs(seconds));
        Ok(IssuedToken {
            token: token.map_err(Status::internal)?,
            audiences,
            expires: expires.map_err(Status::internal)?,
        })
    }

    /// What a token is bound to: kinds in lower case, names and identifiers.
    fn bound(
        &self,
        namespace: &str,
        account: &str,
        bound: &Bound,
    ) -> Result<Vec<(String, String, String)>, Status> {
        let (resource, namespace): (&'static Resource, &str) = match bound.kind.as_str() {
            "Pod" => (&PODS, namespace),
            "Secret" => (&SECRETS, namespace),
            "Node" => (&NODES, ""),
            other => {
                return Err(Status::bad_request(format!(
                    "cannot bind token to object of type /v1, Kind={other}"
                )));
            }
        };
        let object = self.get(resource, namespace, &bound.name);
        let object = object.ok_or_else(|| Status::not_found(resource, &bound.name))?;
        let uid = metadata::uid(&object);
        if !bound.uid.is_empty() && bound.uid != uid {
            let why = format!(
                "the UID in the bound object reference ({}) does not match the UID in record. The \
                 object might have been deleted and then recreated",
                bound.uid
            );
            return Err(Status::conflict_because(resource, &bound.name, &why));
        }
        let mut list = vec![(
            bound.kind.to_lowercase(),
            bound.name.clone(),
            uid.to_owned(),
        )];
        if resource == &PODS {
            if object["spec"]["serviceAccountName"] != account {
                return Err(Status::bad_request(format!(
                    "cannot bind token for serviceaccount {account:?} to pod running with \
                     different serviceaccount name."
                )));
            }
            let node = object["spec"]["nodeName"].as_str().unwrap_or_default();
            if let Some(found) = self.get(&NODES, "", node) {
                let uid = metadata::uid(&found).to_owned();
                list.push(("node".to_owned(), node.to_owned(), uid));
            }
        }
        Ok(list)
    }

    /// Gives a namespace what every one has: an account that pods use unless told otherwise, and
    /// the certificate by which they know the API. Failures don't matter: the namespace may be
    /// gone again, or somebody was faster.
    pub(crate) async fn furnish(&self, namespace: &str) {
        if !self.has_accounts() {
            return;
        }
        for (resource, name, mut object) in furniture(namespace, &self.keys().ca) {
            if let Some(found) = self.object(resource, namespace, name) {
                if resource == &CONFIG_MAPS && found.value()["data"] != object["data"] {
                    let change = |map: &mut Value| {
                        map["data"] = object["data"].clone();
                        true
                    };
                    let _ = self
                        .modify(resource, namespace, name, Subresource::None, change)
                        .await;
                }
                continue;
            }
            identify(resource, &mut object, Timestamp::now());
            let _ = self
                .put_new(resource, namespace, name, &object, false)
                .await;
        }
    }
}

/// What every namespace has.
pub(super) fn furniture(
    namespace: &str,
    ca: &str,
) -> [(&'static Resource, &'static str, Value); 2] {
    let account = json!({ "metadata": { "name": "default", "namespace": namespace } });
    let certificate = json!({
        "metadata": {
            "name": ROOT_CERTIFICATE,
            "namespace": namespace,
            "annotations": {
                "kubernetes.io/description": "Contains a CA bundle that can be used to verify the \
                    kube-apiserver when using internal endpoints such as the internal service IP \
                    or kubernetes.default.svc. No other usage is guaranteed across distributions \
                    of Kubernetes clusters.",
            },
        },
        "data": { "ca.crt": ca },
    });
    [
        (&SERVICE_ACCOUNTS, "default", account),
        (&CONFIG_MAPS, ROOT_CERTIFICATE, certificate),
    ]
}
