//! The web page and its REST interface, on a cluster.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use clap::Args;
use clap::builder::BoolishValueParser;
use diwan_db_manager::reader::Reader;
use diwan_db_manager::store;
use diwan_db_manager::url::DatabaseUrl;
use diwan_ui::{AccessControl, ObservationReader, Reviewer, UiState};
use http::HeaderName;
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::reviews::Reviews;
use crate::port::observations::Observations;
use crate::port::remote_observations::RemoteObservations;

/// Where a pod finds its account's token.
const ACCOUNT_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/// How long open pages get to leave.
const GRACE: Duration = Duration::from_secs(2);

/// Flags of `diwan ui`. Katib's variables are taken, too.
#[derive(Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    connection: Connection,
    /// Where the page and its REST interface listen
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// Where observation logs are read over gRPC; by default the Service katib-db-manager
    #[arg(long, value_name = "ADDR", env = "DIWAN_DB_MANAGER")]
    db_manager: Option<String>,
    /// The token that is shown to the DB manager
    #[arg(long, value_name = "FILE", default_value = ACCOUNT_TOKEN)]
    token_file: PathBuf,
    /// Read logs straight from their database instead, which is faster with many trials
    #[arg(
        long,
        value_name = "URL",
        env = "DIWAN_DATABASE_URL",
        conflicts_with = "db_manager"
    )]
    database_url: Option<DatabaseUrl>,
    /// The header that names the user; a gateway sets it, and removes what browsers send
    #[arg(
        long,
        value_name = "NAME",
        env = "USERID_HEADER",
        default_value = "kubeflow-userid"
    )]
    user_header: HeaderName,
    /// What is cut off the front of the user's name, such as accounts.google.com:
    #[arg(
        long,
        value_name = "TEXT",
        env = "USERID_PREFIX",
        default_value = "",
        hide_default_value = true
    )]
    user_prefix: String,
    /// Show everything to everybody who reaches the page, and let them change it
    #[arg(long, env = "APP_DISABLE_AUTH", value_parser = BoolishValueParser::new())]
    disable_auth: bool,
}

/// Serves the page until `stop`.
pub(crate) async fn run(flags: Flags, stop: CancellationToken) -> anyhow::Result<()> {
    let client = flags.connection.client().await?;
    let store = match &flags.database_url {
        Some(url) => Some(store::open(url).await?),
        None => None,
    };
    let observations: Arc<dyn ObservationReader> = match &store {
        Some(store) => Arc::new(Observations {
            store: store.clone(),
            absences: Arc::default(),
        }),
        None => Arc::new(flags.remote()?),
    };
    let reviews = Arc::new(Reviews::new(client.clone()));
    let page = diwan_ui::router(UiState {
        client,
        observations,
        logs: None,
        access: flags.access(reviews),
    });
    let page = page.route("/", get(async || Redirect::to(diwan_ui::BASE)));
    let listener = super::bind(flags.listen).await?;
    println!(
        "web UI: http://{}{}",
        listener.local_addr()?,
        diwan_ui::BASE
    );
    let served = serve(listener, page, stop).await;
    if let Some(store) = store {
        store.close().await?;
    }
    Ok(served?)
}

impl Flags {
    /// Who may see what.
    fn access(&self, reviewer: Arc<dyn Reviewer>) -> Option<AccessControl> {
        if self.disable_auth && !self.listen.ip().is_loopback() {
            tracing::warn!(
                "everybody who reaches {} sees and changes all experiments: keep it to \
                 127.0.0.1 or behind a NetworkPolicy, or ask for users",
                self.listen
            );
        }
        (!self.disable_auth).then(|| AccessControl {
            user_header: self.user_header.clone(),
            user_prefix: self.user_prefix.clone(),
            reviewer,
        })
    }

    fn remote(&self) -> anyhow::Result<RemoteObservations> {
        let address = self.db_manager.clone().unwrap_or_else(|| {
            let namespace = self.connection.namespace();
            format!("katib-db-manager.{namespace}:6789")
        });
        Ok(RemoteObservations {
            reader: Reader::new(&address)?,
            token_file: self.token_file.clone(),
        })
    }
}

/// Serves until `stop`; what pages still listen to is cut off soon after.
async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> io::Result<()> {
    let stopped = stop.clone().cancelled_owned();
    let serving = axum::serve(listener, router).with_graceful_shutdown(stopped);
    tokio::select! {
        served = serving => served,
        () = async { stop.cancelled().await; sleep(GRACE).await } => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::fake::FakeApi;
    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        flags: Flags,
    }

    fn access(flags: &[&str]) -> Option<AccessControl> {
        let line = Line::try_parse_from([&["diwan"], flags].concat()).unwrap();
        let api = FakeApi::new(|asked| panic!("{}", asked.path));
        line.flags.access(Arc::new(Reviews::new(api.client())))
    }

    #[tokio::test]
    async fn users_are_asked_for_unless_told_otherwise() {
        let by_default = access(&[]).unwrap();
        assert_eq!(by_default.user_header, "kubeflow-userid");
        assert_eq!(by_default.user_prefix, "");
        let given = access(&["--user-header", "X-User", "--user-prefix", "iap:"]).unwrap();
        assert_eq!(
            (given.user_header.as_str(), given.user_prefix.as_str()),
            ("x-user", "iap:")
        );
        assert!(access(&["--disable-auth"]).is_none());
    }

    #[tokio::test]
    async fn an_open_page_does_not_hold_the_end_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let endless = Router::new().route("/", get(std::future::pending::<()>));
        let serving = tokio::spawn(serve(listener, endless, stop.clone()));
        let mut page = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut page, request)
            .await
            .unwrap();
        sleep(Duration::from_millis(50)).await;
        stop.cancel();
        let ended = tokio::time::timeout(GRACE * 3, serving).await;
        ended.expect("it ends").unwrap().unwrap();
    }
}
