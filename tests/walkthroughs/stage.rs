//! Two servers and somebody who types: bundled nodes or MariaDB, each with the my.cnf of the article, and the stock client.
//!
//! A server begins as one is before the article: no binary log, no server id. For each server one client stays open, as at a reader's
//! desk, because a lock ends with its session. Invariant: every process is ended by its own handle.

use super::terms::{self, Shown};
use crate::cluster::{Session, start_node};
use crate::ports::free_port;
use crate::servers::server::{Program, Server};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a server may take to be ready.
const START: Duration = Duration::from_secs(60);

/// Whose servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    Bundled,
    MariaDb,
}

/// A stock client that stays open.
struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    count: u32,
}

enum Running {
    No,
    Bundled(Child),
    MariaDb(Box<Server>),
}

struct Place {
    port: u16,
    options: String,
    running: Running,
    client: Option<Client>,
    shown: Option<Shown>,
}

pub struct Stage {
    make: Make,
    hosts: Vec<String>,
    recorded: bool,
    places: Vec<Place>,
    folder: TempDir,
    /// An interpreter that has the connector, if an article needs it.
    python: Option<PathBuf>,
}

impl Stage {
    /// Starts two servers as they are before the article.
    pub fn set(make: Make, hosts: &[String], recorded: bool, python: Option<PathBuf>) -> Stage {
        let place = |_: &String| Place {
            port: free_port(),
            options: "[mysqld]\n".to_owned(),
            running: Running::No,
            client: None,
            shown: None,
        };
        let places = hosts.iter().map(place).collect();
        let folder = tempfile::tempdir().unwrap();
        let mut stage = Stage { make, hosts: hosts.to_owned(), recorded, places, folder, python };
        for n in 1..=hosts.len() {
            stage.wrappers(n);
            stage.restart(n);
        }
        stage
    }

    pub fn make(&self) -> Make {
        self.make
    }

    fn ports(&self) -> Vec<u16> {
        self.places.iter().map(|place| place.port).collect()
    }

    fn home(&self, n: usize) -> PathBuf {
        self.folder.path().join(format!("desk{n}"))
    }

    /// The programs of the article, which find their server by themselves as they do on a server's own machine.
    fn wrappers(&self, n: usize) {
        let home = self.home(n);
        let bin = home.join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        let port = self.places[n - 1].port;
        let other = self.home(3 - n);
        let own = format!("--no-defaults --protocol=tcp --host=127.0.0.1 --port={port}");
        // -p asks for a password, and the answer is none
        let plain = "a=(); for x in \"$@\"; do [ \"$x\" = -p ] || a+=(\"$x\"); done";
        for (name, text) in [
            ("mysql", format!("{plain}; exec mariadb {own} \"${{a[@]}}\"")),
            ("mysqldump", format!("{plain}; exec mariadb-dump {own} \"${{a[@]}}\"")),
            ("scp", format!("cp \"$1\" {}/", other.display())),
            ("watch", "shift 2; exec bash -c \"$*\"".to_owned()),
        ] {
            let path = bin.join(name);
            std::fs::write(&path, format!("#!/bin/bash\n{text}\n")).unwrap();
            let status = Command::new("chmod").arg("755").arg(&path).status().unwrap();
            assert!(status.success());
        }
    }

    /// Writes my.cnf; the server is not restarted.
    pub fn configure(&mut self, n: usize, body: &str) -> String {
        self.places[n - 1].options = body.to_owned();
        String::new()
    }

    /// Stops a server.
    pub fn stop(&mut self, n: usize) -> String {
        let place = &mut self.places[n - 1];
        if let Some(mut client) = place.client.take() {
            let _ = client.child.kill();
            let _ = client.child.wait();
        }
        match std::mem::replace(&mut place.running, Running::No) {
            Running::No => {}
            Running::Bundled(mut child) => {
                drop(child.stdin.take());
                assert!(child.wait().unwrap().success());
            }
            Running::MariaDb(mut server) => {
                Session::open(place.port, "root", "").unwrap().run("SHUTDOWN").unwrap();
                server.ended();
            }
        }
        String::new()
    }

    /// Stops a server if it runs, and starts it with its my.cnf.
    pub fn restart(&mut self, n: usize) -> String {
        self.stop(n);
        let folder = self.folder.path().to_owned();
        let place = &mut self.places[n - 1];
        // what the article keeps in the system's folders is in one of ours
        let options =
            place.options.replace("/var/log/mysql", &folder.join(format!("log{n}")).display().to_string());
        std::fs::create_dir_all(folder.join(format!("log{n}"))).unwrap();
        place.running = match self.make {
            Make::Bundled => Running::Bundled(bundled(&folder, n, place.port, &options)),
            Make::MariaDb => Running::MariaDb(Box::new(mariadb(&folder, n, place.port, &options))),
        };
        String::new()
    }

    /// Types statements into the server's client.
    pub fn sql(&mut self, n: usize, body: &str) -> String {
        let mut text = terms::addresses(body, &self.hosts, &self.ports());
        if let Some(source) = self.hosts.iter().position(|host| body.contains(host.as_str()))
            && let Some(shown) = &self.places[source].shown
            && (self.recorded || self.make == Make::MariaDb)
        {
            text = terms::place(&text, shown);
        }
        let place = &mut self.places[n - 1];
        let port = place.port;
        let client = place.client.get_or_insert_with(|| Client::open(port));
        let printed = client.say(&text);
        if let Some(shown) = terms::shown(&printed) {
            place.shown = Some(shown);
        }
        terms::settled(&printed, &self.hosts, &self.ports(), &self.folder.path().display().to_string())
    }

    /// Types into the server's shell.
    pub fn shell(&mut self, n: usize, body: &str) -> String {
        let home = self.home(n);
        let text = body.replace("/tmp", &home.display().to_string());
        let path = format!("{}:{}", home.join("bin").display(), std::env::var("PATH").unwrap_or_default());
        let said =
            Command::new("bash").arg("-c").arg(&text).current_dir(&home).env("PATH", path).output().unwrap();
        let printed = [said.stdout, said.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        terms::settled(&printed, &self.hosts, &self.ports(), &self.folder.path().display().to_string())
    }

    /// Runs a Python program that connects to the servers.
    pub fn python(&self, body: &str) -> String {
        let mut program = body.to_owned();
        for (host, port) in self.hosts.iter().zip(self.ports()) {
            program = program.replace(&format!("\"{host}\""), &format!("\"127.0.0.1\", \"port\": {port}"));
        }
        let said = Command::new(self.python.as_ref().unwrap()).args(["-c", &program]).output().unwrap();
        String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned()
    }

    /// Runs `evensum` with both nodes behind what is typed, and says with which code it ended.
    pub fn evensum(&self, body: &str) -> String {
        let urls: Vec<String> =
            self.ports().iter().map(|port| format!("mysql://root@127.0.0.1:{port}")).collect();
        // a node without a name is called by its address
        let body = body.replace("PORT1", &self.ports()[0].to_string());
        let words: Vec<&str> =
            body.split_whitespace().skip(1).chain(urls.iter().map(String::as_str)).collect();
        let (code, out, err) = crate::commands::said(&crate::commands::evensum(self.folder.path(), &words));
        let verdict = out.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        match code {
            0 | 1 => format!("exit {code}\n"),
            _ => format!("exit {code}\n{verdict}\n{err}\n"),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for place in &mut self.places {
            if let Some(mut client) = place.client.take() {
                let _ = client.child.kill();
                let _ = client.child.wait();
            }
            if let Running::Bundled(child) = &mut place.running {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

impl Client {
    fn open(port: u16) -> Client {
        let command = format!(
            "exec mariadb --no-defaults --protocol=tcp --host=127.0.0.1 --port={port} --user=root --table --unbuffered \
             --force 2>&1"
        );
        let mut child = Command::new("bash")
            .args(["-c", &command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Client { child, input, output, count: 0 }
    }

    /// Types, and reads until what a last statement of ours prints.
    fn say(&mut self, text: &str) -> String {
        self.count += 1;
        let mark = format!("end of block {}", self.count);
        writeln!(self.input, "{}\nSELECT '{mark}' AS it\\G", text.trim_end()).unwrap();
        self.input.flush().unwrap();
        let (mut printed, mut last) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line).unwrap();
            assert!(read > 0, "the client ended: {printed}{last}");
            if line.trim_end() == format!("it: {mark}") {
                // the line before is the row of stars above it
                return printed;
            }
            printed.push_str(&std::mem::replace(&mut last, line));
        }
    }
}

fn bundled(folder: &Path, n: usize, port: u16, options: &str) -> Child {
    let path = folder.join(format!("my{n}.cnf"));
    let data = folder.join(format!("data{n}"));
    let own = format!("\n[mysqld]\nport = {port}\ndatadir = {}\n", data.display());
    std::fs::write(&path, format!("{options}{own}")).unwrap();
    start_node(&format!("--defaults-file={}", path.display()), &folder.join(format!("node{n}.log")))
}

fn mariadb(folder: &Path, n: usize, port: u16, options: &str) -> Server {
    let program = Program::mariadb().unwrap();
    let more: Vec<String> = options
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty() && !line.starts_with('['))
        .map(|line| match line.split_once('=') {
            Some((name, value)) => format!("--{}={}", name.trim(), value.trim()),
            None => format!("--{line}"),
        })
        .collect();
    let name = format!("data{n}");
    let mut server = match folder.join(&name).exists() {
        true => Server::start_in(&program, folder, &name, port, &more),
        false => Server::start(&program, folder, &name, port, &more),
    };
    let begun = Instant::now();
    server.ready();
    assert!(begun.elapsed() < START);
    server
}
