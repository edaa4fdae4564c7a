//! Statements about accounts against a file of their own.

use super::rights::{Client, Rights};
use super::statements::{Place, Statement, read};
use super::*;

/// What a client would get to see of a hash: these tests need no randomness.
const RANDOM: [u8; password::SALT_BYTES] = [7; password::SALT_BYTES];

struct Bench {
    conn: Connection,
    accounts: Accounts,
}

impl Bench {
    fn new() -> Bench {
        let conn = Connection::open_in_memory().unwrap();
        store::create(&conn).unwrap();
        let root = User { name: "root".into(), password: database::Secret::default() };
        Bench { conn, accounts: Accounts::new(&[root]) }
    }

    fn read(&self, sql: &str) -> Result<Statement, SqlError> {
        let place = Place { current_user: Name::new("root", "%"), database: "shop" };
        let mut statement = read(sql, &place)?;
        let roster = self.accounts.roster();
        changes::leave_configured(&statement, &roster)?;
        statement.settle(&roster, &mut || Ok(RANDOM))?;
        Ok(statement)
    }

    /// Runs the statement as it is typed, and reads what the log would say of it, which has to be the same.
    fn run(&self, sql: &str) -> Result<String, SqlError> {
        let statement = self.read(sql)?;
        let logged = statement.to_string();
        if !matches!(statement, Statement::SetPassword(_)) {
            assert_eq!(self.read(&logged).unwrap(), statement, "{logged}");
        }
        changes::run(&self.conn, self.accounts.read(&self.conn)?, &statement)?;
        self.accounts.reload(&self.conn)?;
        Ok(logged)
    }

    fn ok(&self, sql: &str) -> String {
        self.run(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    fn refused(&self, sql: &str) -> (u16, String) {
        match self.run(sql) {
            Ok(logged) => panic!("{sql} was taken as {logged}"),
            Err(error) => (error.code, error.message),
        }
    }

    fn rights(&self, user: &str, host: &str) -> Rights {
        let account = Name::new(user, host);
        let found = self.accounts.roster().get(&account).cloned();
        let client = Client { account, user: user.into(), host: "localhost".into() };
        Rights::of(Arc::new(client), found)
    }

    fn of_client(&self, user: &str, peer: &str) -> String {
        let found = self.accounts.of_client(user, peer.parse().unwrap());
        found.map_or("nobody".into(), |account| account.name.to_string())
    }
}

#[test]
fn an_account_of_the_configuration_without_a_password_stays_at_home() {
    let bench = Bench::new();
    assert_eq!(bench.of_client("root", "127.0.0.1"), "'root'@'%'");
    assert_eq!(bench.of_client("root", "::1"), "'root'@'%'");
    assert_eq!(bench.of_client("root", "10.0.0.1"), "nobody");
    bench.ok("ALTER USER root IDENTIFIED BY 'x'");
    assert_eq!(bench.of_client("root", "10.0.0.1"), "'root'@'%'");
}

#[test]
fn an_account_is_logged_with_its_password_hashed() {
    let bench = Bench::new();
    for (sql, logged) in [
        (
            "create user if not exists 'a'@'10.%' identified by 'secret', b require ssl account lock",
            "CREATE USER IF NOT EXISTS 'a'@'10.%' IDENTIFIED WITH 'mysql_native_password' AS \
             '*14E65567ABDB5135D0CFD9A70B3032C179A49EE7', 'b'@'%' REQUIRE SSL ACCOUNT LOCK",
        ),
        (
            "CREATE USER c@localhost IDENTIFIED VIA mysql_native_password USING PASSWORD('secret')",
            "CREATE USER 'c'@'localhost' IDENTIFIED WITH 'mysql_native_password' AS \
             '*14E65567ABDB5135D0CFD9A70B3032C179A49EE7'",
        ),
        (
            "SET PASSWORD FOR `c`@`LOCALHOST` = PASSWORD(\"secret\")",
            "ALTER USER 'c'@'localhost' IDENTIFIED WITH 'mysql_native_password' AS \
             '*14E65567ABDB5135D0CFD9A70B3032C179A49EE7'",
        ),
        ("-- why\nRENAME USER b TO 'it''s'@'%'", "RENAME USER 'b'@'%' TO 'it''s'@'%'"),
        (
            "GRANT SELECT, REPLICATION SLAVE ON *.* TO c@localhost REQUIRE SSL WITH GRANT OPTION",
            "GRANT SELECT, REPLICATION SLAVE ON *.* TO 'c'@'localhost' REQUIRE SSL WITH GRANT OPTION",
        ),
        (
            "REVOKE ALL, GRANT OPTION FROM c@localhost",
            "REVOKE ALL PRIVILEGES, GRANT OPTION FROM 'c'@'localhost'",
        ),
        ("GRANT ALL ON * TO c@localhost", "GRANT ALL PRIVILEGES ON `shop`.* TO 'c'@'localhost'"),
        ("DROP USER c@localhost, 'it''s'", "DROP USER 'c'@'localhost', 'it''s'@'%'"),
    ] {
        assert_eq!(bench.ok(sql), logged);
    }
    let logged = bench.ok("CREATE USER s IDENTIFIED WITH caching_sha2_password BY 'secret'");
    assert!(logged.contains("AS '$A$005$") && !logged.contains("secret"), "{logged}");
}

#[test]
fn what_cannot_be_done_is_said_in_mysqls_words() {
    let bench = Bench::new();
    bench.ok("CREATE USER a, b");
    for (sql, code, message) in [
        ("CREATE USER c, a, b", 1396, "Operation CREATE USER failed for 'a'@'%','b'@'%'"),
        ("CREATE USER root@localhost", 1396, "Operation CREATE USER failed for 'root'@'localhost'"),
        ("DROP USER nobody", 1396, "Operation DROP USER failed for 'nobody'@'%'"),
        ("ALTER USER nobody IDENTIFIED BY 'x'", 1396, "Operation ALTER USER failed for 'nobody'@'%'"),
        ("GRANT SELECT ON *.* TO nobody", 1410, "You are not allowed to create a user with GRANT"),
        ("REVOKE SELECT ON shop.* FROM a", 1141, "There is no such grant defined for user 'a' on host '%'"),
        ("GRANT RELOAD ON shop.* TO a", 1221, "Incorrect usage of DB GRANT and GLOBAL PRIVILEGES"),
        ("CREATE USER d IDENTIFIED WITH ed25519 BY 'x'", 1524, "Plugin 'ed25519' is not loaded"),
        (
            "CREATE USER d IDENTIFIED BY PASSWORD 'plain'",
            1827,
            "The password hash doesn't have the expected format.",
        ),
    ] {
        assert_eq!(bench.refused(sql), (code, message.to_owned()), "{sql}");
    }
    for sql in [
        "GRANT SELECT (id) ON shop.t TO a",
        "GRANT 'role' TO a",
        "GRANT role TO a",
        "GRANT PROXY ON b TO a",
        "CREATE ROLE r",
        "ALTER USER a PASSWORD EXPIRE",
        "CREATE USER d REQUIRE ISSUER 'x'",
    ] {
        assert_eq!(bench.refused(sql).0, 1235, "{sql}");
    }
    for sql in
        ["CREATE USER", "GRANT FLYING ON *.* TO a", "DROP USER a b", "SET PASSWORD 'x'", "CREATE USER 'a"]
    {
        assert_eq!(bench.refused(sql).0, 1064, "{sql}");
    }
    let (_, message) = bench.refused("CREATE USER e IDENTIFIED BY 'topsecret' NONSENSE");
    assert!(!message.contains("topsecret"), "{message}");
    assert_eq!(bench.of_client("c", "10.0.0.1"), "nobody", "a statement that failed made an account");
}

#[test]
fn the_closest_account_is_taken() {
    let bench = Bench::new();
    bench.ok("CREATE USER a, a@'10.%', a@'10.1.0.0/255.255.0.0', a@localhost, ''@'10.9.%'");
    assert_eq!(bench.of_client("a", "10.1.2.3"), "'a'@'10.1.0.0/255.255.0.0'");
    assert_eq!(bench.of_client("a", "10.2.2.3"), "'a'@'10.%'");
    assert_eq!(bench.of_client("a", "127.0.0.1"), "'a'@'localhost'");
    assert_eq!(bench.of_client("a", "192.0.2.1"), "'a'@'%'");
    assert_eq!(bench.of_client("x", "10.9.2.1"), "''@'10.9.%'");
    assert_eq!(bench.of_client("x", "10.8.2.1"), "nobody");
    assert_eq!(bench.of_client("root", "::1"), "'root'@'%'");
}

#[test]
fn privileges_reach_as_far_as_they_are_granted() {
    use super::privileges::Privilege::{Insert, Reload, Select};
    let bench = Bench::new();
    bench.ok("CREATE USER a");
    let may = |privilege, database, table| bench.rights("a", "%").on_table(database, table).has(privilege);
    assert!(!may(Select, "shop", "t"));
    bench.ok("GRANT SELECT ON shop.t TO a");
    assert!(may(Select, "shop", "t") && !may(Select, "shop", "u") && !may(Insert, "shop", "t"));
    bench.ok("GRANT INSERT ON `retail\\_%`.* TO a");
    assert!(may(Insert, "retail_db", "t") && !may(Insert, "retailXdb", "t"));
    bench.ok("GRANT RELOAD, SELECT ON *.* TO a");
    assert!(may(Select, "other", "t") && bench.rights("a", "%").any(&[Reload]).is_ok());
    bench.ok("REVOKE RELOAD, SELECT ON *.* FROM a");
    bench.ok("REVOKE SELECT ON shop.t FROM a");
    assert!(!may(Select, "shop", "t") && may(Insert, "retail_db", "t"));
    bench.ok("REVOKE ALL PRIVILEGES, GRANT OPTION FROM a");
    assert!(!may(Insert, "retail_db", "t"));
    bench.ok("DROP USER a");
    assert!(!may(Select, "shop", "t"));
}

#[test]
fn an_account_of_the_configuration_can_change_its_password_and_nothing_else() {
    let bench = Bench::new();
    bench.ok("ALTER USER 'root'@'localhost' IDENTIFIED BY 'secret'");
    let root = bench.accounts.of_client("root", "127.0.0.1".parse().unwrap()).unwrap();
    assert_eq!(root.kept, "*14E65567ABDB5135D0CFD9A70B3032C179A49EE7");
    for sql in ["DROP USER root", "REVOKE SELECT ON *.* FROM root", "RENAME USER root TO toor"] {
        assert_eq!(bench.refused(sql).0, 1290, "{sql}");
    }
    assert_eq!(root.global, Privileges::everything());
}

#[test]
fn nothing_that_is_added_takes_the_place_of_a_configured_account() {
    let bench = Bench::new();
    bench.ok("CREATE USER ''@'localhost', someone");
    assert_eq!(bench.of_client("root", "127.0.0.1"), "'root'@'%'");
    assert_eq!(bench.of_client("x", "127.0.0.1"), "''@'localhost'");
    for sql in [
        "CREATE USER root@'127.%' IDENTIFIED BY 'evil'",
        "CREATE USER IF NOT EXISTS root@'127.%'",
        "RENAME USER someone TO root@'127.%'",
        "GRANT SELECT ON *.* TO root@'127.%' IDENTIFIED BY 'evil'",
    ] {
        assert_eq!(bench.refused(sql).0, 1290, "{sql}");
    }
    // One that came from another node does not count either.
    let name = Name::new("root", "127.0.0.1");
    store::put(&bench.conn, &Account { name, kept: "*0".into(), ..Account::default() }).unwrap();
    bench.accounts.reload(&bench.conn).unwrap();
    assert_eq!(bench.of_client("root", "127.0.0.1"), "'root'@'%'");
    bench.ok("ALTER USER root IDENTIFIED BY 'mine'");
}

#[test]
fn another_way_to_log_in_does_not_open_an_account() {
    let bench = Bench::new();
    bench.ok("CREATE USER a IDENTIFIED BY 'secret'");
    for sql in [
        "ALTER USER a IDENTIFIED WITH caching_sha2_password",
        "ALTER USER a IDENTIFIED WITH mysql_native_password",
        "GRANT SELECT ON shop.* TO a IDENTIFIED WITH caching_sha2_password",
    ] {
        assert_eq!(bench.refused(sql).0, 1235, "{sql}");
    }
    assert!(bench.ok("CREATE USER b IDENTIFIED WITH caching_sha2_password").ends_with("AS ''"));
    bench.ok("ALTER USER b IDENTIFIED WITH mysql_native_password");
    let long = "x".repeat(257);
    for sql in [format!("CREATE USER c IDENTIFIED BY '{long}'"), format!("SET PASSWORD FOR b = '{long}'")] {
        assert_eq!(bench.refused(&sql).0, 1819);
    }
}

#[test]
fn code_in_a_versioned_comment_counts() {
    let bench = Bench::new();
    assert_eq!(
        bench.ok("CREATE USER a /*! REQUIRE SSL */ /*!80000 ACCOUNT LOCK */"),
        "CREATE USER 'a'@'%' REQUIRE SSL ACCOUNT LOCK"
    );
    assert_eq!(bench.ok("ALTER USER a /*!99999 ACCOUNT UNLOCK */"), "ALTER USER 'a'@'%'");
}

#[test]
fn who_passes_on_a_privilege_has_it() {
    let bench = Bench::new();
    bench.ok("CREATE USER a, b");
    bench.ok("GRANT SELECT ON shop.* TO a WITH GRANT OPTION");
    let check = |sql: &str| {
        let error = changes::check(&bench.read(sql).unwrap(), &bench.rights("a", "%")).err();
        error.map_or(0, |error| error.code)
    };
    assert_eq!(check("GRANT SELECT ON shop.t TO b"), 0);
    assert_eq!(check("GRANT INSERT ON shop.t TO b"), 1142);
    assert_eq!(check("GRANT SELECT ON other.* TO b"), 1044);
    assert_eq!(check("GRANT SELECT ON *.* TO b"), 1045);
    assert_eq!(check("GRANT SELECT ON shop.t TO b IDENTIFIED BY 'x'"), 1227);
    assert_eq!(check("CREATE USER c"), 1227);
    assert_eq!(check("ALTER USER a IDENTIFIED BY 'x'"), 0);
    assert_eq!(check("ALTER USER a REQUIRE NONE"), 1227);
    assert_eq!(check("SET PASSWORD FOR b = 'x'"), 1227);
    assert_eq!(check("SHOW GRANTS FOR b"), 1044);
    assert_eq!(check("FLUSH PRIVILEGES"), 1227);
    bench.ok("GRANT SELECT ON app_db.* TO a WITH GRANT OPTION");
    assert_eq!(check("GRANT SELECT ON app_db.* TO b"), 0);
    assert_eq!(check("GRANT SELECT ON `app%db`.* TO b"), 1044);
    assert_eq!(check("GRANT SELECT ON appXdb.* TO b"), 1044);
}
