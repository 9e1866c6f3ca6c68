//! What programs that know nothing of Diwan are told to do (`tests/clients`), and the server that they
//! are told to do it with.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use crate::kubectl::Kubectl;
use crate::process::run;
use crate::root;
use crate::transcript::{Step, faults, parse, play, print};
use crate::up::Up;

/// The folder of a client.
pub fn folder(client: &str) -> PathBuf {
    root().join("tests/clients").join(client)
}

/// The server: `diwan up`, or the Kubernetes of `$CLIENTS_KUBECONFIG`, by which the programs are judged.
pub enum Server {
    Diwan(Box<Up>),
    Kubernetes(Kubectl),
}

impl Server {
    /// Starts it, if it does not run.
    pub fn start() -> Self {
        match std::env::var_os("CLIENTS_KUBECONFIG") {
            Some(kubeconfig) => {
                let home = std::env::temp_dir();
                Self::Kubernetes(Kubectl::new(PathBuf::from(kubeconfig), home))
            }
            None => Self::Diwan(Box::new(Up::start())),
        }
    }

    /// How it answers a script of kubectl otherwise than was recorded; Diwan may where a reason is given.
    pub fn faults(&self, script: &str) -> Vec<String> {
        let folder = folder("kubectl");
        let recorded = read(&folder.join(format!("{script}.txt")));
        let differences = match self {
            Self::Diwan(_) => read(&folder.join(format!("differences/{script}.txt"))),
            Self::Kubernetes(_) => Vec::new(),
        };
        faults(&recorded, &differences, &play(&recorded, self, &folder))
    }

    /// Runs a program, which has to say that all its checks passed.
    #[track_caller]
    pub fn passes(&self, program: impl AsRef<Path>, arguments: &[&str]) {
        let mut command = self.command(program.as_ref());
        let path = format!("{}:{}", go_programs().display(), crate::path());
        let ran = run(command.args(arguments).env("PATH", path));
        assert!(
            ran.code == Some(0) && ran.stdout.ends_with("all checks passed\n"),
            "{}{}",
            ran.stdout,
            ran.stderr
        );
    }
}

impl Deref for Server {
    type Target = Kubectl;

    fn deref(&self) -> &Kubectl {
        match self {
            Self::Diwan(up) => up,
            Self::Kubernetes(client) => client,
        }
    }
}

/// Where `tests/clients/go/build.sh` puts what it builds.
fn go_programs() -> PathBuf {
    root().join(".cache/clients/bin")
}

/// A program that is built from Go; none where there is no Go, which is said.
pub fn go_program(name: &str) -> Option<PathBuf> {
    let program = go_programs().join(name);
    if !program.exists() {
        eprintln!("{name} is not built, for want of Go 1.26: its checks were NOT run");
        return None;
    }
    Some(program)
}

/// The names of the scripts of kubectl.
pub fn scripts() -> Vec<String> {
    let files = fs::read_dir(folder("kubectl")).unwrap().flatten();
    let mut names: Vec<String> = files
        .filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".txt")?.to_owned()))
        .collect();
    names.sort();
    names
}

/// Plays a script and writes down what it prints.
pub fn record(script: &str, client: &Kubectl) {
    let file = folder("kubectl").join(format!("{script}.txt"));
    let played = play(&read(&file), client, &folder("kubectl"));
    fs::write(file, print(&played)).unwrap();
}

/// The steps of a file; none when there is no such file.
fn read(file: &Path) -> Vec<Step> {
    parse(&fs::read_to_string(file).unwrap_or_default())
}
