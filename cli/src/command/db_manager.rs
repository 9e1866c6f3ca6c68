//! `diwan db-manager`: the observation log over gRPC.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context as _;
use diwan_db_manager::{grpc, store, url::DatabaseUrl};
use tokio::net::TcpListener;

use crate::signals::interrupted;

/// Serves the observation log as the gRPC service `api.v1.beta1.DBManager`.
#[derive(clap::Args)]
pub(crate) struct DbManager {
    /// Address to listen on
    #[arg(long, env = "DIWAN_LISTEN", default_value = "127.0.0.1:6789")]
    listen: SocketAddr,
    /// Where the log is kept: `sqlite://` and a path
    #[arg(long, env = "DIWAN_DATABASE_URL", value_name = "URL")]
    database_url: DatabaseUrl,
}

impl DbManager {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let interrupt = interrupted();
        let store = store::open(&self.database_url).await?;
        let listener = TcpListener::bind(self.listen)
            .await
            .with_context(|| format!("can't listen on {}", self.listen))?;
        println!(
            "serving api.v1.beta1.DBManager on {}",
            listener.local_addr()?
        );
        grpc::serve(listener, store.clone(), None, interrupt).await?;
        store.close().await?;
        Ok(ExitCode::SUCCESS)
    }
}
