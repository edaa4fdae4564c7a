//! Requests that no browser sends: every answer has its headers, and nothing odd gets past the guard or is repeated.

use super::matrix::kept;
use crate::served::{Answer, Ask, PASSWORD, Said, Served};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

fn alone() -> (tempfile::TempDir, Served) {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::alone(folder.path(), Said::default());
    (folder, served)
}

#[test]
fn every_answer_says_what_a_browser_may_do_with_it() {
    let (_folder, served) = alone();
    let admin = |method: &str, path: &str| Ask::new(method, path).token(&served.token).ours();
    for (ask, status) in [
        (admin("GET", "/"), 200),
        (Ask::new("GET", "/"), 401),
        (Ask::new("GET", "/setup"), 200),
        (Ask::new("GET", "/assets/page.js"), 200),
        (Ask::new("GET", "/healthz"), 200),
        (admin("GET", "/api/v1/status"), 200),
        (Ask::new("GET", "/api/v1/status"), 401),
        (admin("POST", "/api/v1/status"), 405),
        (admin("GET", "/nothing"), 404),
        (admin("GET", "/api/v1/runs?limit=x"), 400),
        (admin("POST", "/api/v1/tokens").body(b"{"), 422),
        (Ask::new("GET", "/").header("Host", "evil.example"), 403),
    ] {
        let answer = served.ask(&ask);
        assert_eq!(answer.status, status, "{} {}", ask.method, ask.target);
        let policy = answer.header("content-security-policy");
        for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(part), "{} {}: {policy}", ask.method, ask.target);
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("access-control-allow-origin", ""),
        ] {
            assert_eq!(answer.header(name), value, "{} {}", ask.method, ask.target);
        }
        assert_eq!(answer.header("allow"), if status == 405 { "GET, HEAD" } else { "" });
    }
    let (get, head) = (served.get("/api/v1/nodes"), served.ask(&admin("HEAD", "/api/v1/nodes")));
    assert_eq!((head.status, head.body.len(), head.header("content-type")), (200, 0, "application/json"));
    assert!(!get.body.is_empty());
}

#[test]
fn a_body_that_is_too_long_or_broken_is_refused_and_never_repeated() {
    const CANARY: &str = "canary-in-a-body";
    let (_folder, served) = alone();
    let post =
        |path: &str, body: &[u8]| served.ask(&Ask::new("POST", path).token(&served.token).ours().body(body));
    let long = format!("{{\"name\":\"{}\",\"password\":\"x\"}}", CANARY.repeat(8_000));
    assert_eq!(post("/api/v1/session", long.as_bytes()).status, 413);
    let deep = "[".repeat(30_000);
    let mut refused = 0;
    for path in ["/api/v1/session", "/api/v1/accounts", "/api/v1/mutes", "/api/v1/runs", "/api/v1/tokens"] {
        for body in [
            format!("{{\"{CANARY}\":1}}"),
            format!("{{\"name\":\"a\",\"password\":{CANARY}}}"),
            format!("{{\"name\":\"a\",\"{CANARY}`, expected `x\":1}}"),
            format!("{{\"name\":[\"{CANARY}\"],\"tables\":\"{CANARY}\",\"pattern\":{{\"{CANARY}\":1}}}}"),
            format!("\"{CANARY}\""),
            format!("{{\"name\":\"{CANARY}"),
            format!("{{\"name\":\"a\",\"role\":\"{CANARY}\",\"password\":\"{PASSWORD}\"}}"),
            format!("{{\"name\":\"a\",\"name\":\"{CANARY}\"}}"),
            deep.clone(),
            format!("\u{feff}{CANARY}"),
        ] {
            let answer = post(path, body.as_bytes());
            assert_eq!(answer.status, 422, "{path} {}", &body[..body.len().min(80)]);
            assert!(!answer.text().contains(CANARY), "{path}: {}", answer.text());
            refused += 1;
        }
        assert_eq!(post(path, b"{\"name\":\"\xff\xfe\"}").status, 422, "{path}");
    }
    assert_eq!(refused, 50);
    assert!(!served.said().contains("canary"), "{}", served.said());
}

#[test]
fn no_way_of_writing_an_address_gets_past_the_guard() {
    let (_folder, served) = alone();
    for path in [
        "/api/v1/audit/",
        "//api/v1/audit",
        "/api/v1//audit",
        "/API/V1/AUDIT",
        "/api/v1/%61udit",
        "/api/v1%2Faudit",
        "/api/v1/audit%00",
        "/api/v1/audit;x=1",
        "/api/v1/runs/../audit",
        "/api/v1/./audit",
        "/healthz/../api/v1/audit",
        "/assets/..%2f..%2fapi%2fv1%2faudit",
        "/assets/..%2f..%2fserve.toml",
        "/assets/%2e%2e",
        "/health/../api/v1/audit",
        "/health/%2e%2e%2fapi%2fv1%2faudit",
        "/\\api\\v1\\audit",
    ] {
        let answer = served.ask(&Ask::new("GET", path));
        assert!(matches!(answer.status, 404 | 503), "{path}: {} {}", answer.status, answer.text());
        assert!(!answer.text().contains("\"lines\""), "{path}");
    }
    // names are data: of the database, of files, of the log
    for name in [
        "..%2F..%2Fserve.toml",
        "x%27%20OR%20%271%27%3D%271",
        "%00",
        "a%0Aevensum:%20forged",
        "%F0%9F%92%A9",
        &"x".repeat(5_000),
    ] {
        for path in [format!("/api/v1/runs/{name}"), format!("/api/v1/tables/{name}")] {
            assert_eq!(served.get(&path).status, 404, "{path}");
        }
        let audit = served.get("/api/v1/audit").json()["lines"][0]["id"].clone();
        for path in [format!("/api/v1/accounts/{name}"), format!("/api/v1/mutes/{name}")] {
            assert_eq!(served.delete(&path).status, 404, "{path}");
        }
        for path in [format!("/api/v1/runs/{name}/stop"), format!("/api/v1/schedules/{name}/resume")] {
            assert_eq!(served.post(&path, &json!({})).status, 404, "{path}");
        }
        assert_eq!(served.get("/api/v1/audit").json()["lines"][0]["id"], audit, "{name}");
    }
    for path in [
        "/api/v1/runs/%ff",
        "/api/v1/runs?limit=-1",
        "/api/v1/tables?offset=x",
        "/api/v1/audit?limit=1&limit=2",
    ] {
        let answer = served.get(path);
        assert_eq!((answer.status, answer.header("content-type")), (400, "application/json"), "{path}");
    }
    let most = u32::MAX;
    for path in [format!("/api/v1/tables?limit={most}&offset={most}"), format!("/api/v1/runs?limit={most}")] {
        served.get(&path).of(200);
    }
    let forged = served.said().lines().any(|line| line.starts_with("evensum: forged"));
    assert!(!forged, "{}", served.said());
}

#[test]
fn no_way_of_saying_the_host_gets_past_the_guard() {
    let (_folder, served) = alone();
    let (host, token) = (served.host(), &served.token);
    let status = |request: &str| {
        let request = request.replace("TOKEN", token).replace("HOST", &host);
        Answer::parse(&served.exchange(request.as_bytes())).status
    };
    let rest = "Authorization: Bearer TOKEN\r\nConnection: close\r\n\r\n";
    assert_eq!(status(&format!("GET /api/v1/status HTTP/1.1\r\nHost: HOST\r\n{rest}")), 200);
    assert_eq!(status(&format!("GET http://HOST/api/v1/status HTTP/1.1\r\nHost: HOST\r\n{rest}")), 200);
    for (head, refused) in [
        ("GET /api/v1/status HTTP/1.1\r\nHost: HOST\r\nHost: evil.example\r\n", 403),
        ("GET /api/v1/status HTTP/1.1\r\nHost: evil.example\r\nHost: HOST\r\n", 403),
        ("GET http://evil.example/api/v1/status HTTP/1.1\r\nHost: HOST\r\n", 403),
        ("GET http://HOST/api/v1/status HTTP/1.1\r\nHost: evil.example\r\n", 403),
        ("GET http://x@HOST/api/v1/status HTTP/1.1\r\nHost: HOST\r\n", 403),
        ("GET /api/v1/status HTTP/1.0\r\n", 403),
        ("GET /api/v1/status HTTP/1.1\r\n", 403),
        ("GET /api/v1/status HTTP/1.1\r\nHost: HOST.evil.example\r\n", 403),
        ("GET /api/v1/status HTTP/1.1\r\nHost:\r\n", 403),
        ("GET /api/v1/status HTTP/1.1\r\nHost: HOST\r\n folded: x\r\n", 400),
        ("GET /api/v1/status HTTP/1.1\r\nHost : HOST\r\n", 400),
    ] {
        assert_eq!(status(&format!("{head}{rest}")), refused, "{head}");
    }
    // a change with one good origin and one bad is a change from another page
    for more in [
        "Origin: http://HOST\r\nOrigin: http://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: http://HOST@evil.example\r\n",
        "Origin: http://HOST.evil.example\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site\r\n",
    ] {
        let head = format!("POST /api/v1/tokens HTTP/1.1\r\nHost: HOST\r\nX-Evensum-Request: 1\r\n{more}");
        assert_eq!(status(&format!("{head}Content-Length: 0\r\n{rest}")), 403, "{more}");
    }
    // two readings of where the body ends are refused, whatever stands behind
    let smuggled = "POST /api/v1/tokens HTTP/1.1\r\nHost: HOST\r\nX-Evensum-Request: 1\r\nContent-Length: 2\r\nContent-Length: 0\r\n";
    assert_eq!(status(&format!("{smuggled}{rest}{{}}")), 400);
    let huge = format!("GET /healthz HTTP/1.1\r\nHost: HOST\r\nX: {}\r\n{rest}", "x".repeat(1 << 20));
    assert!(matches!(status(&huge), 431 | 0), "{}", status(&huge));
    let many = format!("GET /healthz HTTP/1.1\r\nHost: HOST\r\n{}{rest}", "X: y\r\n".repeat(200));
    assert_eq!(status(&many), 431);
}

#[test]
fn what_cannot_be_written_down_is_not_done() {
    let folder = tempfile::tempdir().unwrap();
    let more = "[[schedule]]\nname = \"nightly\"\ncron = \"0 0 1 1 *\"\ncatch_up = \"none\"\n";
    let served = Served::alone(folder.path(), Said { more, ..Said::default() });
    served.account("ann", "viewer", PASSWORD);
    served.post("/api/v1/schedules/nightly/pause", &json!({ "why": "before" })).of(200);
    let mute = json!({ "pattern": "*", "reason": "before", "lasts": "1h" });
    let mute = served.post("/api/v1/mutes", &mute).of(201)["id"].clone();
    // as if the disk were full, for the audit log alone
    let file = rusqlite::Connection::open(served.state().join("runs.sqlite")).unwrap();
    file.execute_batch(
        "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    )
    .unwrap();
    let before = kept(&served);
    let ask = |method: &str, path: &str| Ask::new(method, path).token(&served.token).ours();
    let bob = json!({ "name": "bob", "role": "admin", "password": PASSWORD });
    let asks = [
        ask("POST", "/api/v1/accounts").json(&bob),
        ask("DELETE", "/api/v1/accounts/ann"),
        ask("POST", "/api/v1/tokens"),
        ask("POST", "/api/v1/session").json(&json!({ "name": "ann", "password": PASSWORD })),
        ask("POST", "/api/v1/runs"),
        ask("POST", "/api/v1/schedules/nightly/run"),
        ask("POST", "/api/v1/schedules/nightly/pause").json(&json!({ "why": "after" })),
        ask("POST", "/api/v1/schedules/nightly/resume"),
        ask("POST", "/api/v1/mutes").json(&json!({ "pattern": "*", "reason": "after", "lasts": "1h" })),
        ask("DELETE", &format!("/api/v1/mutes/{mute}")),
        ask("POST", "/api/v1/alerts/test"),
    ];
    for ask in &asks {
        let answer = served.ask(ask);
        assert_eq!(answer.status, 500, "{} {}: {}", ask.method, ask.target, answer.text());
        assert!(!answer.text().contains("runs.sqlite"), "{}", answer.text());
        assert_eq!(kept(&served), before, "{} {}", ask.method, ask.target);
    }
    assert_eq!(served.said().matches("disk full").count(), asks.len(), "{}", served.said());
    file.execute_batch("DROP TRIGGER full").unwrap();
    assert_eq!(served.ask(&asks[0]).status, 201);
}

#[test]
fn who_waits_for_the_state_keeps_nobody_else_waiting() {
    const WRITERS: usize = 8;
    let (_folder, served) = alone();
    let file = rusqlite::Connection::open(served.state().join("runs.sqlite")).unwrap();
    file.execute_batch("BEGIN IMMEDIATE").unwrap();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let write = || served.post("/api/v1/alerts/test", &json!({})).status;
        let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(write)).collect();
        std::thread::sleep(Duration::from_millis(500));
        for _ in 0..3 {
            assert_eq!(served.ask(&Ask::new("GET", "/healthz")).status, 200);
            served.get("/api/v1/status").of(200);
        }
        let waiting = writers.iter().filter(|writer| !writer.is_finished()).count();
        assert_eq!(waiting, WRITERS, "all of them wait while others are answered");
        file.execute_batch("ROLLBACK").unwrap();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    assert_eq!(statuses, [200; WRITERS], "and then they get what they asked for");
}

#[test]
fn names_are_taken_in_by_reading_the_configuration_again() {
    let (_folder, served) = alone();
    let asked = || served.ask(&Ask::new("GET", "/healthz").header("Host", "evensum.example")).status;
    assert_eq!(asked(), 403);
    let text = std::fs::read_to_string(served.configuration()).unwrap();
    std::fs::write(served.configuration(), format!("{text}hosts = [\"Evensum.example\"]\n")).unwrap();
    let before = served.said().len();
    served.hang_up();
    served.until_said(before, "the configuration was read again");
    assert_eq!(asked(), 200);
}

#[test]
fn many_who_say_nothing_keep_nobody_waiting() {
    const SILENT: usize = 300;
    let (_folder, served) = alone();
    let silent: Vec<TcpStream> = (0..SILENT)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", served.port())).unwrap();
            stream.write_all(b"GET /healthz HTTP/1.1\r\nX: ").unwrap();
            stream
        })
        .collect();
    assert_eq!(served.ask(&Ask::new("GET", "/healthz")).status, 200);
    served.get("/api/v1/status").of(200);
    let open = silent.iter().filter(|stream| {
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let read = (&mut &**stream).read(&mut [0; 1]);
        read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    });
    assert_eq!(open.count(), SILENT, "they were there all the time");
}
