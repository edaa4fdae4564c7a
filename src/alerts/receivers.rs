//! The other side, for tests: a web server and a mail server that take down what they are told, and answer as they are told to;
//! with TLS if they are given a certificate.

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A server that hangs lets go after this; every test is over by then.
const HANG: Duration = Duration::from_secs(20);

/// How one request is answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// With this code, these headers and this body.
    Says(u16, String, String),
    /// Not at all.
    Hangs,
    /// A byte now and then, and never an end.
    Drips,
    /// With the beginning of an answer.
    BreaksOff,
    /// With this code and a body that has no end.
    Endless(u16),
}

impl Answer {
    /// All is well.
    pub fn ok() -> Answer {
        Answer::says(200, "ok")
    }

    /// A code and a body.
    pub fn says(code: u16, body: &str) -> Answer {
        Answer::Says(code, String::new(), body.into())
    }

    /// A code and a header line.
    pub fn with(code: u16, header: &str) -> Answer {
        Answer::Says(code, format!("{header}\r\n"), String::new())
    }
}

/// What was asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method, path and version.
    pub line: String,
    /// The headers, as they came.
    pub headers: Vec<String>,
    /// The body.
    pub body: String,
}

impl Request {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let same = |line: &&String| line.split(':').next().is_some_and(|n| n.eq_ignore_ascii_case(name));
        self.headers.iter().find(same).and_then(|line| line.split_once(": ")).map(|(_, value)| value)
    }
}

/// A certificate for `localhost`, and the authority that vouches for it, as text.
pub fn certificate() -> (Arc<ServerConfig>, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    (Arc::new(config), made.cert.pem())
}

fn encrypted(stream: TcpStream, tls: &Arc<ServerConfig>) -> StreamOwned<ServerConnection, TcpStream> {
    StreamOwned::new(ServerConnection::new(Arc::clone(tls)).unwrap(), stream)
}

/// A web server.
pub struct Receiver {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    /// Starts one that gives these answers, one each; what comes after the last is not answered.
    pub fn start(answers: Vec<Answer>) -> Receiver {
        Receiver::encrypted(answers, None)
    }

    /// The same, with TLS if there is a certificate.
    pub fn encrypted(answers: Vec<Answer>, tls: Option<Arc<ServerConfig>>) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&requests);
        std::thread::spawn(move || {
            for answer in answers {
                let Ok((stream, _)) = listener.accept() else { return };
                let (taken, tls) = (Arc::clone(&taken), tls.clone());
                std::thread::spawn(move || {
                    // a client that has gone away is not served
                    let _ = match tls {
                        Some(tls) => serve(encrypted(stream, &tls), &answer, &taken),
                        None => serve(stream, &answer, &taken),
                    };
                });
            }
        });
        Receiver { port, requests }
    }

    /// An address on it.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What was asked until now.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(stream: impl Read + Write, answer: &Answer, taken: &Mutex<Vec<Request>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        lines.read_line(&mut line)?;
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let line = head.remove(0);
    let mut request = Request { line, headers: head, body: String::new() };
    let length = request.header("Content-Length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    lines.read_exact(&mut body)?;
    request.body = String::from_utf8(body).unwrap();
    taken.lock().unwrap().push(request);
    let stream = lines.get_mut();
    match answer {
        Answer::Says(code, headers, body) => {
            let length = body.len();
            write!(stream, "HTTP/1.1 {code} Word\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
        }
        Answer::Hangs => {
            std::thread::sleep(HANG);
            Ok(())
        }
        Answer::Drips => {
            write!(stream, "HTTP/1.1 200 OK\r\nX-Slow: ")?;
            for _ in 0..HANG.as_millis() / 50 {
                std::thread::sleep(Duration::from_millis(50));
                stream.write_all(b"x")?;
            }
            Ok(())
        }
        Answer::BreaksOff => write!(stream, "HTTP/1.1 200 OK\r\nContent-Le"),
        Answer::Endless(code) => {
            write!(stream, "HTTP/1.1 {code} Word\r\nContent-Length: 99999999999\r\n\r\n")?;
            loop {
                stream.write_all(&[b'z'; 4096])?;
            }
        }
    }
}

/// How a mail server answers a line that begins so.
type Rules = &'static [(&'static str, &'static str)];

/// A mail server.
pub struct MailServer {
    port: u16,
    lines: Arc<Mutex<Vec<String>>>,
}

impl MailServer {
    /// Starts one for one mail; each rule says how to answer a line that begins so, and all else is taken. An empty answer is
    /// none at all.
    pub fn start(rules: Rules) -> MailServer {
        MailServer::serving(move |stream, taken| converse(stream, b"220 here\r\n", rules, taken))
    }

    /// Starts one that speaks TLS from the first byte.
    pub fn encrypted(tls: Arc<ServerConfig>) -> MailServer {
        MailServer::serving(move |stream, taken| {
            converse(encrypted(stream, &tls), b"220 here\r\n", &[], taken)
        })
    }

    /// Starts one that speaks TLS once it is asked to.
    pub fn upgrading(tls: Arc<ServerConfig>) -> MailServer {
        MailServer::serving(move |mut stream, taken| {
            let mut words = BufReader::new(stream.try_clone()?).lines();
            for answer in ["220 here\r\n", "250-here\r\n250 STARTTLS\r\n", "220 go on\r\n"] {
                stream.write_all(answer.as_bytes())?;
                if !answer.contains("go on") {
                    taken.lock().unwrap().extend(words.next().transpose()?);
                }
            }
            converse(encrypted(stream, &tls), b"", &[], taken)
        })
    }

    fn serving(
        serve: impl FnOnce(TcpStream, &Mutex<Vec<String>>) -> std::io::Result<()> + Send + 'static,
    ) -> MailServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&lines);
        std::thread::spawn(move || {
            let Ok((stream, _)) = listener.accept() else { return };
            // a client that has gone away is not served
            let _ = serve(stream, &taken);
        });
        MailServer { port, lines }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it was told, line by line.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

fn converse(
    stream: impl Read + Write,
    greeting: &[u8],
    rules: Rules,
    taken: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.get_mut().write_all(greeting)?;
    let mut inside = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let line = line.trim_end_matches(['\r', '\n']).to_owned();
        taken.lock().unwrap().push(line.clone());
        let rule = rules.iter().find(|(start, _)| line.starts_with(start)).map(|(_, answer)| *answer);
        let usual = match line.as_str() {
            "." if inside => {
                inside = false;
                "250 taken"
            }
            _ if inside => continue,
            "DATA" => "354 go on",
            line if line.starts_with("EHLO") => "250-here\r\n250 AUTH PLAIN LOGIN",
            line if line.starts_with("AUTH") => "235 welcome",
            "QUIT" => "221 bye",
            _ => "250 fine",
        };
        let answer = rule.unwrap_or(usual);
        if answer.is_empty() {
            std::thread::sleep(HANG);
        }
        inside = inside || answer.starts_with("354");
        write!(stream.get_mut(), "{answer}\r\n")?;
        stream.get_mut().flush()?;
    }
}
