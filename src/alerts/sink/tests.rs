//! Sinks against real sockets and real processes.

use super::super::notice::examples::{BEGAN_AT, divergence, told};
use super::super::receivers::{Answer, Receiver, certificate};
use super::*;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

const CANARY: &str = "canary-7f3a9c";

/// A sink of this table, in a folder with a secret in `secret`.
fn resolved(toml: &str) -> Result<(Sink, tempfile::TempDir), Failure> {
    let folder = tempfile::tempdir().unwrap();
    secret_file(folder.path(), "secret", &format!("{CANARY}\n"), 0o600);
    let config: SinkConfig = toml::from_str(toml).unwrap();
    let sink = Sink::resolve(&config, folder.path())?;
    assert!(!format!("{sink:?} {config:?}").contains("canary"), "{sink:?} {config:?}");
    Ok((sink, folder))
}

fn secret_file(folder: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path
}

fn sink(toml: &str) -> Sink {
    resolved(toml).unwrap().0
}

fn refusal(toml: &str) -> String {
    let failure = resolved(toml).map(|(sink, _)| sink).unwrap_err();
    assert_eq!(failure.code, "E0104");
    let text = failure.to_string();
    assert!(!format!("{text} {failure:?}").contains("canary"), "{text}");
    text
}

/// How a webhook fares with an answer.
fn answered(answer: Answer, more: &str) -> (Result<(), SendError>, Receiver, Duration) {
    let receiver = Receiver::start(vec![answer]);
    let url = receiver.url("/hook/canary-path");
    let sink = sink(&format!("type = 'webhook'\nurl = '{url}'\ntoken_file = 'secret'\n{more}"));
    let started_at = Instant::now();
    let end = send(&sink, &told(vec![divergence("shop.orders", true)]), BEGAN_AT);
    if let Err(error) = &end {
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
    (end, receiver, started_at.elapsed())
}

fn later(why: &str, after: Option<u64>) -> impl Fn(Result<(), SendError>) {
    let why = why.to_owned();
    move |end| match end {
        Err(SendError::Later { why: said, after: wait }) => {
            assert!(said.contains(&why), "{said}");
            assert_eq!(wait, after.map(Duration::from_secs));
        }
        other => panic!("{other:?} is not to be tried later: {why}"),
    }
}

fn never(why: &str) -> impl Fn(Result<(), SendError>) {
    let why = why.to_owned();
    move |end| match end {
        Err(SendError::Never { why: said }) => assert!(said.contains(&why), "{said}"),
        other => panic!("{other:?} is not final: {why}"),
    }
}

#[test]
fn a_webhook_gets_its_body_with_its_token_and_its_signature() {
    let (end, receiver, _) = answered(Answer::ok(), "secret_file = 'secret'\nname = 'ops'");
    end.unwrap();
    let request = &receiver.requests()[0];
    assert_eq!(request.line, "POST /hook/canary-path HTTP/1.1");
    assert_eq!(request.header("Authorization"), Some(format!("Bearer {CANARY}").as_str()));
    assert_eq!(request.header("Content-Type"), Some("application/json"));
    let expected = render::webhook(&told(vec![divergence("shop.orders", true)]), "ops");
    assert_eq!(serde_json::from_str::<Value>(&request.body).unwrap(), expected);
    let signature = sign(&Secret::new(CANARY), request.body.as_bytes()).unwrap();
    assert_eq!(request.header("X-Evensum-Signature"), Some(signature.as_str()));
}

#[test]
fn a_signature_is_what_other_programs_compute() {
    let text = b"The quick brown fox jumps over the lazy dog";
    let expected = "sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
    assert_eq!(sign(&Secret::new("key"), text).unwrap(), expected);
}

#[test]
fn what_an_answer_means() {
    later("answered 500: broken", None)(answered(Answer::says(500, "broken"), "").0);
    // what is put right some time: a wrong address, another token, a proxy in between
    for code in [401, 403, 404, 405, 410] {
        later(&format!("answered {code}"), None)(answered(Answer::says(code, ""), "").0);
    }
    never("answered 422")(answered(Answer::says(422, ""), "").0);
    later("answered 429", Some(7))(answered(Answer::with(429, "Retry-After: 7"), "").0);
    later("answered 503", Some(3600))(answered(Answer::with(503, "Retry-After: 999999999"), "").0);
    later("answered 503", None)(answered(Answer::with(503, "Retry-After: soon"), "").0);
    never("answered 400: no such  field")(answered(Answer::says(400, "no such\r\nfield"), "").0);
    later("cannot be reached", None)(answered(Answer::BreaksOff, "").0);
    answered(Answer::Endless(200), "").0.unwrap();
    later("answered 500: zzz", None)(answered(Answer::Endless(500), "").0);
}

#[test]
fn what_the_other_side_echoes_is_not_repeated() {
    let (end, _, _) = answered(Answer::says(403, &format!("Bearer {CANARY} for /hook/canary-path")), "");
    later("answered 403: Bearer *** for /hook/***", None)(end);
}

#[test]
fn a_redirect_is_not_followed() {
    let second = Receiver::start(vec![Answer::ok()]);
    let location = format!("Location: {}", second.url("/"));
    for code in [301, 302, 307, 308] {
        later("a redirect, which is not followed", None)(answered(Answer::with(code, &location), "").0);
    }
    assert!(second.requests().is_empty());
}

#[test]
fn time_is_over_as_a_whole() {
    for answer in [Answer::Hangs, Answer::Drips] {
        let (end, _, took) = answered(answer, "timeout = '300ms'");
        later("did not answer within 300ms", None)(end);
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
}

#[test]
fn nobody_there_is_no_reason_to_give_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let sink = sink(&format!("type = 'webhook'\nurl = 'http://127.0.0.1:{port}/canary-path'"));
    let end = send(&sink, &told(vec![divergence("shop.orders", true)]), BEGAN_AT);
    later(&format!("http://127.0.0.1:{port} cannot be reached"), None)(end);
}

#[test]
fn only_a_certificate_of_this_host_that_somebody_vouches_for_is_believed() {
    let (tls, authority) = certificate();
    let folder = tempfile::tempdir().unwrap();
    let file = secret_file(folder.path(), "ca.pem", &authority, 0o644);
    let told = told(vec![divergence("shop.orders", true)]);
    let call = |host: &str, more: &str| {
        let receiver = Receiver::encrypted(vec![Answer::ok()], Some(Arc::clone(&tls)));
        let url = format!("https://{host}:{}/", receiver.port());
        let sink = sink(&format!("type = 'webhook'\nurl = '{url}'\ntoken_file = 'secret'\n{more}"));
        (send(&sink, &told, BEGAN_AT), receiver.requests())
    };
    let believing = format!("ca_file = '{}'", file.display());
    let (end, requests) = call("localhost", &believing);
    end.unwrap();
    assert_eq!(requests[0].header("Authorization"), Some(format!("Bearer {CANARY}").as_str()));
    for (host, more) in [("localhost", ""), ("127.0.0.1", believing.as_str())] {
        let (end, requests) = call(host, more);
        later("certificate", None)(end);
        assert!(requests.is_empty(), "{requests:?}");
    }
    // what answers speaks no TLS at all, and is told nothing
    let plain = Receiver::start(vec![Answer::ok()]);
    let sink = sink(&format!("type = 'webhook'\nurl = 'https://localhost:{}'\ntimeout = '2s'", plain.port()));
    assert!(matches!(send(&sink, &told, BEGAN_AT), Err(SendError::Later { .. })));
    assert!(plain.requests().is_empty());
}

#[test]
fn alertmanager_is_told_at_its_interface_however_its_address_is_written() {
    let receiver = Receiver::start(vec![Answer::ok(); 3]);
    for path in ["", "/", "/api/v2/alerts"] {
        let sink = sink(&format!("type = 'alertmanager'\nurl = '{}'", receiver.url(path)));
        assert_eq!((sink.resend(), RESOLVED_RESENT_FOR.as_secs()), (Some(RESEND), 300));
        send(&sink, &told(vec![divergence("shop.orders", true)]), BEGAN_AT).unwrap();
    }
    for request in receiver.requests() {
        assert_eq!(request.line, "POST /api/v2/alerts HTTP/1.1");
        let expected = render::alertmanager(&told(vec![divergence("shop.orders", true)]), BEGAN_AT);
        assert_eq!(serde_json::from_str::<Value>(&request.body).unwrap(), expected);
    }
}

#[test]
fn slack_is_called_at_the_address_in_the_file() {
    let receiver = Receiver::start(vec![Answer::ok()]);
    let folder = tempfile::tempdir().unwrap();
    secret_file(folder.path(), "slack", &receiver.url("/services/T0/B0/canary-path"), 0o600);
    let config: SinkConfig = toml::from_str("type = 'slack'\nurl_file = 'slack'").unwrap();
    let sink = Sink::resolve(&config, folder.path()).unwrap();
    send(&sink, &told(vec![divergence("shop.orders", true)]), BEGAN_AT).unwrap();
    assert_eq!(receiver.requests()[0].line, "POST /services/T0/B0/canary-path HTTP/1.1");
    assert!(receiver.requests()[0].body.contains("&lt;orders&gt;"));
    assert!(!format!("{sink:?}").contains("canary"));
}

#[test]
fn pagerduty_is_told_each_notice_and_one_that_it_refuses_does_not_stop_the_others() {
    let answers = vec![Answer::with(202, "X: y"), Answer::says(400, "bad event"), Answer::ok()];
    let receiver = Receiver::start(answers);
    let url = receiver.url("/v2/enqueue");
    let sink = sink(&format!("type = 'pagerduty'\nurl = '{url}'\ntoken_file = 'secret'"));
    let three = told(["a", "b", "c"].map(|table| divergence(table, true)).to_vec());
    never("answered 400: bad event")(send(&sink, &three, BEGAN_AT));
    let requests = receiver.requests();
    assert_eq!(requests.len(), 3);
    for (request, notice) in requests.iter().zip(&three.notices) {
        let expected = pagerduty::event(&three, notice, CANARY);
        assert_eq!(serde_json::from_str::<Value>(&request.body).unwrap(), expected);
        assert_eq!(request.header("Authorization"), None);
    }
}

/// A sink that runs this text as a program of the shell.
fn program(text: &str, more: &str) -> (Sink, tempfile::TempDir) {
    resolved(&format!("type = 'command'\ncommand = ['/bin/sh', '-c', {}]\n{more}", json!(text))).unwrap()
}

#[test]
fn a_command_is_told_by_its_input_and_its_environment() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out").display().to_string();
    let text = format!("cat > {out}; echo \"$EVENSUM_STATUS $EVENSUM_ALERT $EVENSUM_CLUSTER\" > {out}.env");
    let (sink, _) = program(&text, "");
    let one = told(vec![divergence("shop.orders", false)]);
    send(&sink, &one, BEGAN_AT).unwrap();
    let body: Value = serde_json::from_str(&std::fs::read_to_string(&out).unwrap()).unwrap();
    assert_eq!(body, render::webhook(&one, "command"));
    let said = std::fs::read_to_string(format!("{out}.env")).unwrap();
    assert_eq!(said, "resolved MasterDataDivergence shop\n");
}

/// It shows something where the environment of the tests holds such variables: `EVENSUM_PASSWORD=x MYSQL_PWD=x cargo test`.
#[test]
fn a_command_is_not_told_the_passwords_of_nodes() {
    let (sink, _) = program("! env | grep -E '^(EVENSUM_PASSWORD|MYSQL_PWD)' >&2", "");
    send(&sink, &told(vec![divergence("t", true)]), BEGAN_AT).unwrap();
}

#[test]
fn a_command_that_fails_says_why_and_need_not_read() {
    let one = told(vec![divergence("shop.orders", true); 100]);
    later("exit status: 3: no such pager", None)(send(
        &program("echo 'no such pager' >&2; exit 3", "").0,
        &one,
        BEGAN_AT,
    ));
    let (sink, _) = program("yes chatter | head -c 1000000 >&2; exit 1", "");
    later("chatter", None)(send(&sink, &one, BEGAN_AT));
    send(&program("exit 0", "").0, &one, BEGAN_AT).unwrap();
    let (nobody, _) = resolved("type = 'command'\ncommand = ['./nobody']").unwrap();
    later("cannot be started", None)(send(&nobody, &one, BEGAN_AT));
}

#[test]
fn a_command_that_hangs_is_ended_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let alive = folder.path().join("alive").display().to_string();
    let child = format!("while :; do date +%N > {alive}; sleep 0.05; done");
    let (sink, _) = program(&format!("({child}) & wait"), "timeout = '1500ms'");
    let started_at = Instant::now();
    later("did not answer within 1.5s", None)(send(&sink, &told(vec![divergence("t", true)]), BEGAN_AT));
    assert!(started_at.elapsed() < Duration::from_secs(8));
    std::thread::sleep(Duration::from_millis(200));
    let last = std::fs::read_to_string(&alive).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(std::fs::read_to_string(&alive).unwrap(), last, "a child of the command goes on");
}

#[test]
fn a_command_that_leaves_others_behind_is_not_waited_for() {
    let (sink, _) = program("sleep 30 & exit 0", "");
    let started_at = Instant::now();
    send(&sink, &told(vec![divergence("t", true)]), BEGAN_AT).unwrap();
    assert!(started_at.elapsed() < Duration::from_secs(3));
}

#[test]
fn a_blocking_task_of_a_runtime_can_tell() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (sink, _folder) = program("exit 0", "");
    let one = told(vec![divergence("t", true)]);
    let end = runtime.block_on(async { tokio::task::spawn_blocking(move || send(&sink, &one, 0)).await });
    end.unwrap().unwrap();
}

#[test]
fn of_nothing_nobody_is_told() {
    send(&sink("type = 'webhook'\nurl = 'http://127.0.0.1:1/'"), &told(vec![]), BEGAN_AT).unwrap();
}

#[test]
fn a_sink_knows_what_it_wants_and_how_often() {
    let plain = sink("type = 'webhook'\nurl = 'http://localhost/'");
    assert_eq!((plain.name(), plain.kind(), plain.resend()), ("webhook", "webhook", None));
    assert_eq!((plain.repeat(), plain.timeout), (Duration::from_secs(14_400), Duration::from_secs(10)));
    assert!(plain.wants(Severity::Info));
    let grave = sink("type = 'webhook'\nurl = 'http://localhost/'\nseverity = 'error'\nrepeat = '30m'");
    assert!(
        grave.wants(Severity::Critical) && grave.wants(Severity::Error) && !grave.wants(Severity::Warning)
    );
    assert_eq!((grave.least, grave.repeat()), (Severity::Error, Duration::from_secs(1800)));
}

#[test]
fn what_cannot_be_meant_is_refused_with_what_to_do() {
    for (toml, words) in [
        ("type = 'webhook'", "the [[alert]] of type webhook cannot be used: url is missing"),
        (
            "type = 'webhook'\nname = 'ops'\nurl = 'x'",
            "'ops' of type webhook cannot be used: url is no address",
        ),
        ("type = 'webhook'\nurl = 'ftp://h/'", "url is no address"),
        ("type = 'webhook'\nurl = 'https://me:canary@h/'", "belong in token_file"),
        ("type = 'webhook'\nurl = 'http://h/'\nurl_file = 'secret'", "both url and url_file"),
        ("type = 'webhook'\nurl = 'http://h/'\ntoken_file = 'secret'", "a secret would be sent there"),
        ("type = 'webhook'\nurl = 'http://h/'\nca_file = 'x'", "ca_file has no meaning for http"),
        ("type = 'webhook'\nurl = 'https://h/'\nca_file = 'secret'", "it holds no certificate"),
        ("type = 'webhook'\nurl = 'https://h/'\nca_file = 'none'", "ca_file"),
        ("type = 'webhook'\nurl = 'http://h/'\nto = ['a@b.c']", "to has no meaning for this type"),
        ("type = 'webhook'\nurl = 'http://h/'\nname = \"a\\nb\"", "its name"),
        ("type = 'webhook'\nurl = 'http://h/'\nrepeat = '4d'", "repeat: a day is the longest"),
        ("type = 'webhook'\nurl = 'http://h/'\nrepeat = '1s'", "repeat is too short"),
        ("type = 'webhook'\nurl = 'http://h/'\ntimeout = '1h'", "timeout is too long"),
        ("type = 'webhook'\nurl_file = 'none'", "url_file: cannot read"),
        ("type = 'webhook'\nurl_file = 'secret'", "url_file is no address"),
        ("type = 'alertmanager'\nurl = 'http://h/'\nsecret_file = 'secret'", "secret_file has no meaning"),
        ("type = 'slack'\nurl = 'http://h/canary'", "a secret would be sent there"),
        ("type = 'slack'", "url is missing"),
        ("type = 'pagerduty'", "token_file is missing"),
        ("type = 'pagerduty'\ntoken_file = 'secret'\nurl = 'http://h/'", "a secret would be sent there"),
        ("type = 'email'\nsmtp = 'localhost'\nfrom = 'a@b.c'", "to is missing"),
        (
            "type = 'email'\nsmtp = 'h:25'\nfrom = 'a@b.c'\nto = ['a@b.c']\ntls = 'none'",
            "on this machine only",
        ),
        ("type = 'email'\nsmtp = 'h:x'\nfrom = 'a@b.c'\nto = ['a@b.c']", "smtp names no server"),
        ("type = 'email'\nsmtp = 'h'\nfrom = 'a'\nto = ['a@b.c']", "from: 'a' is no mail address"),
        (
            "type = 'email'\nsmtp = 'h'\nfrom = 'a@b.c'\nto = ['a@b.c', \"d@e.f\\r\\nX: y\"]",
            "no mail address",
        ),
        ("type = 'email'\nsmtp = 'h'\nfrom = 'a@b.c'\nto = []", "to names no recipient"),
        ("type = 'email'\nsmtp = 'h'\nfrom = 'a@b.c'\nto = ['a@b.c']\nusername = 'me'", "go together"),
        ("type = 'command'", "command is missing"),
        ("type = 'command'\ncommand = ['a']\nca_file = 'x'", "ca_file has no meaning for this type"),
        ("type = 'command'\ncommand = []", "command is empty"),
    ] {
        let text = refusal(toml);
        assert!(text.contains(words) && text.contains("what to do: "), "{toml}: {text}");
    }
    let unknown = toml::from_str::<SinkConfig>("type = 'webhook'\ncolour = 1").unwrap_err();
    assert!(unknown.message().contains("unknown field `colour`"), "{unknown}");
}

#[test]
fn a_secret_that_others_can_read_is_refused_unless_systemd_guards_it() {
    let folder = tempfile::tempdir().unwrap();
    secret_file(folder.path(), "token", CANARY, 0o640);
    secret_file(folder.path(), "empty", "\ncanary\n", 0o600);
    let url = "type = 'webhook'\nurl = 'https://localhost/'";
    let resolve = |file: &str, credentials: Option<&Path>| {
        let config: SinkConfig = toml::from_str(&format!("{url}\ntoken_file = '{file}'")).unwrap();
        Reading::sink(&config, folder.path(), credentials)
    };
    let refusal = resolve("token", None).unwrap_err().to_string();
    assert!(refusal.contains("chmod 600") && refusal.contains("can be read by others"), "{refusal}");
    assert!(resolve("empty", None).unwrap_err().to_string().contains("its first line is empty"));
    let credentials = tempfile::tempdir().unwrap();
    secret_file(credentials.path(), "token", "from-systemd", 0o440);
    let sink = resolve("token", Some(credentials.path())).unwrap();
    match &sink.way {
        Way::Webhook { token: Some(token), .. } => assert_eq!(token.reveal(), "from-systemd"),
        other => panic!("{other:?}"),
    }
    // only a bare name is a credential's
    assert!(resolve("./token", Some(credentials.path())).is_err());
}
