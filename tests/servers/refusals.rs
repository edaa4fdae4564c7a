//! What a repair says no to, on real servers: each with its reason, and with nothing changed.

use super::masters::{Masters, Shape};
use super::server::Program;
use serde_json::Value;

/// The outcome and the reason of the only step of a repair.
fn only_step(repair: &Value) -> (String, String) {
    let steps = repair["execution"]["steps"].as_array().unwrap_or_else(|| panic!("{repair:#}"));
    let [step] = &steps[..] else { panic!("{repair:#}") };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&step["outcome"]), text(&step["reason"]))
}

fn triggers_are_obeyed(program: &Program) {
    let masters = Masters::start(program, Shape::Pair);
    masters.run(1, "CREATE DATABASE no");
    masters.run(1, "CREATE TABLE no.t (id INT PRIMARY KEY, v INT)");
    masters.run(1, "CREATE TABLE no.seen (id INT AUTO_INCREMENT PRIMARY KEY, v INT)");
    masters.run(
        1,
        "CREATE TRIGGER no.tell AFTER UPDATE ON no.t FOR EACH ROW INSERT INTO no.seen (v) VALUES (NEW.v)",
    );
    masters.run(1, "INSERT INTO no.t VALUES (1, 1), (2, 2)");
    masters.settle();
    masters.corrupt(2, &["UPDATE no.t SET v = 9 WHERE id = 1", "DELETE FROM no.seen"]);
    let repair =
        |how: &str| masters.repair(&["--tables", "no.t", "--policy", "prefer=n1", "--triggers", how]);
    let state =
        || (masters.ask(2, "SELECT v FROM no.t ORDER BY id"), masters.ask(2, "SELECT v FROM no.seen"));
    let before = state();
    for (how, reason) in
        [("refuse", "trigger tell would fire and change"), ("skip", "this server cannot pass it over")]
    {
        let repair = repair(how);
        let (outcome, why) = only_step(&repair);
        assert!(outcome == "refused" && why.contains(reason), "{how}: {repair:#}");
        assert_eq!(state(), before, "{how}");
    }
    let repair = repair("fire");
    assert_eq!(only_step(&repair).0, "mended", "{repair:#}");
    let one = |value: &str| vec![Some(value.to_owned())];
    assert_eq!(state(), (vec![one("1"), one("2")], vec![one("1")]), "the trigger fired once");
    assert_eq!(masters.ask(1, "SELECT v FROM no.seen"), Vec::<Vec<Option<String>>>::new(), "outside the log");
}

#[test]
fn triggers_fire_only_if_they_may_on_mariadb() {
    Program::mariadb().iter().for_each(triggers_are_obeyed);
}

#[test]
fn triggers_fire_only_if_they_may_on_mysql() {
    Program::mysql().iter().for_each(triggers_are_obeyed);
}

#[test]
fn what_the_server_computes_is_not_called_mended() {
    let Some(program) = Program::mariadb() else { return };
    let masters = Masters::start(&program, Shape::Pair);
    masters.run(1, "CREATE DATABASE no");
    masters.settle();
    for (n, sum) in [(1, "v + 1"), (2, "v + 2")] {
        let mut session = masters.session(n);
        for sql in [
            "SET SESSION sql_log_bin = 0",
            &format!("CREATE TABLE no.t (id INT PRIMARY KEY, v INT, sum INT AS ({sum}) STORED)"),
            "INSERT INTO no.t (id, v) VALUES (1, 1)",
        ] {
            session.run(sql).unwrap();
        }
    }
    let repair = masters.repair(&["--tables", "no.*", "--policy", "prefer=n1"]);
    let (outcome, reason) = only_step(&repair);
    assert!(outcome == "refused" && reason.contains("computed by the server"), "{repair:#}");
    assert!(reason.ends_with("(sum)"), "{reason}");
}

#[test]
fn a_table_with_a_hidden_key_is_not_mended() {
    let Some(program) = Program::mysql() else { return };
    let masters = Masters::start(&program, Shape::Pair);
    masters.run(1, "CREATE DATABASE no");
    let mut session = masters.session(1);
    session.run("SET SESSION sql_generate_invisible_primary_key = ON").unwrap();
    session.run("CREATE TABLE no.t (v INT)").unwrap();
    session.run("CREATE TABLE no.unique_too (v INT NOT NULL, w INT)").unwrap();
    session.run("ALTER TABLE no.unique_too ADD UNIQUE (v)").unwrap();
    session.run("INSERT INTO no.t VALUES (1), (1), (2)").unwrap();
    session.run("INSERT INTO no.unique_too VALUES (1, 1), (2, 2), (3, 3)").unwrap();
    masters.settle();
    masters.corrupt(2, &["DELETE FROM no.t WHERE v = 2", "DELETE FROM no.unique_too WHERE v = 2"]);
    for hidden in ["ON", "OFF"] {
        masters.run(2, &format!("SET GLOBAL show_gipk_in_create_table_and_information_schema = {hidden}"));
        for table in ["no.t", "no.unique_too"] {
            let repair = masters.repair(&["--tables", table, "--policy", "prefer=n1"]);
            let (outcome, reason) = only_step(&repair);
            assert!(outcome == "refused" && reason.contains("my_row_id"), "{repair:#}");
            let count = masters.ask(2, &format!("SELECT COUNT(*) FROM {table}"));
            assert_eq!(count, [[Some("2".to_owned())]], "nothing was changed");
        }
    }
}
