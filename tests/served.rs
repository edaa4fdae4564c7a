//! `evensum serve` as a process, with verbs for what people and machines do to it: ask, kill, stop, hang up, start again.
//!
//! ```text
//! let cluster = Cluster::start(2);
//! let mut served = Served::start(&cluster, Said { serve: "look_every = \"1s\"\n", ..Said::default() });
//! let run = served.post("/api/v1/runs", &json!({})).accepted();
//! let ended = served.until_ended(&run);
//! served.kill();
//! served.restart();
//! ```
//!
//! It shares its state folder with [`Cluster::evensum`]. Requests go over a plain socket, one connection each, so that a test can send
//! what no client would: [`Ask`] says every header itself, and [`Served::exchange`] takes bytes.
//!
//! Invariant: the process is killed by its own handle when this is dropped.

use crate::cluster::{Cluster, POLL, WAIT};
use crate::ports::free_port;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The password of every account that is made here.
pub const PASSWORD: &str = "correct horse battery staple";
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(40);

/// What a service is told beside its nodes and where to listen.
#[derive(Clone, Copy, Default)]
pub struct Said<'a> {
    /// Lines of `[serve]`.
    pub serve: &'a str,
    /// Other tables.
    pub more: &'a str,
    /// What its environment says.
    pub environment: &'a [(&'a str, &'a str)],
    /// The password of the first account, [`PASSWORD`] unless said.
    pub password: Option<&'a str>,
}

/// A service that runs, with an account `admin` of that role.
pub struct Served {
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
    environment: Vec<(String, String)>,
    /// A token of `admin`.
    pub token: String,
}

/// A request, all of it.
#[derive(Clone)]
pub struct Ask {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Ask {
    /// A request without headers but for the host, which [`Served::ask`] adds if there is none.
    pub fn new(method: &str, target: &str) -> Ask {
        Ask { method: method.into(), target: target.into(), headers: Vec::new(), body: Vec::new() }
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: &str) -> Ask {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// By who has this token.
    pub fn token(self, token: &str) -> Ask {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// By who has this session.
    pub fn session(self, session: &str) -> Ask {
        self.header("Cookie", &format!("evensum_session={session}"))
    }

    /// With the header of what changes something.
    pub fn ours(self) -> Ask {
        self.header("X-Evensum-Request", "1")
    }

    /// With a document.
    pub fn json(self, document: &Value) -> Ask {
        self.body(document.to_string().as_bytes()).header("Content-Type", "application/json")
    }

    /// With these bytes as its body.
    pub fn body(mut self, bytes: &[u8]) -> Ask {
        self.body = bytes.to_vec();
        self
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
    }

    /// As it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        self.headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
        if !self.has("Content-Length") && (!self.body.is_empty() || self.method == "POST") {
            text.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        text.push_str("Connection: close\r\n\r\n");
        [text.into_bytes(), self.body.clone()].concat()
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads an answer from what came over the wire; status 0 where that is none.
    pub fn parse(bytes: &[u8]) -> Answer {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(bytes.len());
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
        let header = |line: &str| {
            line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        };
        let body = bytes.get(end + 4..).unwrap_or_default().to_vec();
        Answer { status, headers: lines.filter_map(header).collect(), body }
    }

    /// The value of a header; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Its document.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Its document, if it has this status.
    pub fn of(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    /// The run that was asked for.
    pub fn accepted(&self) -> String {
        let run = self.of(202)["run"].as_str().unwrap().to_owned();
        assert_eq!(self.header("location"), format!("/api/v1/runs/{run}"));
        run
    }

    /// The session of its cookie.
    pub fn session(&self) -> String {
        let cookie = self.header("set-cookie");
        let value = cookie.strip_prefix("evensum_session=").unwrap_or_else(|| panic!("{self:?}"));
        value.split(';').next().unwrap().to_owned()
    }
}

impl Served {
    /// Serves a cluster, and makes the first account.
    pub fn start(cluster: &Cluster, said: Said<'_>) -> Served {
        let nodes = std::fs::read_to_string(cluster.path("evensum.toml")).unwrap();
        let mut served = Served::begin(cluster.folder(), &nodes, said);
        served.token = served.first_account(said.password.unwrap_or(PASSWORD));
        served
    }

    /// Serves nodes that are not there, and makes the first account: for what needs none.
    pub fn alone(folder: &Path, said: Said<'_>) -> Served {
        let mut served = Served::begin(folder, NOWHERE, said);
        served.token = served.first_account(said.password.unwrap_or(PASSWORD));
        served
    }

    /// Serves without an account.
    pub fn begin(folder: &Path, nodes: &str, said: Said<'_>) -> Served {
        let port = free_port();
        let listen = match said.serve.contains("listen =") {
            true => String::new(),
            false => format!("listen = \"127.0.0.1:{port}\"\n"),
        };
        let text = format!("{nodes}\n{}\n[serve]\n{listen}{}", said.more, said.serve);
        std::fs::write(folder.join("serve.toml"), text).unwrap();
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment = said.environment.iter().map(own).collect();
        let (folder, token) = (folder.to_owned(), String::new());
        let mut served = Served { folder, port, child: None, environment, token };
        served.restart();
        served
    }

    /// Starts it where it does not run, and waits until it says where it listens.
    pub fn restart(&mut self) {
        let before = self.said().len();
        let log = std::fs::File::options().create(true).append(true).open(self.log()).unwrap();
        self.child = Some(self.command().stdin(Stdio::null()).stderr(log).spawn().unwrap());
        let start = Instant::now();
        while !self.said()[before..].contains("evensum: serving cluster") {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the service ended: {ended:?}: {}", &self.said()[before..]);
            assert!(start.elapsed() < WAIT, "{}", self.said());
            std::thread::sleep(POLL);
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_evensum"));
        command.args(["serve", "--config"]).arg(self.configuration());
        command.env("EVENSUM_STATE", self.state()).env("HOME", &self.folder);
        for name in
            ["EVENSUM_CONFIG", "EVENSUM_PASSWORD", "EVENSUM_PASSWORD_FILE", "HTTPS_PROXY", "HTTP_PROXY"]
        {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// `serve.toml`; a change is taken in by [`Served::hang_up`].
    pub fn configuration(&self) -> PathBuf {
        self.folder.join("serve.toml")
    }

    /// The state folder.
    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("serve.log")
    }

    /// All that it said on stderr, over all its lives.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// Waits until it says this after the first `after` bytes.
    pub fn until_said(&self, after: usize, words: &str) {
        let start = Instant::now();
        while !self.said()[after..].contains(words) {
            assert!(start.elapsed() < WAIT, "it never said '{words}': {}", &self.said()[after..]);
            std::thread::sleep(POLL);
        }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The name by which it is asked for.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.child.as_ref().unwrap().id()).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// SIGTERM; how it ended.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.child.take().unwrap().wait().unwrap()
    }

    /// SIGHUP: it reads its configuration again.
    pub fn hang_up(&self) {
        self.signal(rustix::process::Signal::HUP);
    }
}

/// Two nodes that nobody is.
pub const NOWHERE: &str = "[cluster]\nname = \"nowhere\"\nnodes = [{ url = \"mysql://root@127.0.0.1:1\", name = \"n1\" }, \
     { url = \"mysql://root@127.0.0.1:2\", name = \"n2\" }]\n";

/// Asking.
impl Served {
    /// Sends bytes, and reads until the other side has ended.
    pub fn exchange(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(ANSWER)).unwrap();
        // who is refused early may be hung up on before all is sent
        let _ = stream.write_all(bytes);
        let mut all = Vec::new();
        let mut buffer = [0; 16 << 10];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            all.extend(&buffer[..length]);
        }
        all
    }

    /// Asks; by the service's own name unless the request says one.
    pub fn ask(&self, ask: &Ask) -> Answer {
        let bytes = match ask.has("Host") {
            true => ask.bytes(),
            false => ask.clone().header("Host", &self.host()).bytes(),
        };
        Answer::parse(&self.exchange(&bytes))
    }

    /// As `admin`.
    pub fn get(&self, path: &str) -> Answer {
        self.ask(&Ask::new("GET", path).token(&self.token))
    }

    /// As `admin`.
    pub fn post(&self, path: &str, document: &Value) -> Answer {
        self.ask(&Ask::new("POST", path).token(&self.token).ours().json(document))
    }

    /// As `admin`.
    pub fn delete(&self, path: &str) -> Answer {
        self.ask(&Ask::new("DELETE", path).token(&self.token).ours())
    }

    /// The token that it said when it began without an account.
    pub fn first_token(&self) -> String {
        self.until_said(0, "/setup?token=");
        // the line may be half written
        let start = Instant::now();
        loop {
            let said = self.said();
            let (_, rest) = said.rsplit_once("/setup?token=").unwrap();
            if let Some((token, _)) = rest.split_once('\n') {
                return token.to_owned();
            }
            assert!(start.elapsed() < WAIT, "{said}");
            std::thread::sleep(POLL);
        }
    }

    /// Makes the account `admin` by the token of the first start; a token of it.
    fn first_account(&self, password: &str) -> String {
        let fields = json!({ "token": self.first_token(), "name": "admin", "password": password });
        let answer = self.ask(&Ask::new("POST", "/api/v1/setup").ours().json(&fields));
        answer.of(201);
        self.token_of(&answer.session())
    }

    /// A token of who has this session.
    pub fn token_of(&self, session: &str) -> String {
        let ask = Ask::new("POST", "/api/v1/tokens").session(session).ours().json(&json!({}));
        self.ask(&ask).of(201)["token"].as_str().unwrap().to_owned()
    }

    /// Makes an account.
    pub fn account(&self, name: &str, role: &str, password: &str) {
        self.post("/api/v1/accounts", &json!({ "name": name, "role": role, "password": password })).of(201);
    }

    /// Tries to log in.
    pub fn log_in(&self, name: &str, password: &str) -> Answer {
        let fields = json!({ "name": name, "password": password });
        self.ask(&Ask::new("POST", "/api/v1/session").ours().json(&fields))
    }

    /// Asks as `admin` until the answer is as it should be.
    pub fn until(&self, path: &str, right: impl Fn(&Answer) -> bool) -> Answer {
        let start = Instant::now();
        loop {
            let answer = self.get(path);
            if right(&answer) {
                return answer;
            }
            assert!(start.elapsed() < WAIT, "{path}: {} {}; {}", answer.status, answer.text(), self.said());
            std::thread::sleep(POLL);
        }
    }

    /// Waits until a run has ended; its document.
    pub fn until_ended(&self, run: &str) -> Value {
        let ended = |answer: &Answer| answer.status == 200 && answer.json()["finished"].is_string();
        self.until(&format!("/api/v1/runs/{run}"), ended).json()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.kill();
    }
}
