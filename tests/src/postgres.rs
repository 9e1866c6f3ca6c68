//! A PostgreSQL on this machine that the pods of a cluster reach.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::process::run;
use crate::wait_for;

/// The user `nobody` of Debian: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65_534;

/// A server in a folder of its own. It ends when the value goes.
pub struct Postgres {
    folder: tempfile::TempDir,
    address: String,
    server: Option<Child>,
}

impl Postgres {
    /// Starts one that listens on this address of the machine.
    pub fn start(address: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("diwan-postgres-")
            .tempdir()
            .unwrap();
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        let data = folder.path().join("data");
        let mut make = unprivileged("initdb", folder.path());
        make.args([
            "-A",
            "trust",
            "-U",
            "diwan",
            "-E",
            "UTF8",
            "--locale=C",
            "-N",
        ]);
        run(make.arg("-D").arg(&data)).ok();
        let rules = data.join("pg_hba.conf");
        let pods = "host all all 10.0.0.0/8 trust\n";
        fs::write(&rules, fs::read_to_string(&rules).unwrap() + pods).unwrap();
        let mut postgres = Self {
            folder,
            address: address.to_owned(),
            server: None,
        };
        postgres.launch();
        postgres
    }

    /// Starts the server, and waits until it answers.
    pub fn launch(&mut self) {
        let folder = self.folder.path();
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.join("log"))
            .unwrap();
        let mut command = unprivileged("postgres", folder);
        command.arg("-D").arg(folder.join("data"));
        command.arg("-k").arg(folder).args(["-h", &self.address]);
        let server = command.stdin(Stdio::null()).stdout(Stdio::null());
        self.server = Some(server.stderr(log).spawn().unwrap());
        wait_for("PostgreSQL to start", || {
            (self.psql("postgres", "SELECT 1").code == Some(0)).then_some(())
        });
    }

    /// Ends the server at once: it breaks off every connection.
    pub fn stop(&mut self) {
        let Some(mut server) = self.server.take() else {
            return;
        };
        let pid = Pid::from_raw(i32::try_from(server.id()).unwrap());
        // PostgreSQL's own way of an immediate end, which leaves no process behind.
        let _ = kill(pid, Signal::SIGQUIT);
        let _ = server.wait();
    }

    /// Makes a database, and returns its URL for pods.
    pub fn database(&self, name: &str) -> String {
        self.query("postgres", &format!("CREATE DATABASE {name}"));
        format!("postgres://diwan@{}/{name}", self.address)
    }

    /// Runs statements, and returns the rows of the last: a line each, columns parted by `|`.
    #[track_caller]
    pub fn query(&self, database: &str, sql: &str) -> String {
        self.psql(database, sql).ok()
    }

    fn psql(&self, database: &str, sql: &str) -> crate::process::Ran {
        let mut psql = Command::new("psql");
        psql.args([
            "-XqtA",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "diwan",
            "-d",
            database,
        ]);
        run(psql.arg("-h").arg(self.folder.path()).args(["-c", sql]))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A program of the server, as a user that it accepts; it ends with this program, however that ends.
fn unprivileged(program: &str, folder: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .args(["--pdeathsig=QUIT", "--"])
        .arg(find(program))
        .current_dir(folder);
    command
}

/// Debian keeps the server's programs out of `PATH`.
fn find(program: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut found: Vec<PathBuf> = versions
        .map(|version| version.unwrap().path().join("bin").join(program))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| PathBuf::from(program))
}
