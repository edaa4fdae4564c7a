//! A MariaDB that the test starts by itself on a free port of this machine, and ends again by its own handle.
//!
//! Where no `mariadbd` is installed there is none, and the test says so and checks nothing.

#[path = "../../../tests/ports.rs"]
mod ports;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Client;

const PROGRAMS: [&str; 3] = ["/usr/sbin/mariadbd", "/usr/bin/mariadbd", "/usr/local/sbin/mariadbd"];
/// How long it may take to start.
const START: Duration = Duration::from_secs(90);

pub struct Server {
    process: Child,
    pub address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Starts one with these options besides its own.
    pub fn start(options: &[&str]) -> Option<Server> {
        let Some(program) = PROGRAMS.into_iter().find(|path| Path::new(path).exists()) else {
            eprintln!("SKIPPED: mariadbd is not installed; nothing was checked");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let (data, temporary) = (folder.path().join("data"), folder.path().join("tmp"));
        std::fs::create_dir(&temporary).unwrap();
        let install = Command::new("mariadb-install-db")
            .args([
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--user=root",
            ])
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--tmpdir={}", temporary.display()))
            .output()
            .unwrap();
        assert!(install.status.success(), "mariadb-install-db failed: {install:?}");
        let port = ports::free_port();
        let process = Command::new(program)
            .args([
                "--no-defaults",
                "--user=root",
                "--bind-address=127.0.0.1",
                "--character-set-server=utf8mb4",
            ])
            .args(["--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0"])
            .arg(format!("--tmpdir={}", temporary.display()))
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--socket={}", folder.path().join("s").display()))
            .arg(format!("--port={port}"))
            .args(options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let server = Server { process, address, _folder: folder };
        let deadline = Instant::now() + START;
        while std::net::TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "mariadbd does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(server)
    }

    pub fn client(&self) -> Client {
        Client::root(self.address)
    }
}
