//! Real database servers for tests: each is started in a temporary folder, reached by a unix
//! socket, and gone when the test program is, however that ends.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use diwan_db_manager::url::DatabaseUrl;
use sqlx::{Connection as _, MySqlConnection, PgConnection};

/// The user `nobody` of Debian: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65_534;
/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_mins(2);

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Postgres,
    Mariadb,
}

/// A server in a folder of its own.
pub(crate) struct Server {
    kind: Kind,
    folder: PathBuf,
    durable: bool,
    keeper: Mutex<Option<Child>>,
    databases: AtomicU32,
}

impl Server {
    /// The server that all tests of a program share. It does not wait for the disk.
    pub(crate) fn shared(kind: Kind) -> &'static Self {
        static SERVERS: [OnceLock<Server>; 2] = [OnceLock::new(), OnceLock::new()];
        SERVERS[kind as usize].get_or_init(|| Self::start(kind, false))
    }

    /// Makes a server. A durable one waits for the disk, as it does by default.
    pub(crate) fn start(kind: Kind, durable: bool) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("diwan-db-")
            .tempdir_in("/tmp")
            .unwrap()
            .keep();
        if is_root() {
            chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let server = Self {
            kind,
            folder,
            durable,
            keeper: Mutex::new(None),
            databases: AtomicU32::new(0),
        };
        server.make();
        server.launch();
        server
    }

    fn make(&self) {
        let data = self.folder.join("data");
        let mut command = match self.kind {
            Kind::Postgres => {
                let mut command = unprivileged(&program(self.kind, "initdb"));
                command
                    .args([
                        "-A",
                        "trust",
                        "-U",
                        "diwan",
                        "-E",
                        "UTF8",
                        "--locale=C",
                        "-N",
                        "-D",
                    ])
                    .arg(data);
                command
            }
            Kind::Mariadb => {
                let mut command = unprivileged(&program(self.kind, "mariadb-install-db"));
                command
                    .args(["--no-defaults", "--auth-root-authentication-method=normal"])
                    .args(["--skip-test-db", "--skip-name-resolve"])
                    .arg(format!("--datadir={}", data.display()));
                command
            }
        };
        let done = command.current_dir(&self.folder).output().unwrap();
        assert!(
            done.status.success(),
            "{:?} can't be set up: {}",
            self.kind,
            String::from_utf8_lossy(&done.stderr)
        );
    }

    /// Starts the server. A shell holds it, which ends it and removes the folder as soon as this
    /// program closes the shell's input, be it by its own end.
    fn launch(&self) {
        let (data, folder) = (self.folder.join("data"), self.folder.display().to_string());
        let command = match self.kind {
            Kind::Postgres => {
                let mut command = unprivileged(&program(self.kind, "postgres"));
                command.arg("-D").arg(&data).args(["-k", &folder]);
                command.args(["-c", "listen_addresses=", "-c", "max_connections=200"]);
                if !self.durable {
                    command.args(["-c", "fsync=off", "-c", "full_page_writes=off"]);
                }
                command
            }
            Kind::Mariadb => {
                let mut command = unprivileged(&program(self.kind, "mariadbd"));
                command
                    .args(["--no-defaults", "--skip-networking", "--skip-name-resolve"])
                    .args(["--innodb-buffer-pool-size=256M", "--max-connections=200"])
                    .arg(format!("--datadir={}", data.display()))
                    .arg(format!("--socket={folder}/socket"))
                    .arg(format!("--pid-file={folder}/pid"));
                if !self.durable {
                    command.arg("--innodb-flush-log-at-trx-commit=0");
                }
                command
            }
        };
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper", &folder])
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        *self.keeper.lock().unwrap() = Some(keeper);
    }

    /// Kills the server as `kill -9` does, and starts it again.
    pub(crate) fn kill_and_restart(&self) {
        let pid_file = match self.kind {
            Kind::Postgres => self.folder.join("data/postmaster.pid"),
            Kind::Mariadb => self.folder.join("pid"),
        };
        let pid = fs::read_to_string(pid_file).unwrap();
        let pid = pid.lines().next().unwrap().to_owned();
        // PostgreSQL's processes see a while later that their parent is gone, and until then no
        // new server can start.
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let killed = Command::new("kill").args(["-9", &pid]).status().unwrap();
        assert!(killed.success());
        for child in children.unwrap_or_default().split_whitespace() {
            let started = Instant::now();
            while Path::new("/proc").join(child).exists() && started.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let mut keeper = self.keeper.lock().unwrap().take().unwrap();
        // The keeper reads "restart" and leaves the folder.
        std::io::Write::write_all(keeper.stdin.as_mut().unwrap(), b"restart\n").unwrap();
        keeper.wait().unwrap();
        self.launch();
    }

    /// Makes an empty database and returns its URL.
    pub(crate) async fn database(&self) -> String {
        let name = format!("d{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let (base, options) = match self.kind {
            Kind::Postgres => ("postgres", ""),
            Kind::Mariadb => ("mysql", "CHARACTER SET utf8mb4"),
        };
        let create = format!("CREATE DATABASE {name} {options}");
        self.execute(&self.url(base), &create).await;
        self.url(&name)
    }

    fn url(&self, database: &str) -> String {
        let folder = self.folder.display();
        match self.kind {
            Kind::Postgres => format!("postgres://diwan@localhost/{database}?host={folder}"),
            Kind::Mariadb => format!("mysql://root@localhost/{database}?socket={folder}/socket"),
        }
    }

    /// Runs statements in a database; waits for the server if need be.
    pub(crate) async fn execute(&self, url: &str, sql: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let done = match self.kind {
                Kind::Postgres => run_postgres(url, sql).await,
                Kind::Mariadb => run_mysql(url, sql).await,
            };
            match done {
                Ok(()) => return,
                Err(sqlx::Error::Database(error)) if !is_starting(error.message()) => {
                    panic!("{sql}: {error}")
                }
                Err(error) if Instant::now() > deadline => {
                    panic!("{:?} does not answer: {error}", self.kind)
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// Returns the first column of what a query finds, as text.
    pub(crate) async fn texts(&self, url: &str, sql: &str) -> Vec<String> {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        match self.kind {
            Kind::Postgres => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                let rows = sqlx::query_scalar(sql).fetch_all(&mut connection).await;
                rows.unwrap()
            }
            Kind::Mariadb => {
                let mut connection = MySqlConnection::connect(url).await.unwrap();
                let rows = sqlx::query_scalar(sql).fetch_all(&mut connection).await;
                rows.unwrap()
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.lock().unwrap().take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }
}

/// Runs `$2…`; ends it when the input ends, and then removes the folder `$1`.
const KEEPER: &str = r#"
folder=$1; shift
"$@" >>"$folder/log" 2>&1 </dev/null &
server=$!
read -r why
kill -9 $server 2>/dev/null
wait $server 2>/dev/null
[ "$why" = restart ] || { sleep 0.2; rm -rf "$folder"; }
"#;

fn is_starting(message: &str) -> bool {
    [
        "starting up",
        "shutting down",
        "recovery",
        "not yet accepting",
    ]
    .iter()
    .any(|part| message.contains(part))
}

async fn run_postgres(url: &str, sql: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    sqlx::raw_sql(sql).execute(&mut connection).await?;
    connection.close().await
}

async fn run_mysql(url: &str, sql: &str) -> Result<(), sqlx::Error> {
    let mut connection = MySqlConnection::connect(url).await?;
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    sqlx::raw_sql(sql).execute(&mut connection).await?;
    connection.close().await
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A command that runs as `nobody` where the tests run as root.
fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(program);
    command
}

/// Finds a program of a server; fails with what to install.
fn program(kind: Kind, name: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.push("/usr/sbin".into());
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        let mut versions: Vec<_> = versions.map(|entry| entry.unwrap().path()).collect();
        versions.sort();
        folders.extend(
            versions
                .into_iter()
                .rev()
                .map(|version| version.join("bin")),
        );
    }
    let found = folders
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|path| {
            fs::metadata(path)
                .is_ok_and(|data| data.is_file() && data.permissions().mode() & 1 == 1)
        });
    let package = match kind {
        Kind::Postgres => "postgresql",
        Kind::Mariadb => "mariadb-server",
    };
    found.unwrap_or_else(|| panic!("{name} is not there: apt-get install {package}"))
}

/// Katib's table, as its DB manager makes it.
pub(crate) fn katib_table(kind: Kind) -> &'static str {
    match kind {
        Kind::Postgres => {
            "CREATE TABLE IF NOT EXISTS observation_logs
             (trial_name VARCHAR(255) NOT NULL, id serial PRIMARY KEY, time TIMESTAMP(6),
              metric_name VARCHAR(255) NOT NULL, value TEXT NOT NULL)"
        }
        Kind::Mariadb => {
            "CREATE TABLE IF NOT EXISTS observation_logs
             (trial_name VARCHAR(255) NOT NULL, id INT AUTO_INCREMENT PRIMARY KEY,
              time DATETIME(6), metric_name VARCHAR(255) NOT NULL, value TEXT NOT NULL)"
        }
    }
}

/// Reads a URL.
pub(crate) fn parsed(url: &str) -> DatabaseUrl {
    url.parse().unwrap()
}
