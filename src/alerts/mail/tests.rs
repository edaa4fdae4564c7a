//! Mail against a real socket.

use super::super::notice::examples::{BEGAN_AT, ENDED_AT, divergence, told};
use super::super::receivers::{MailServer, certificate};
use super::super::sink::{Sink, SinkConfig, send};
use super::*;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

const CANARY: &str = "canary-5b1e";
/// The same as `AUTH PLAIN` sends it, after its two zero bytes and the user `me`.
const CANARY_CODED: &str = "AG1lAGNhbmFyeS01YjFl";

/// How a mail fares with a server.
fn mailed(server: &MailServer, more: &str, notification: &Notification) -> Result<(), SendError> {
    mailed_believing("", &format!("smtp = '127.0.0.1:{}'\n{more}", server.port()), notification)
}

/// The same with an authority in `ca.pem`.
fn mailed_believing(authority: &str, more: &str, notification: &Notification) -> Result<(), SendError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, CANARY).unwrap();
    std::fs::write(folder.path().join("ca.pem"), authority).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let config: SinkConfig = toml::from_str(&format!(
        "type = 'email'\nfrom = 'evensum <evensum@example.com>'\n\
         to = ['ann@example.com', 'Bob <bob@example.com>']\n{more}"
    ))
    .unwrap();
    let sink = Sink::resolve(&config, folder.path()).unwrap();
    assert!(!format!("{sink:?}").contains("canary"), "{sink:?}");
    let end = send(&sink, notification, ENDED_AT);
    if let Err(error) = &end {
        let text = format!("{error} {error:?}");
        assert!(!text.contains("canary") && !text.contains(CANARY_CODED), "{text}");
    }
    end
}

const PLAIN: &str = "tls = 'none'\ntimeout = '5s'";
const WITH_PASSWORD: &str = "tls = 'none'\nusername = 'me'\npassword_file = 'password'";

fn one() -> Notification {
    told(vec![divergence("shop.orders", true)])
}

fn later(end: Result<(), SendError>, why: &str) {
    assert!(matches!(&end, Err(SendError::Later { why: said, .. }) if said.contains(why)), "{end:?}");
}

fn never(end: Result<(), SendError>, why: &str) {
    assert!(matches!(&end, Err(SendError::Never { why: said }) if said.contains(why)), "{end:?}");
}

#[test]
fn a_mail_says_what_where_since_when_and_what_to_do() {
    let server = MailServer::start(&[]);
    mailed(&server, WITH_PASSWORD, &one()).unwrap();
    let lines = server.lines();
    let fingerprint = one().notices[0].fingerprint();
    let id = format!("evensum.{fingerprint}.{BEGAN_AT}");
    let expected = [
        "EHLO [127.0.0.1]".to_owned(),
        format!("AUTH PLAIN {CANARY_CODED}"),
        "MAIL FROM:<evensum@example.com>".into(),
        "RCPT TO:<ann@example.com>".into(),
        "RCPT TO:<bob@example.com>".into(),
        "DATA".into(),
        "From: evensum <evensum@example.com>".into(),
        "Subject: [FIRING:1] shop: MasterDataDivergence shop.orders".into(),
        "Date: Sat, 21 Nov 2026 01:00:00 +0000".into(),
        format!("Message-ID: <{id}.firing.{ENDED_AT}@example.com>"),
        format!("In-Reply-To: <{id}@example.com>"),
        format!("References: <{id}@example.com>"),
        "Auto-Submitted: auto-generated".into(),
        "To: ann@example.com, Bob <bob@example.com>".into(),
        "Content-Type: text/plain; charset=utf-8".into(),
        "Content-Transfer-Encoding: 7bit".into(),
        String::new(),
        "MasterDataDivergence (critical) since 2026-11-21T00:00:00Z".into(),
        "  3 rows of <orders> & more differ on a and b".into(),
        "  cluster: shop".into(),
        "  table: shop.orders".into(),
        "  command: evensum sync --config /etc/evensum.toml".into(),
        String::new(),
        "http://127.0.0.1:9188".into(),
        String::new(),
        ".".into(),
        "QUIT".into(),
    ];
    let lines: Vec<&String> = lines.iter().filter(|line| !line.starts_with("MIME-Version")).collect();
    assert_eq!(lines, expected.iter().collect::<Vec<_>>());
}

#[test]
fn what_is_resolved_answers_what_was_firing() {
    let mails = [true, false].map(|firing| {
        let server = MailServer::start(&[]);
        mailed(&server, PLAIN, &told(vec![divergence("shop.orders", firing)])).unwrap();
        server.lines()
    });
    let header = |mail: &[String], name: &str| mail.iter().find(|line| line.starts_with(name)).cloned();
    let [firing, resolved] = &mails;
    assert_eq!(header(firing, "References:"), header(resolved, "References:"));
    assert_eq!(header(firing, "In-Reply-To:"), header(resolved, "In-Reply-To:"));
    assert_ne!(header(firing, "Message-ID:"), header(resolved, "Message-ID:"));
    assert!(resolved.iter().any(|line| line.ends_with("  resolved 2026-11-21T01:00:00Z")), "{resolved:?}");
}

#[test]
fn no_text_becomes_a_header_a_recipient_or_an_end() {
    let mut notification = one();
    let evil = "x\r\nBcc: eve@example.com\r\n\r\n.\r\nMAIL FROM:<eve@example.com>";
    notification.cluster = evil.into();
    notification.notices[0].name = evil.into();
    for name in ["summary", "description"] {
        notification.notices[0].annotations.insert(name.into(), evil.into());
    }
    notification.notices[0].labels.insert("table".into(), evil.into());
    let server = MailServer::start(&[]);
    mailed(&server, PLAIN, &notification).unwrap();
    let lines = server.lines();
    let data = lines.iter().position(|line| line == "DATA").unwrap();
    let body = data + lines[data..].iter().position(String::is_empty).unwrap();
    assert!(!lines[data..body].iter().any(|line| line.starts_with("Bcc")), "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.starts_with("RCPT")).count(), 2);
    // a line of a lone dot would end the mail, and is sent as two
    assert_eq!(lines.iter().filter(|line| *line == ".").count(), 1);
    assert_eq!(lines.iter().position(|line| line == "."), Some(lines.len() - 2));
}

#[test]
fn a_server_that_is_busy_is_asked_later_and_one_that_refuses_is_not() {
    later(mailed(&MailServer::start(&[("MAIL", "451 busy")]), PLAIN, &one()), "busy");
    later(mailed(&MailServer::start(&[(".", "452 full")]), PLAIN, &one()), "full");
    later(mailed(&MailServer::start(&[("EHLO", "421 closing")]), PLAIN, &one()), "closing");
    never(mailed(&MailServer::start(&[("MAIL", "550 not you")]), PLAIN, &one()), "not you");
    never(mailed(&MailServer::start(&[("RCPT", "550 unknown")]), PLAIN, &one()), "unknown");
    later(
        mailed(&MailServer::start(&[("RCPT TO:<ann", "450 grey"), ("RCPT", "550 x")]), PLAIN, &one()),
        "grey",
    );
    let echoing = MailServer::start(&[("AUTH", "535 wrong: canary-5b1e AG1lAGNhbmFyeS01YjFl")]);
    never(mailed(&echoing, WITH_PASSWORD, &one()), "refused (535)");
}

#[test]
fn one_recipient_who_has_left_does_not_keep_the_others_from_being_told() {
    let server = MailServer::start(&[("RCPT TO:<ann", "550 unknown")]);
    mailed(&server, PLAIN, &one()).unwrap();
    assert!(server.lines().contains(&".".to_owned()));
}

#[test]
fn a_mail_that_was_taken_is_told_however_the_goodbye_ends() {
    mailed(&MailServer::start(&[("QUIT", "")]), PLAIN, &one()).unwrap();
    mailed(&MailServer::start(&[("QUIT", "500 what")]), PLAIN, &one()).unwrap();
}

#[test]
fn a_line_without_an_end_is_not_read_for_ever() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let smtp = format!("smtp = '{}'\n{PLAIN}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = 0_usize;
        // until the other side has had enough
        while let Ok(written) = std::io::Write::write(&mut stream, &[b'2'; 4096]) {
            bytes += written;
        }
        bytes
    });
    later(mailed_believing("", &smtp, &one()), "the answers have no end");
    // what the system holds for both sides is written too
    assert!(server.join().unwrap() < 64 << 20);
}

#[test]
fn nobody_there_is_no_reason_to_give_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let smtp = format!("smtp = '{}'\n{PLAIN}", listener.local_addr().unwrap());
    drop(listener);
    later(mailed_believing("", &smtp, &one()), "cannot be reached");
}

#[test]
fn a_server_that_hangs_is_not_waited_for() {
    let end = mailed(&MailServer::start(&[("DATA", "")]), "tls = 'none'\ntimeout = '300ms'", &one());
    later(end, "did not answer within 300ms");
}

#[test]
fn without_encryption_nothing_is_said() {
    let server = MailServer::start(&[]);
    never(mailed(&server, "username = 'me'\npassword_file = 'password'", &one()), "STARTTLS");
    assert_eq!(server.lines(), ["EHLO [127.0.0.1]"]);
    // it speaks no TLS, so it hears no word
    let server = MailServer::start(&[]);
    let end = mailed(&server, "tls = 'tls'\ntimeout = '2s'", &one());
    assert!(matches!(end, Err(SendError::Later { .. })), "{end:?}");
    assert!(!server.lines().iter().any(|line| line.contains("EHLO")));
}

#[test]
fn a_password_goes_only_to_a_server_that_somebody_vouches_for() {
    let (tls, authority) = certificate();
    for word in ["tls", "starttls"] {
        let start = if word == "tls" { MailServer::encrypted } else { MailServer::upgrading };
        let user = format!("tls = '{word}'\nusername = 'me'\npassword_file = 'password'");
        let mailed = |host: &str, more: &str| {
            let server = start(Arc::clone(&tls));
            let more = format!("smtp = '{host}:{}'\n{user}\n{more}", server.port());
            (mailed_believing(&authority, &more, &one()), server.lines())
        };
        let (end, lines) = mailed("localhost", "ca_file = 'ca.pem'");
        end.unwrap();
        let told = |line: &str| lines.iter().any(|said| said == line);
        assert!(told(&format!("AUTH PLAIN {CANARY_CODED}")) && told("."), "{lines:?}");
        for (host, more) in [("localhost", ""), ("127.0.0.1", "ca_file = 'ca.pem'")] {
            let (end, lines) = mailed(host, more);
            later(end, "certificate");
            assert!(!lines.iter().any(|line| line.starts_with("AUTH")), "{lines:?}");
        }
    }
}
