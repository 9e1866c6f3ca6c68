//! A podman of the test's own: its service, its storage and one image.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use crate::process::{pids_with, run};
use crate::wait_for;

/// The image: busybox alone, with a program of its own.
pub const IMAGE: &str = "localhost/box:1";

/// A podman that serves its socket. It ends with this value, and its containers too.
pub struct Podman {
    folder: tempfile::TempDir,
    service: Option<Child>,
}

impl Podman {
    /// Starts one; says why there is none where that is so.
    pub fn start() -> Option<Self> {
        let is_there = |program: &str| {
            let path = std::env::var("PATH").unwrap_or_default();
            let mut folders = std::env::split_paths(&path);
            let found = folders.any(|folder| folder.join(program).exists());
            found || PathBuf::from("/usr/sbin").join(program).exists()
        };
        let missing: Vec<_> = ["podman", "runc", "busybox"]
            .into_iter()
            .filter(|program| !is_there(program))
            .collect();
        if !missing.is_empty() || !geteuid().is_root() {
            eprintln!(
                "NOT RUN: containers need root and podman, runc and busybox; missing: {missing:?}"
            );
            return None;
        }
        let folder = tempfile::Builder::new()
            .prefix("diwan-engine-")
            .tempdir()
            .unwrap();
        let mut podman = Self {
            folder,
            service: None,
        };
        // Limits that the sandbox of a test allows, and nothing of the machine's own podman.
        let configuration = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]\n\
             default_sysctls = []\n[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\nruntime = \"runc\"\n";
        fs::write(podman.path("containers.conf"), configuration).unwrap();
        podman.import();
        let address = podman.host();
        let log = fs::File::create(podman.path("service.log")).unwrap();
        let mut service = podman.command(&["system", "service", "--time=0", &address]);
        service
            .stdout(Stdio::null())
            .stderr(log)
            .stdin(Stdio::null());
        podman.service = Some(service.spawn().unwrap());
        wait_for("podman to serve", || {
            UnixStream::connect(podman.path("podman.sock")).ok()
        });
        Some(podman)
    }

    /// Makes the image.
    fn import(&self) {
        let files = self.path("image");
        for folder in ["bin", "etc", "tmp", "work"] {
            fs::create_dir_all(files.join(folder)).unwrap();
        }
        let busybox = ["/usr/bin/busybox", "/bin/busybox"];
        let busybox = busybox
            .iter()
            .find(|path| fs::exists(path).unwrap())
            .unwrap();
        fs::copy(busybox, files.join("bin/busybox")).unwrap();
        for name in [
            "sh", "cat", "echo", "sleep", "id", "test", "touch", "tail", "tar", "tty",
        ] {
            symlink("busybox", files.join("bin").join(name)).unwrap();
        }
        fs::write(files.join("etc/passwd"), "root:x:0:0:root:/:/bin/sh\n").unwrap();
        fs::write(files.join("only-in-the-image"), "yes\n").unwrap();
        let tar = self.path("image.tar");
        run(Command::new("tar")
            .arg("-C")
            .arg(&files)
            .arg("-cf")
            .arg(&tar)
            .arg("."))
        .ok();
        let mut import = self.command(&["import", "--change", "WORKDIR /work"]);
        import.args([
            "--change",
            r#"CMD ["/bin/sh", "-c", "echo the image runs in $(pwd)"]"#,
        ]);
        run(import.arg(&tar).arg(IMAGE)).ok();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where it listens, as clients name it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.path("podman.sock").display())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("podman");
        for (flag, folder) in [
            ("--root", "root"),
            ("--runroot", "run"),
            ("--tmpdir", "tmp"),
        ] {
            command.arg(flag).arg(self.path(folder));
        }
        command.args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"]);
        command
            .args(arguments)
            .env("CONTAINERS_CONF", self.path("containers.conf"));
        command
    }

    /// The names of its containers, of those that ended too.
    pub fn containers(&self) -> Vec<String> {
        let names = run(&mut self.command(&["ps", "--all", "--format", "{{.Names}}"])).ok();
        names.lines().map(str::to_owned).collect()
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        if let Some(service) = &mut self.service {
            let _ = service.kill();
            let _ = service.wait();
        }
        let _ = self
            .command(&["rm", "--all", "--force", "--time", "0"])
            .output();
        // Those that watch what `exec` started stay for minutes.
        for pid in pids_with(self.folder.path().to_str().unwrap()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}
