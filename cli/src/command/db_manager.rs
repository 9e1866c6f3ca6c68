//! `diwan db-manager`: the observation log over gRPC.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use diwan_db_manager::retention::{self, Age};
use diwan_db_manager::{OpenOptions, Schema, grpc, store, url::DatabaseUrl};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::database;
use crate::signals::interrupted;

/// Serves the observation log as the gRPC service `api.v1.beta1.DBManager`.
#[derive(clap::Args)]
pub(crate) struct DbManager {
    /// Address to listen on
    #[arg(
        long,
        alias = "listen-address",
        env = "DIWAN_LISTEN",
        default_value = "127.0.0.1:6789"
    )]
    listen: SocketAddr,
    /// Where the log is kept: sqlite://PATH, postgres://USER:PASSWORD@HOST/DATABASE or mysql://…;
    /// by default what Katib's variables (`DB_NAME` and others) say
    #[arg(long, env = "DIWAN_DATABASE_URL", value_name = "URL")]
    database_url: Option<DatabaseUrl>,
    /// Make Diwan's tables, and take over the rows of Katib's once
    #[arg(long)]
    migrate: bool,
    /// How many seconds to wait for a database server that is not there yet
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    connect_timeout: u64,
    /// Forget logs of trials that have reported nothing for so long, such as 30d
    #[arg(long, value_name = "AGE")]
    keep_logs: Option<Age>,
}

impl DbManager {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let interrupt = interrupted();
        let (url, schema) = self.database()?;
        let options = OpenOptions {
            schema,
            connect_timeout: Duration::from_secs(self.connect_timeout),
            ..OpenOptions::default()
        };
        let store = store::open_with(&url, options).await?;
        let listener = TcpListener::bind(self.listen)
            .await
            .with_context(|| format!("can't listen on {}", self.listen))?;
        println!(
            "serving api.v1.beta1.DBManager on {}",
            listener.local_addr()?
        );
        let stop = CancellationToken::new();
        let sweeper = tokio::spawn(retention::run(
            Arc::clone(&store),
            self.keep_logs,
            stop.clone().cancelled_owned(),
        ));
        let served = grpc::serve(listener, Arc::clone(&store), None, interrupt).await;
        stop.cancel();
        sweeper.await?;
        store.close().await?;
        served?;
        Ok(ExitCode::SUCCESS)
    }

    /// Which database is used, and which tables in it.
    fn database(&self) -> anyhow::Result<(DatabaseUrl, Schema)> {
        let (url, schema) = database::named(self.database_url.as_ref())?;
        Ok((url, if self.migrate { Schema::Diwan } else { schema }))
    }
}
