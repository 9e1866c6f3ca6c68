//! A client of `EarlyStopping` for collectors, which find out that a trial is to be stopped.

use std::time::Duration;

use diwan_proto::metadata::{NAMESPACE_KEY, TOKEN_KEY};
use diwan_proto::v1beta1::SetTrialStatusRequest;
use diwan_proto::v1beta1::early_stopping_client::EarlyStoppingClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long a call may take; one that takes longer is made again.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// The wait after the first failure; doubled after each further one.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Says which trials were stopped.
#[derive(Clone, Debug)]
pub struct StatusClient {
    inner: EarlyStoppingClient<Channel>,
    namespace: Option<MetadataValue<Ascii>>,
    token: Option<MetadataValue<Ascii>>,
    patience: Duration,
}

impl StatusClient {
    /// Names a server (`host:port` or a URL) without connecting yet, and what is sent with each
    /// call: the trial's namespace and its token. Calls are tried again for `patience` while the
    /// server is away.
    ///
    /// # Errors
    /// Says what is wrong with the address, the namespace or the token.
    pub fn new(
        address: &str,
        namespace: Option<&str>,
        token: Option<&str>,
        patience: Duration,
    ) -> Result<Self, String> {
        let url = if address.contains("://") {
            address.to_owned()
        } else {
            format!("http://{address}")
        };
        let endpoint =
            Endpoint::from_shared(url).map_err(|error| format!("{address:?}: {error}"))?;
        let endpoint = endpoint
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN);
        let ascii = |what: &str, text: Option<&str>| {
            let value = text.map(str::parse::<MetadataValue<Ascii>>).transpose();
            value.map_err(|_| format!("the {what} is not ascii"))
        };
        Ok(Self {
            inner: EarlyStoppingClient::new(endpoint.connect_lazy()),
            namespace: ascii("namespace", namespace)?,
            token: ascii("token of the trial", token)?,
            patience,
        })
    }

    /// Says that a trial was stopped early.
    ///
    /// # Errors
    /// The server refused, or was away for too long.
    pub async fn set_trial_status(&self, trial: &str) -> Result<(), Status> {
        let deadline = tokio::time::Instant::now() + self.patience;
        let mut wait = FIRST_WAIT;
        loop {
            let mut request = Request::new(SetTrialStatusRequest {
                trial_name: trial.to_owned(),
            });
            let metadata = request.metadata_mut();
            let sent = [(NAMESPACE_KEY, &self.namespace), (TOKEN_KEY, &self.token)];
            for (key, value) in sent {
                if let Some(value) = value {
                    metadata.insert(key, value.clone());
                }
            }
            let Err(status) = self.inner.clone().set_trial_status(request).await else {
                return Ok(());
            };
            let may_pass = matches!(
                status.code(),
                Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled
            );
            if !may_pass || tokio::time::Instant::now() + wait > deadline {
                return Err(status);
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}
