//! Passwords and secrets that would be known again, through all that a service does and all that goes wrong: none is ever seen where
//! somebody could read it.
//!
//! Looked through are what it says, all pages and answers, every byte of its state folder, the command lines of all processes while
//! it works, and the bodies that a receiver of alerts gets. Not looked through: its environment and the files that hold the secrets,
//! where they are meant to be.

use crate::cluster::Cluster;
use crate::served::{Answer, Ask, Said, Served};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What all of them have in common; split, so that this program's own files are not found.
const MARK: &str = concat!("can", "ary5e7d");
const NODE: &str = concat!("can", "ary5e7d-node");
const ACCOUNT: &str = concat!("can", "ary5e7d-account");

/// Where the mark stands in these bytes, with what is around it.
fn found(bytes: &[u8]) -> Option<String> {
    let at = bytes.windows(MARK.len()).position(|window| window == MARK.as_bytes())?;
    let around = &bytes[at.saturating_sub(120)..(at + 60).min(bytes.len())];
    Some(String::from_utf8_lossy(around).into_owned())
}

fn assert_absent(bytes: &[u8], place: &str) {
    if let Some(around) = found(bytes) {
        panic!("a secret stands in {place}: …{around}…");
    }
}

/// A receiver of alerts that fails, and repeats all that it was sent, headers and all.
struct Echo {
    port: u16,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Echo {
    fn start() -> Echo {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let bodies: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let kept = bodies.clone();
        // it ends with the tests
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
                let (mut all, mut buffer) = (Vec::new(), [0; 8 << 10]);
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    all.extend(&buffer[..length]);
                }
                let end = all.windows(4).position(|four| four == b"\r\n\r\n").map_or(all.len(), |at| at + 4);
                kept.lock().unwrap().push(all[end..].to_vec());
                // what is repeated is cut off, so the token comes first
                let text = String::from_utf8_lossy(&all).into_owned();
                let (first, rest): (Vec<&str>, Vec<&str>) =
                    text.lines().partition(|line| line.to_lowercase().starts_with("authorization:"));
                assert_eq!(first.len(), 1, "{text}");
                let all = [first, rest].concat().join("\r\n").into_bytes();
                let head =
                    format!("HTTP/1.1 500 No\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", all.len());
                let _ = stream.write_all(&[head.into_bytes(), all].concat());
            }
        });
        Echo { port, bodies }
    }
}

/// Reads the command lines of all processes until it is told to end; how many it read, and the first that tells.
fn watch_processes(end: Arc<AtomicBool>) -> std::thread::JoinHandle<(usize, Option<String>)> {
    std::thread::spawn(move || {
        let (mut count, mut told) = (0, None);
        while !end.load(Ordering::Relaxed) {
            for process in std::fs::read_dir("/proc").unwrap().flatten() {
                if let Ok(line) = std::fs::read(process.path().join("cmdline")) {
                    count += usize::from(line.windows(7).any(|window| window == b"evensum"));
                    told = told.or_else(|| found(&line));
                }
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        (count, told)
    })
}

fn secret_file(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Every file below a folder; how many bytes there were.
fn search(folder: &Path) -> usize {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            bytes += search(&path);
        } else {
            let all = std::fs::read(&path).unwrap();
            assert_absent(&all, &path.display().to_string());
            bytes += all.len();
        }
    }
    bytes
}

/// All that can be read by GET, as the one who may read most, and as nobody.
fn read_all(served: &Served, runs: &[String]) -> usize {
    let mut paths: Vec<String> = [
        "/",
        "/tables",
        "/tables/shop.orders",
        "/runs",
        "/schedules",
        "/alerts",
        "/account",
        "/audit",
        "/setup",
        "/metrics",
        "/readyz",
        "/health/n1",
        "/health/n2",
        "/api/v1/openapi.json",
        "/api/v1/session",
        "/api/v1/status",
        "/api/v1/nodes",
        "/api/v1/tables",
        "/api/v1/tables/shop.orders",
        "/api/v1/runs",
        "/api/v1/schedules",
        "/api/v1/alerts",
        "/api/v1/mutes",
        "/api/v1/audit?limit=1000",
        "/api/v1/accounts",
    ]
    .map(str::to_owned)
    .to_vec();
    for run in runs {
        paths.extend([format!("/runs/{run}"), format!("/api/v1/runs/{run}")]);
        paths.push(format!("/api/v1/runs/{run}/progress"));
    }
    for path in &paths {
        let answer = served.get(path);
        assert!(matches!(answer.status, 200 | 503), "{path}: {answer:?}");
        for answer in [answer, served.ask(&Ask::new("GET", path))] {
            assert_absent(&answer.body, path);
            assert_absent(format!("{:?}", answer.headers).as_bytes(), path);
        }
    }
    paths.len()
}

/// Checks, plans and repairs; the names of the runs.
fn mend(served: &Served) -> Vec<String> {
    let check = served.post("/api/v1/runs", &json!({})).accepted();
    assert_eq!(served.until_ended(&check)["status"], "different");
    let plan = served.post("/api/v1/repairs", &json!({ "run": check, "policy": "prefer=n1" })).accepted();
    assert_eq!(served.until_ended(&plan)["status"], "planned");
    let confirm = json!({ "confirm": "shop.orders" });
    let repair = served.post(&format!("/api/v1/repairs/{plan}/execute"), &confirm).accepted();
    served.until_ended(&repair);
    vec![check, plan, repair]
}

/// Passwords where they do not belong.
fn misplace(served: &Served) {
    let refused = |answer: Answer, what: &str| {
        assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
        assert_absent(&answer.body, what);
    };
    refused(served.log_in("admin", &format!("{ACCOUNT}?")), "a wrong password");
    refused(served.log_in(ACCOUNT, ACCOUNT), "a password as a name");
    refused(served.post("/api/v1/session", &json!({ "name": "a", ACCOUNT: "b" })), "a password as a field");
    refused(
        served.post("/api/v1/session", &json!({ "name": [ACCOUNT], "password": 1 })),
        "a password in a list",
    );
    let short = json!({ "name": format!("{ACCOUNT} "), "role": "viewer", "password": ACCOUNT });
    refused(served.post("/api/v1/accounts", &short), "an account that cannot be");
    let token = Ask::new("GET", "/api/v1/status").token(&format!("{MARK}-token"));
    refused(served.ask(&token), "a token that is none");
    let setup = json!({ "token": ACCOUNT, "name": "eve", "password": ACCOUNT });
    refused(served.post("/api/v1/setup", &setup), "a first token that is none");
}

#[test]
fn no_secret_is_ever_seen_where_somebody_could_read_it() {
    assert!(found(format!("x{NODE}").as_bytes()).is_some() && found(ACCOUNT.as_bytes()).is_some());
    let mut cluster = Cluster::with(2, NODE);
    cluster.run(1, "CREATE DATABASE shop");
    cluster.run(1, "CREATE TABLE shop.orders (id INT NOT NULL PRIMARY KEY, v VARCHAR(20))");
    cluster.run(1, "INSERT INTO shop.orders VALUES (1, 'one'), (2, 'two')");
    cluster.settle();
    cluster.corrupt(2, &["UPDATE shop.orders SET v = 'other' WHERE id = 2"]);
    let (echo, folder) = (Echo::start(), cluster.folder().to_owned());
    secret_file(&folder, "url", &format!("http://127.0.0.1:{}/{MARK}-path?key={MARK}-query\n", echo.port));
    secret_file(&folder, "token", &format!("{MARK}-token\n"));
    secret_file(&folder, "secret", &format!("{MARK}-secret\n"));
    let alert = "[[alert]]\ntype = \"webhook\"\nurl_file = \"url\"\ntoken_file = \"token\"\nsecret_file = \"secret\"\n";
    let said = Said {
        serve: "look_every = \"1s\"\n",
        more: alert,
        environment: &[("EVENSUM_PASSWORD", NODE)],
        password: Some(ACCOUNT),
    };
    let end = Arc::new(AtomicBool::new(false));
    let watch = watch_processes(end.clone());
    let mut served = Served::start(&cluster, said);
    let runs = mend(&served);
    let tested = served.post("/api/v1/alerts/test", &json!({})).of(200);
    let error = tested["sinks"][0]["error"].as_str().unwrap().to_owned();
    assert!(error.contains("answered 500"), "it did fail, and say what came back: {error}");
    assert!(error.contains("uthorization: Bearer ***"), "it repeated the token: {error}");
    assert_absent(error.as_bytes(), "what a receiver repeated");
    misplace(&served);

    let right = std::fs::read_to_string(served.configuration()).unwrap();
    let mut complaints = 0;
    for broken in [
        right.replace("mysql://root@", &format!("mysql://root:{NODE}@")),
        right.replace("url_file = \"url\"", &format!("url = \"ftp://u:{MARK}@h/{MARK}\"")),
        right.replace("token_file = \"token\"", &format!("token = \"{MARK}\"")),
        right.replace("[serve]", &format!("[serve]\npassword = \"{MARK}\"")),
        right.replace("[serve]", &format!("[serve]\nlisten \"{MARK}\"")),
    ] {
        assert_ne!(broken, right);
        std::fs::write(served.configuration(), broken).unwrap();
        let before = served.said().len();
        served.hang_up();
        served.until_said(before, "evensum: the configuration ");
        complaints += served.said()[before..].matches("the configuration before stays in use").count();
    }
    std::fs::write(served.configuration(), right).unwrap();
    assert_eq!(complaints, 5, "{}", served.said());

    // a node that is gone, and the service killed with its log as it was
    cluster.kill(2);
    let gone = |answer: &Answer| answer.json()["nodes"][1]["reachable"] == false;
    served.until("/api/v1/nodes", gone);
    let failed = served.post("/api/v1/runs", &json!({})).accepted();
    served.until_ended(&failed);
    let pages = read_all(&served, &[runs, vec![failed]].concat());
    served.kill();
    let bytes = search(&served.state());
    served.restart();
    assert_absent(served.said().as_bytes(), "what it said");
    assert!(served.terminate().code().is_some());
    let bytes = bytes + search(&served.state());
    end.store(true, Ordering::Relaxed);
    let (lines, told) = watch.join().unwrap();
    assert!(told.is_none(), "a secret stands in a command line: {told:?}");
    let bodies = echo.bodies.lock().unwrap();
    bodies.iter().for_each(|body| assert_absent(body, "what a receiver was sent"));
    println!("canary: {pages} pages, {bytes} bytes of state, {lines} command lines, {} bodies", bodies.len());
    assert!(pages > 25 && bytes > 10_000 && lines > 10 && !bodies.is_empty());
}
