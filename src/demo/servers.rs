//! The nodes of the demonstration: separate processes of this very program, in a folder that goes away.
//!
//! Invariant: no node outlives the demonstration unless it is to be kept. Each has a pipe as its standard input and stops
//! when that ends, so it ends even if the demonstration is killed; and what is started here is ended here by its own
//! handle, never by a name.

use crate::demo::client::{Client, SqlFailure};
use crate::error::Failure;
use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a node may take to be ready.
const READY_BOUND: Duration = Duration::from_secs(20);
/// How long a node may take to stop before it is killed.
const STOP_BOUND: Duration = Duration::from_secs(5);
/// How often a waiting loop looks again.
const POLL: Duration = Duration::from_millis(20);

/// One node.
#[derive(Debug)]
pub struct Server {
    /// `n1`, `n2`, …
    pub name: String,
    /// Where clients connect.
    pub address: SocketAddr,
    child: Child,
}

impl Server {
    /// Connects a client.
    pub async fn client(&self) -> Result<Client, SqlFailure> {
        Client::connect(self.address).await
    }

    /// The id of its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }
}

/// All nodes, and their folder.
#[derive(Debug)]
pub struct Servers {
    /// The nodes, in the order of the ring.
    pub list: Vec<Server>,
    /// Their folder.
    pub folder: PathBuf,
    kept: bool,
}

impl Servers {
    /// Makes the folder and starts the nodes; `told` hears of each command and its answer.
    pub async fn start(count: u8, keep: bool, told: &(dyn Fn(&str) + Sync)) -> Result<Servers, Failure> {
        let folder = std::env::temp_dir().join(format!("evensum-demo-{}", std::process::id()));
        private_folder(&folder)?;
        let mut servers = Servers { list: Vec::new(), folder, kept: false };
        for number in 1..=count {
            let config = servers.folder.join(format!("n{number}.toml"));
            write_config(&config, number, count, 0)?;
            told(&format!("evensum node --config {}", config.display()));
            let (mut child, stdout) = spawn(&config, &servers.folder, number, keep)?;
            let ready = match ready_line(stdout).await {
                Ok(ready) => ready,
                Err(failure) => {
                    end(&mut child);
                    let log = std::fs::read_to_string(servers.folder.join(format!("n{number}.log")));
                    return Err(Failure { advice: log.unwrap_or_default().trim().to_owned(), ..failure });
                }
            };
            told(&ready);
            let address = ready.rsplit(' ').next().and_then(|address| address.parse::<SocketAddr>().ok());
            let Some(address) = address else {
                end(&mut child);
                return Err(Failure::demo(format!("a node said '{ready}' instead of its address")));
            };
            // the port that it got, so that the same file starts it again
            write_config(&config, number, count, address.port())?;
            servers.list.push(Server { name: format!("n{number}"), address, child });
        }
        servers.write_cluster()?;
        Ok(servers)
    }

    /// The configuration with which evensum finds the nodes.
    pub fn config(&self) -> PathBuf {
        self.folder.join("evensum.toml")
    }

    fn write_cluster(&self) -> Result<(), Failure> {
        let mut text = format!(
            "state = \"{}\"\n\n[cluster]\nname = \"demo\"\nnodes = [\n",
            self.folder.join("state").display()
        );
        for server in &self.list {
            let _ = writeln!(
                text,
                "  {{ url = \"mysql://root@{}\", name = \"{}\" }},",
                server.address, server.name
            );
        }
        text.push_str("]\n");
        std::fs::write(self.config(), text).map_err(|error| unwritable(&self.config(), &error))
    }

    /// Leaves the nodes up.
    pub fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        for server in &mut self.list {
            // the end of its input tells it to stop
            drop(server.child.stdin.take());
        }
        for server in &mut self.list {
            let start = Instant::now();
            while start.elapsed() < STOP_BOUND && matches!(server.child.try_wait(), Ok(None)) {
                std::thread::sleep(POLL);
            }
            end(&mut server.child);
        }
        // a folder that cannot be removed is the system's to clean: it is in the temporary folder
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Kills a process if it still runs, and waits for it.
fn end(child: &mut Child) {
    if matches!(child.try_wait(), Ok(None)) {
        let _ = child.kill();
    }
    let _ = child.wait();
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::system(format!("cannot write {}: {error}", path.display()))
}

/// A new folder that only this user can read: nobody else may have put something there before.
fn private_folder(folder: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(folder).map_err(|error| unwritable(folder, &error))
}

fn write_config(path: &Path, number: u8, count: u8, port: u16) -> Result<(), Failure> {
    let datadir = path.with_extension("");
    let text = format!(
        "# a master of the demonstration\n\
         datadir = \"{}\"\nbind_address = \"127.0.0.1\"\nport = {port}\nserver_id = {number}\n\
         auto_increment_increment = {count}\nauto_increment_offset = {number}\n\
         innodb_flush_log_at_trx_commit = 2\n",
        datadir.display()
    );
    std::fs::write(path, text).map_err(|error| unwritable(path, &error))
}

fn spawn(config: &Path, folder: &Path, number: u8, keep: bool) -> Result<(Child, ChildStdout), Failure> {
    let log = folder.join(format!("n{number}.log"));
    let log = std::fs::File::create(&log).map_err(|error| unwritable(&log, &error))?;
    let mut command = Command::new(this_program()?);
    command.arg("node").arg("--config").arg(config);
    if keep {
        command.stdin(Stdio::null());
    } else {
        command.arg("--until-input-ends").stdin(Stdio::piped());
    }
    // a group of its own, so that Ctrl-C reaches the demonstration and not its nodes
    let child = command.stdout(Stdio::piped()).stderr(log).process_group(0).spawn();
    let mut child = child.map_err(|error| Failure::system(format!("cannot start a node: {error}")))?;
    match child.stdout.take() {
        Some(stdout) => Ok((child, stdout)),
        None => {
            end(&mut child);
            Err(Failure::system("a node has no output to read"))
        }
    }
}

/// The file of this very program.
pub fn this_program() -> Result<PathBuf, Failure> {
    std::env::current_exe()
        .map_err(|error| Failure::system(format!("cannot find this program's file: {error}")))
}

/// The one line that a node prints when it is ready.
async fn ready_line(stdout: ChildStdout) -> Result<String, Failure> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        let _ = sender.send(read.map(|bytes| (bytes > 0).then(|| line.trim().to_owned())));
    });
    match tokio::time::timeout(READY_BOUND, receiver).await {
        Ok(Ok(Ok(Some(line)))) => Ok(line),
        Ok(_) => Err(Failure::demo("a node ended before it was ready")),
        Err(_) => Err(Failure::demo(format!("a node was not ready within {} s", READY_BOUND.as_secs()))),
    }
}
