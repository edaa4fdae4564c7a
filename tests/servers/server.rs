//! One real server as a process: a fresh data folder, a free port on 127.0.0.1, an end by its own handle.
//!
//! Making a data folder takes longer than all else, so one is made for each version and kept beside the build; a server begins
//! with a copy. `root` has no password, and comes from 127.0.0.1 alone.
//!
//! Invariant: a process that was started here is killed by its own handle.

use crate::cluster::{Session, WAIT};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One data folder is made at a time.
static MAKING: Mutex<()> = Mutex::new(());

/// Where a server's program is looked for.
const MARIADB: [&str; 3] = ["/usr/sbin/mariadbd", "/usr/bin/mariadbd", "/usr/local/sbin/mariadbd"];

const MYSQL: [&str; 3] = ["/usr/sbin/mysqld", "/usr/local/mysql/bin/mysqld", "/opt/mysql/bin/mysqld"];

/// What all servers are told: as small as they get, and no waiting for disks; but what is committed outlives the process.
const SMALL: [&str; 6] = [
    "--innodb-buffer-pool-size=64M",
    "--innodb-flush-log-at-trx-commit=2",
    "--sync-binlog=0",
    "--skip-name-resolve",
    "--bind-address=127.0.0.1",
    "--character-set-server=utf8mb4",
];

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    MariaDb,
    MySql,
}

/// A program that can be started as a server.
#[derive(Clone, Debug)]
pub struct Program {
    /// Whose it is.
    pub make: Make,
    /// The words before the options.
    words: Vec<String>,
    /// What this program in particular is told.
    options: Vec<String>,
}

impl Program {
    /// Debian's MariaDB, if it is installed.
    pub fn mariadb() -> Option<Program> {
        let Some(path) = MARIADB.into_iter().find(|path| Path::new(path).exists()) else {
            eprintln!("SKIPPED: mariadbd is not installed; nothing was checked");
            return None;
        };
        let options = ["--innodb-log-file-size=16M", "--slave-net-timeout=10"];
        let options = options.map(str::to_owned).to_vec();
        Some(Program { make: Make::MariaDb, words: vec![path.to_owned()], options })
    }

    /// MySQL, where it is installed, or where a server is unpacked into a folder that `EVENSUM_TEST_MYSQL_ROOT` names, with
    /// the libraries that it needs.
    pub fn mysql() -> Option<Program> {
        let (root, words) = match std::env::var("EVENSUM_TEST_MYSQL_ROOT") {
            Ok(root) => {
                let loader = format!("{root}/usr/lib64/ld-linux-x86-64.so.2");
                let server = format!("{root}/usr/sbin/mysqld");
                assert!(Path::new(&server).exists(), "EVENSUM_TEST_MYSQL_ROOT holds no usr/sbin/mysqld");
                let libraries = format!("{root}/usr/lib/x86_64-linux-gnu");
                let through = vec![loader.clone(), "--library-path".into(), libraries, server.clone()];
                (root, if Path::new(&loader).exists() { through } else { vec![server] })
            }
            Err(_) => {
                let installed = MYSQL.into_iter().find(|path| {
                    version(&[(*path).to_owned()]).is_some_and(
                        // MariaDB answers to this name too
                        |version| !version.contains("MariaDB"),
                    )
                });
                (String::new(), vec![installed.or_else(missing_mysql)?.to_owned()])
            }
        };
        let mut options: Vec<String> =
            ["--mysqlx=OFF", "--innodb-redo-log-capacity=16M", "--secure-file-priv=NULL"]
                .map(str::to_owned)
                .to_vec();
        if !root.is_empty() {
            options.push(format!("--lc-messages-dir={root}/usr/share/mysql"));
            options.push(format!("--character-sets-dir={root}/usr/share/mysql/charsets"));
            options.push(format!("--plugin-dir={root}/usr/lib/mysql/plugin"));
        }
        Some(Program { make: Make::MySql, words, options })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).arg("--no-defaults").arg("--user=root").args(&self.options);
        command
    }

    /// A data folder as it is before the first start; made once for each version.
    fn template(&self) -> PathBuf {
        let _one = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        let version: Vec<char> = version(&self.words)
            .unwrap_or_default()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' })
            .collect();
        let templates = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let name: String = version[version.len().saturating_sub(100)..].iter().collect();
        let template = templates.join(name);
        if !template.exists() {
            let making = tempfile::tempdir_in(templates).unwrap();
            self.initialize(making.path());
            std::fs::rename(making.keep(), &template).unwrap();
        }
        template
    }

    fn initialize(&self, data: &Path) {
        if self.make == Make::MySql {
            return self.initialize_mysql(data);
        }
        let temporary = tempfile::tempdir().unwrap();
        let status = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .args(["--user=root", "--skip-name-resolve", "--innodb-log-file-size=16M"])
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--tmpdir={}", temporary.path().display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "mariadb-install-db failed");
    }

    fn initialize_mysql(&self, data: &Path) {
        let users = tempfile::NamedTempFile::new().unwrap();
        let sql = "CREATE USER root@'127.0.0.1';\nGRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n";
        std::fs::write(users.path(), sql).unwrap();
        let said = self
            .command()
            .arg("--initialize-insecure")
            .arg(format!("--init-file={}", users.path().display()))
            .arg(format!("--datadir={}", data.display()))
            .output()
            .unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        // each server makes its own
        std::fs::remove_file(data.join("auto.cnf")).unwrap();
    }
}

/// What a program says of its version; nothing if it does not run.
fn version(words: &[String]) -> Option<String> {
    let said = Command::new(&words[0]).args(&words[1..]).arg("--version").output().ok()?;
    Some(String::from_utf8_lossy(&said.stdout).into_owned())
}

fn missing_mysql() -> Option<&'static str> {
    eprintln!(
        "SKIPPED: no MySQL server is installed, and EVENSUM_TEST_MYSQL_ROOT names no folder with one; nothing was checked"
    );
    None
}

/// A server that runs.
pub struct Server {
    /// Where it listens.
    pub port: u16,
    log: PathBuf,
    command: Command,
    child: Child,
}

impl Server {
    /// Starts a server whose files are `folder/name`, and does not wait for it.
    pub fn start(program: &Program, folder: &Path, name: &str, port: u16, more: &[String]) -> Server {
        let data = folder.join(name);
        let copied = Command::new("cp").arg("-r").arg(program.template()).arg(&data).status().unwrap();
        assert!(copied.success());
        Server::start_in(program, folder, name, port, more)
    }

    /// The same with what is in its data folder already.
    pub fn start_in(program: &Program, folder: &Path, name: &str, port: u16, more: &[String]) -> Server {
        let data = folder.join(name);
        let log = folder.join(format!("{name}.log"));
        // not the common one: a server that starts deletes the temporary tables that it finds there, also those of another
        // server, and that one may die of it
        let temporary = folder.join(format!("{name}.tmp"));
        std::fs::create_dir_all(&temporary).unwrap();
        let mut command = program.command();
        command
            .args(SMALL)
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--tmpdir={}", temporary.display()))
            .arg(format!("--socket={}", folder.join(format!("{name}.s")).display()))
            .arg(format!("--log-error={}", log.display()))
            .arg(format!("--port={port}"))
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().unwrap();
        Server { port, log, command, child }
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until it has ended by itself.
    pub fn ended(&mut self) {
        assert!(self.child.wait().unwrap().success());
    }

    /// Starts it again as it was, and does not wait for it.
    pub fn start_again(&mut self) {
        self.child = self.command.spawn().unwrap();
    }

    /// Waits until the server lets `root` in.
    pub fn ready(&mut self) {
        let start = Instant::now();
        loop {
            match Session::open(self.port, "root", "") {
                Ok(_) => return,
                Err(error) => {
                    let ended = self.child.try_wait().unwrap();
                    let log = || std::fs::read_to_string(&self.log).unwrap_or_default();
                    assert!(ended.is_none() && start.elapsed() < WAIT, "{error}, {ended:?}: {}", log());
                }
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
