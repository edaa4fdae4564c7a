//! The other side, for tests: a web server and a mail server that take down what they are told, and answer as they are told to.

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

/// A web server.
pub struct Receiver {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    /// Starts one that gives these answers, one each; what comes after the last is not answered.
    pub fn start(answers: Vec<Answer>) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&requests);
        std::thread::spawn(move || {
            for answer in answers {
                let Ok((stream, _)) = listener.accept() else { return };
                let taken = Arc::clone(&taken);
                std::thread::spawn(move || {
                    // a client that has gone away is not served
                    let _ = serve(stream, &answer, &taken);
                });
            }
        });
        Receiver { port, requests }
    }

    /// An address on it.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What was asked until now.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, answer: &Answer, taken: &Mutex<Vec<Request>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?);
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

/// A mail server without encryption.
pub struct MailServer {
    port: u16,
    lines: Arc<Mutex<Vec<String>>>,
}

impl MailServer {
    /// Starts one for one mail; each rule says how to answer a line that begins so, and all else is taken. An empty answer is
    /// none at all.
    pub fn start(rules: &'static [(&'static str, &'static str)]) -> MailServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&lines);
        std::thread::spawn(move || {
            let Ok((stream, _)) = listener.accept() else { return };
            // a client that has gone away is not served
            let _ = converse(stream, rules, &taken);
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
    mut stream: TcpStream,
    rules: &[(&str, &str)],
    taken: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let lines = BufReader::new(stream.try_clone()?).lines();
    stream.write_all(b"220 here\r\n")?;
    let mut inside = false;
    for line in lines {
        let line = line?;
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
        write!(stream, "{answer}\r\n")?;
    }
    Ok(())
}
