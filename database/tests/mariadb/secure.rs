//! Encrypted connections to a MariaDB whose certificate comes from an authority that the test makes itself.
//!
//! The server's certificate names `localhost` and not 127.0.0.1, so that one address is right for it and another is wrong.
//! Where `openssl` is not installed the test says so and checks nothing.

use crate::server::Server;
use database::mysql::{Connection, Options};
use database::{Error, Reader, Secret, Target};
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs openssl in a folder; false if it is not there.
fn openssl(folder: &Path, words: &str) -> bool {
    let status = Command::new("openssl")
        .args(words.split_whitespace())
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| {
        assert!(status.success(), "openssl {words}");
        true
    })
}

/// Makes two authorities, and a certificate by the first for each of `server` and `client`.
fn certificates(folder: &Path) -> bool {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    let authority = |name: &str| {
        openssl(
            folder,
            &format!("req -x509 {key} -keyout {name}.key -out {name}.pem -subj /CN={name} -days 30"),
        )
    };
    if !authority("ca") || !authority("other") {
        return false;
    }
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    for name in ["server", "client"] {
        openssl(folder, &format!("req -new {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        openssl(
            folder,
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {name}.pem -days 30 -extfile names"
            ),
        );
    }
    true
}

/// Connects to a server as `host`, and asks it for the cipher of the connection.
async fn connect(server: &Server, host: &str, rest: &str) -> Result<Connection, Error> {
    let target: Target =
        format!("mysql://{rest}", rest = rest.replace("HOST", &format!("{host}:{}", server.target.port)))
            .parse()
            .unwrap();
    let secret = Secret::new("secret word");
    let secret = (&*target.user != "root").then_some(&secret);
    Connection::connect(&target, secret, &Options::default()).await
}

async fn refusal(server: &Server, host: &str, rest: &str) -> String {
    match connect(server, host, rest).await {
        Err(Error::Insecure { reason, .. }) => reason,
        other => panic!("{rest}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_verified_as_far_as_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    if !certificates(folder.path()) {
        eprintln!("SKIPPED: openssl is not installed; nothing was checked");
        return;
    }
    let file = |name: &str| folder.path().join(name).display().to_string();
    let options = [("ca", "ca.pem"), ("cert", "server.pem"), ("key", "server.key")]
        .map(|(o, f)| format!("--ssl-{o}={}", file(f)));
    let Some(server) = Server::start(7, &options.each_ref().map(String::as_str)).await else { return };
    let (ca, other) = (file("ca.pem"), file("other.pem"));
    // what is not asked for is not demanded, but taken where it is offered
    for mode in ["", "?ssl-mode=REQUIRED", "?ssl-mode=DISABLED"] {
        connect(&server, "127.0.0.1", &format!("root@HOST/{mode}")).await.unwrap();
    }
    for (host, query, accepted) in [
        ("127.0.0.1", format!("ssl-ca={ca}"), true),
        ("localhost", format!("ssl-ca={ca}&ssl-mode=VERIFY_IDENTITY"), true),
        ("127.0.0.1", format!("ssl-ca={ca}&ssl-mode=VERIFY_IDENTITY"), false),
        ("localhost", format!("ssl-ca={other}"), false),
        ("localhost", format!("ssl-ca={other}&ssl-mode=VERIFY_IDENTITY"), false),
        ("localhost", "ssl-mode=VERIFY_CA".to_owned(), false),
        ("localhost", format!("ssl-ca={other}&ssl-mode=REQUIRED"), true),
    ] {
        let connection = connect(&server, host, &format!("root@HOST/?{query}")).await;
        assert_eq!(connection.is_ok(), accepted, "{host} {query}: {connection:?}");
    }
    let reason =
        refusal(&server, "127.0.0.1", &format!("root@HOST/?ssl-ca={ca}&ssl-mode=VERIFY_IDENTITY")).await;
    assert!(reason.contains("not one of host 127.0.0.1"), "{reason}");
    let reason = refusal(&server, "localhost", &format!("root@HOST/?ssl-ca={other}")).await;
    assert!(reason.contains("no known authority"), "{reason}");
    for (file, part) in [("/no/such.pem", "No such file"), (&*file("names"), "no CERTIFICATE")] {
        let reason = refusal(&server, "localhost", &format!("root@HOST/?ssl-ca={file}")).await;
        assert!(reason.contains(file) && reason.contains(part), "{reason}");
    }
    let reason = refusal(&server, "localhost", &format!("root@HOST/?ssl-cert={}", file("client.pem"))).await;
    assert!(reason.contains("ssl-key"), "{reason}");
    accounts_that_demand_encryption(&server, &file).await;
}

/// An account may demand an encrypted connection, or a certificate, whatever the client thinks of it.
async fn accounts_that_demand_encryption(server: &Server, file: &dyn Fn(&str) -> String) {
    use database::conformance::SqlFixture;
    let mut root = SqlFixture::connect(&server.target, None).await.unwrap();
    for sql in [
        "CREATE USER shown@'%' IDENTIFIED BY 'secret word' REQUIRE X509",
        "CREATE USER hidden@'%' IDENTIFIED BY 'secret word' REQUIRE SSL",
    ] {
        root.run(sql).await.unwrap();
    }
    let (own, key, ca) = (file("client.pem"), file("client.key"), file("ca.pem"));
    let shown = format!("shown@HOST/?ssl-ca={ca}&ssl-cert={own}&ssl-key={key}");
    let mut connection = connect(server, "localhost", &shown).await.unwrap();
    connection.tables().await.unwrap();
    connect(server, "localhost", "hidden@HOST").await.unwrap();
    for wrong in ["shown@HOST/?ssl-mode=REQUIRED", "hidden@HOST/?ssl-mode=DISABLED"] {
        let error = connect(server, "localhost", wrong).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{wrong}: {error}");
    }
    // MariaDB says of this only that access is denied
    root.run("SET GLOBAL require_secure_transport=ON").await.unwrap();
    let error = connect(server, "localhost", "root@HOST/?ssl-mode=DISABLED").await.unwrap_err().to_string();
    assert!(error.contains("nor is the connection encrypted") && error.ends_with("(error 1045)"), "{error}");
    connect(server, "localhost", "root@HOST").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_that_is_not_offered_is_said_and_sockets_need_none() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("other");
    let place = format!("--socket={}", socket.display());
    let Some(server) = Server::start(7, &["--skip-ssl", &place]).await else { return };
    for mode in ["REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"] {
        let reason = refusal(&server, "127.0.0.1", &format!("root@HOST/?ssl-mode={mode}")).await;
        assert!(reason.contains("the server offers none"), "{reason}");
    }
    connect(&server, "127.0.0.1", "root@HOST").await.unwrap();
    let target: Target = format!("S={},u=root", socket.display()).parse().unwrap();
    let mut connection = Connection::connect(&target, None, &Options::default()).await.unwrap();
    assert_eq!(connection.identity().await.unwrap().server_id, "7");
    let target: Target = format!("S={}.gone,u=root", socket.display()).parse().unwrap();
    let error = Connection::connect(&target, None, &Options::default()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}
