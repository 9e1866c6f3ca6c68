//! `diwan suggestion`: the search algorithms over gRPC.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context as _;
use diwan_algorithms::find;
use diwan_suggestion::{SuggestionService, serve};
use tokio::net::TcpListener;

use super::EXIT_INVALID;
use crate::signals::interrupted;

/// Serves the search algorithms as the gRPC service `api.v1.beta1.Suggestion`, and early stopping as
/// `api.v1.beta1.EarlyStopping`.
#[derive(clap::Args)]
pub(crate) struct Suggestion {
    /// Serve this algorithm only; all when none is named
    #[arg(value_name = "ALGORITHM")]
    algorithm: Option<String>,
    /// Address to listen on
    #[arg(long, env = "DIWAN_LISTEN", default_value = "127.0.0.1:6788")]
    listen: SocketAddr,
}

impl Suggestion {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        if let Some(name) = &self.algorithm
            && find(name).is_none()
        {
            eprintln!("unknown algorithm {name}; `diwan algorithms` lists them");
            return Ok(ExitCode::from(EXIT_INVALID));
        }
        let interrupt = interrupted();
        let listener = TcpListener::bind(self.listen)
            .await
            .with_context(|| format!("can't listen on {}", self.listen))?;
        println!(
            "serving api.v1.beta1.Suggestion on {}",
            listener.local_addr()?
        );
        serve(listener, SuggestionService::new(self.algorithm), interrupt).await?;
        Ok(ExitCode::SUCCESS)
    }
}
