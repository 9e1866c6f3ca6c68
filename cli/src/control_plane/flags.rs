//! Flags of `diwan up` and `diwan run`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use diwan_db_manager::retention::Age;
use diwan_db_manager::url::DatabaseUrl;
use diwan_node::NodeOptions;

/// Flags of `diwan up` and `diwan run`.
#[derive(Args)]
pub(crate) struct Shared {
    /// Data folder; `up`: $XDG_DATA_HOME/diwan, `run`: a fresh one
    #[arg(long, value_name = "DIR", env = "DIWAN_DATA")]
    pub(super) data: Option<PathBuf>,
    /// Address of the API and the web UI; 127.0.0.1:8080 or the next free port
    #[arg(long, value_name = "ADDR", env = "DIWAN_LISTEN")]
    pub(super) listen: Option<SocketAddr>,
    /// Where metrics for Prometheus are served, at /metrics; by default nowhere
    #[arg(long, value_name = "ADDR", env = "DIWAN_METRICS_LISTEN")]
    pub(super) metrics_listen: Option<SocketAddr>,
    /// Where the observation log is kept: sqlite://PATH, postgres://USER:PASSWORD@HOST/DATABASE or
    /// mysql://…; by default in the data folder
    #[arg(long, value_name = "URL", env = "DIWAN_DATABASE_URL")]
    pub(super) database_url: Option<DatabaseUrl>,
    /// Forget logs of trials that have reported nothing for so long, such as 30d
    #[arg(long, value_name = "AGE", env = "DIWAN_KEEP_LOGS")]
    pub(super) keep_logs: Option<Age>,
    /// A KatibConfig file that names further algorithms
    #[arg(long, value_name = "FILE", env = "DIWAN_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// How many pods without resource requests run at a time
    #[arg(long, value_name = "N", env = "DIWAN_MAX_PODS", default_value_t = NodeOptions::default_max_pods(), value_parser = at_least_one)]
    pub(super) max_pods: usize,
    /// What runs pods
    #[arg(long, value_enum, default_value_t = Runtime::Process, env = "DIWAN_RUNTIME")]
    pub(super) runtime: Runtime,
    /// A folder that stands for an image: its files appear at the same absolute paths; can be given
    /// several times, or several separated by commas
    #[arg(long = "image", value_name = "NAME=DIR", value_parser = image, env = "DIWAN_IMAGE", value_delimiter = ',')]
    pub(super) images: Vec<(String, PathBuf)>,
}

impl Shared {
    /// The data folder that the flags name.
    pub(crate) fn data(&self) -> Option<&Path> {
        self.data.as_deref()
    }
}

/// What runs pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Runtime {
    /// Processes of this machine
    Process,
    /// Containers of podman, found by CONTAINER_HOST or at the usual socket
    Podman,
    /// Containers of docker, found by DOCKER_HOST or at the usual socket
    Docker,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least one pod must be able to run".to_owned()),
        other => other.map_err(|error: std::num::ParseIntError| error.to_string()),
    }
}

fn image(text: &str) -> Result<(String, PathBuf), String> {
    let (name, folder) = text.split_once('=').ok_or("write NAME=DIR")?;
    let folder = std::path::absolute(folder).map_err(|error| format!("{folder}: {error}"))?;
    if !folder.is_dir() {
        return Err(format!("{} is not a folder", folder.display()));
    }
    Ok((name.to_owned(), folder))
}

/// `$XDG_DATA_HOME/diwan`, or `~/.local/share/diwan`.
pub(super) fn default_data() -> anyhow::Result<PathBuf> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_DATA_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".local/share")))
        .map(|base| base.join("diwan"))
        .context("neither XDG_DATA_HOME nor HOME is set; give --data DIR")
}
