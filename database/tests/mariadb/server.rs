//! A MariaDB that a test starts by itself on a free port of this machine, and ends again.
//!
//! Where no `mariadbd` is installed there is none, and the test says so and checks nothing.

#[path = "../../../tests/ports.rs"]
mod ports;

use database::Target;
use database::mysql::{Connection, Options};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a server may take to start.
const START_MS: u64 = 60_000;
const POLL_MS: u64 = 100;
/// One data folder is made at a time.
static MAKING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

pub struct Server {
    process: Child,
    pub target: Target,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// A server with this number and these further options, or none if there is no MariaDB on this machine.
    pub async fn start(number: u32, options: &[&str]) -> Option<Server> {
        let program = ["/usr/sbin/mariadbd", "/usr/bin/mariadbd", "/usr/local/sbin/mariadbd"];
        let Some(program) = program.into_iter().find(|path| Path::new(path).exists()) else {
            eprintln!("SKIPPED: mariadbd is not installed; nothing was checked");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        // not the common one: a server that starts deletes the temporary tables that it finds there, also those of another
        // server, and that one may die of it
        let temporary = folder.path().join("tmp");
        std::fs::create_dir(&temporary).unwrap();
        // making a data folder takes all that a small machine has
        let one = MAKING.lock().await;
        let install = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--tmpdir={}", temporary.display()))
            .arg("--user=root")
            .output()
            .unwrap();
        assert!(install.status.success(), "mariadb-install-db failed: {install:?}");
        drop(one);
        let port = ports::free_port();
        let process = Command::new(program)
            .args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1", "--log-bin=bin"])
            .args(["--binlog-format=ROW", "--innodb-buffer-pool-size=64M"])
            .args(["--innodb-flush-log-at-trx-commit=0"])
            .arg(format!("--tmpdir={}", temporary.display()))
            .arg(format!("--server-id={number}"))
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--socket={}", folder.path().join("s").display()))
            .arg(format!("--port={port}"))
            .args(options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let target = format!("mysql://root@127.0.0.1:{port}?name=maria{number}").parse().unwrap();
        let server = Server { process, target, _folder: folder };
        for _ in 0..START_MS / POLL_MS {
            if Connection::connect(&server.target, None, &Options::default()).await.is_ok() {
                return Some(server);
            }
            tokio::time::sleep(Duration::from_millis(POLL_MS)).await;
        }
        panic!("mariadbd does not answer");
    }
}
