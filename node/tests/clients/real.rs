//! A real MariaDB as a process: a fresh data folder, a free port on 127.0.0.1, an end by its own handle.

use super::run;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a server may take to begin.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server that runs; `root` comes in without a password.
pub struct Real {
    pub port: u16,
    child: Child,
    _folder: TempDir,
}

impl Real {
    /// Starts one, or says that there is none.
    pub fn start() -> Option<Real> {
        if !super::installed("mariadbd") || !super::installed("mariadb") {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let data = format!("--datadir={}", folder.path().join("data").display());
        let made = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", &data])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let temporary = folder.path().join("tmp");
        std::fs::create_dir(&temporary).unwrap();
        let child = Command::new("mariadbd")
            .args(["--no-defaults", &data, "--user=root", "--bind-address=127.0.0.1", "--skip-name-resolve"])
            .args(["--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci"])
            .arg(format!("--port={port}"))
            .arg(format!("--tmpdir={}", temporary.display()))
            .arg(format!("--socket={}", folder.path().join("s").display()))
            .arg(format!("--log-error={}", folder.path().join("log").display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let real = Real { port, child, _folder: folder };
        let begun = Instant::now();
        while !run("mariadb", port, &["--execute=SELECT 1"], b"").status.success() {
            assert!(begun.elapsed() < PATIENCE, "the server does not begin");
            std::thread::sleep(Duration::from_millis(200));
        }
        Some(real)
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended by itself
        let _ = self.child.wait();
    }
}
