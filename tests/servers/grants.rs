//! The grants that the documentation lists, taken away one at a time: each time the run says which line is missing, that line and
//! no other, and with that line it works.
//!
//! The lists here are those of README.md, and a test holds them to it.

use super::masters::{Masters, Shape};
use super::server::Program;
use crate::commands::said;
use std::collections::BTreeSet;

/// What a check needs: rights and scope.
const CHECK: [(&str, &str); 5] = [
    ("SELECT", "`shop`.*"),
    ("SELECT", "`evensum`.*"),
    ("INSERT", "`evensum`.*"),
    ("CREATE", "`evensum`.*"),
    ("SLAVE MONITOR", "*.*"),
];
/// What a repair needs besides.
const REPAIR: [(&str, &str); 6] = [
    ("INSERT", "`shop`.*"),
    ("UPDATE", "`shop`.*"),
    ("DELETE", "`shop`.*"),
    ("TRIGGER", "`shop`.*"),
    ("BINLOG ADMIN", "*.*"),
    ("REFERENCES", "*.*"),
];
/// What the doctor needs besides a check, and what forgets old runs.
const MORE: [(&str, &str); 2] = [("BINLOG MONITOR", "*.*"), ("DELETE", "`evensum`.*")];

const ACCOUNT: &str = "`worker`@`127.0.0.1`";

fn line((right, scope): (&str, &str)) -> String {
    format!("GRANT {right} ON {scope} TO {ACCOUNT};")
}

/// The lines that a text names.
fn lines(text: &str) -> BTreeSet<String> {
    let each = text.split("GRANT ").skip(1);
    each.map(|rest| format!("GRANT {};", rest.split(';').next().unwrap())).collect()
}

/// A pair with a table, and an account that has these rights.
fn pair(program: &Program, rights: &[(&str, &str)]) -> Masters {
    let masters = Masters::start(program, Shape::Pair);
    for sql in [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.orders (id INT PRIMARY KEY, v INT)",
        "INSERT INTO shop.orders SELECT seq, seq FROM mysql.seq_1_to_500",
        "CREATE USER worker@'127.0.0.1'",
    ] {
        masters.run(1, sql);
    }
    rights.iter().for_each(|&right| _ = masters.run(1, &line(right)));
    masters.settle();
    masters
}

/// Runs a command as the account; its exit code and all that it says.
fn work(masters: &Masters, words: &[&str]) -> (i32, String) {
    let nodes: Vec<String> = (1..=masters.len())
        .map(|n| format!("mysql://worker@127.0.0.1:{}?name=n{n}", masters.port(n)))
        .collect();
    let mut all = words.to_vec();
    all.push("--no-input");
    all.extend(nodes.iter().map(String::as_str));
    let (code, out, err) = said(&masters.evensum_plain(&all));
    (code, format!("{out}{err}"))
}

/// Takes each right away, sees that it is named, grants what was named, and sees that it was that.
fn each_is_named(masters: &Masters, rights: &[(&str, &str)], words: &[&str], before: &dyn Fn(&Masters)) {
    for &(right, scope) in rights {
        if right == "CREATE" {
            masters.run(1, "DROP DATABASE IF EXISTS evensum");
        }
        masters.run(1, &format!("REVOKE {right} ON {scope} FROM {ACCOUNT}"));
        masters.settle();
        before(masters);
        let (code, text) = work(masters, words);
        let expected = line((right, scope));
        assert_eq!(lines(&text), BTreeSet::from([expected.clone()]), "{code}: {text}");
        // the lag is minded only if it can be, all else is needed
        assert_eq!(code == 0, right == "SLAVE MONITOR", "{expected}: {text}");
        masters.run(1, &expected);
        masters.settle();
        let (code, text) = work(masters, words);
        assert_eq!((code, lines(&text)), (0, BTreeSet::new()), "{expected}: {text}");
    }
}

#[test]
fn a_check_names_each_right_that_it_lacks() {
    let Some(program) = Program::mariadb() else { return };
    let masters = pair(&program, &CHECK);
    let words = ["check", "--tables", "shop.*"];
    let (code, text) = work(&masters, &words);
    assert_eq!((code, lines(&text)), (0, BTreeSet::new()), "{text}");
    each_is_named(&masters, &CHECK, &words, &|_| ());
    // on one node alone it looks like a table that is missing there
    let mut apart = masters.session(2);
    apart.run("SET sql_log_bin = 0").unwrap();
    apart.run(&format!("REVOKE SELECT ON shop.* FROM {ACCOUNT}")).unwrap();
    let (code, text) = work(&masters, &words);
    assert_eq!(code, 2, "{text}");
    assert!(
        text.contains("n2 does not show it to worker@127.0.0.1; to allow it: GRANT SELECT ON `shop`.*"),
        "{text}"
    );
    assert_eq!(lines(&text), BTreeSet::from([line(CHECK[0])]), "{text}");
}

#[test]
fn a_repair_names_each_right_that_it_lacks() {
    let Some(program) = Program::mariadb() else { return };
    let rights = [&CHECK[..], &REPAIR[..]].concat();
    let masters = pair(&program, &rights);
    let words =
        ["sync", "--tables", "shop.*", "--policy", "prefer=n2", "--execute", "--yes", "--settle", "20s"];
    // a row to change, one to insert, one to delete
    let plant = |masters: &Masters| {
        masters.corrupt(
            1,
            &[
                "UPDATE shop.orders SET v = v + 1 WHERE id = 7",
                "DELETE FROM shop.orders WHERE id = 8",
                "INSERT INTO shop.orders VALUES (1001, 1)",
            ],
        );
    };
    plant(&masters);
    let (code, text) = work(&masters, &words);
    assert_eq!((code, lines(&text)), (0, BTreeSet::new()), "{text}");
    each_is_named(&masters, &rights, &words, &plant);
    // where the log cannot be switched off nothing is done at all
    masters.run(1, &format!("REVOKE BINLOG ADMIN ON *.* FROM {ACCOUNT}"));
    masters.settle();
    plant(&masters);
    let rows = || masters.ask(1, "SELECT id, v FROM shop.orders ORDER BY id");
    let before = rows();
    let (code, text) = work(&masters, &words);
    assert_eq!(code, 4, "{text}");
    for words in ["outside the log", "Nothing was changed", "no part of a plan is safe"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(rows(), before);
}

#[test]
fn the_doctor_names_all_rights_that_are_missing() {
    let Some(program) = Program::mariadb() else { return };
    let rights = [&CHECK[..], &REPAIR[..], &MORE[..]].concat();
    let masters = pair(&program, &rights);
    let (_, text) = work(&masters, &["doctor"]);
    // the tables of the tests' own marks are nobody's business here
    let missing = |text: &str| -> BTreeSet<String> {
        lines(text).into_iter().filter(|line| !line.contains("`harness`")).collect()
    };
    assert_eq!(missing(&text), BTreeSet::new(), "{text}");
    for &right in &rights {
        masters.run(1, &format!("REVOKE {} ON {} FROM {ACCOUNT}", right.0, right.1));
        masters.settle();
        let (_, text) = work(&masters, &["doctor"]);
        assert_eq!(missing(&text), BTreeSet::from([line(right)]), "{text}");
        masters.run(1, &line(right));
    }
    masters.run(1, &format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {ACCOUNT}"));
    masters.settle();
    let (code, text) = work(&masters, &["doctor"]);
    assert_eq!(code, 1, "{text}");
    for expected in [
        "GRANT SLAVE MONITOR, BINLOG MONITOR ON *.*",
        "GRANT SELECT ON *.*",
        "GRANT SELECT, INSERT, CREATE ON `evensum`.*",
        "GRANT BINLOG ADMIN, REFERENCES ON *.*",
        "GRANT DELETE ON `evensum`.*",
    ] {
        assert!(text.contains(&format!("{expected} TO {ACCOUNT};")), "{expected}: {text}");
    }
}

#[test]
fn the_documentation_lists_these_rights() {
    let readme = include_str!("../../README.md");
    for (right, scope) in [&CHECK[..], &REPAIR[..], &MORE[..]].concat() {
        let scope = scope.replace('`', "");
        let listed = readme.lines().any(|line| {
            let Some((rights, rest)) = line.strip_prefix("GRANT ").and_then(|line| line.split_once(" ON "))
            else {
                return false;
            };
            rest.starts_with(&format!("{scope} ")) && rights.split(", ").any(|known| known == right)
        });
        assert!(listed, "{right} ON {scope}");
    }
}

#[test]
fn the_shipped_grants_suffice_and_demand_encryption() {
    let Some(program) = Program::mariadb() else { return };
    let masters = pair(&program, &[]);
    let shipped = include_str!("../../share/grants/mariadb.sql");
    let all = shipped.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join(" ");
    let statements: Vec<&str> = all.split(';').map(str::trim).filter(|sql| !sql.is_empty()).collect();
    statements.iter().for_each(|sql| _ = masters.run(1, sql));
    masters.settle();
    for (user, password, words, code) in [
        ("evensum_check", "change me", &["check", "--tables", "shop.*"][..], 0),
        (
            "evensum_repair",
            "change me too",
            &["sync", "--tables", "shop.*", "--policy", "prefer=n2", "--execute", "--yes"],
            0,
        ),
    ] {
        let file = masters.path("password");
        std::fs::write(&file, password).unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let run = || {
            let nodes = (1..=masters.len())
                .map(|n| format!("mysql://{user}@127.0.0.1:{}?name=n{n}", masters.port(n)));
            let nodes: Vec<String> = nodes.collect();
            let mut all = vec!["--no-input", "--password-file", file.to_str().unwrap()];
            all.extend(nodes.iter().map(String::as_str));
            said(&masters.evensum_plain(&[words, &all].concat()))
        };
        // these servers have no certificate, so nobody gets in by the lines as they are
        let (refused, _, err) = run();
        assert_ne!(refused, 0, "{err}");
        masters.run(1, &format!("ALTER USER '{user}'@'%' REQUIRE NONE"));
        masters.settle();
        let (found, out, err) = run();
        assert_eq!((found, lines(&format!("{out}{err}"))), (code, BTreeSet::new()), "{out}{err}");
    }
}
