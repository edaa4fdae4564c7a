//! SQLite's plans for the queries that read tables piece by piece: by the key, in its order, without sorting.

use std::sync::Arc;

use rusqlite::params_from_iter;
use sqlparser::ast::Statement;

use super::{Inside, rows, run};
use crate::session::Session;
use crate::sql::parse::Text;

fn plan(session: &Session, sql: &str) -> String {
    let Statement::Query(query) = Text::new(sql.as_bytes()).unwrap().statement().unwrap() else {
        panic!("{sql}")
    };
    let desk = Arc::clone(&session.desk);
    let state = desk.lock();
    let catalog = session.engine.store.catalog(&state.conn).unwrap();
    let (compiled, binds) = session.compile(&state.conn, &catalog, &query, &[]).unwrap();
    let mut statement = state.conn.prepare(&format!("EXPLAIN QUERY PLAN {}", compiled.sql)).unwrap();
    let steps: Vec<String> = statement
        .query_map(params_from_iter(&binds), |row| row.get(3))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    format!("{sql}\n{}\n{}", compiled.sql, steps.join("\n"))
}

#[test]
fn ranges_of_keys_are_searched_and_come_in_order() {
    let inside = Inside::new();
    let mut s = inside.session();
    run(&mut s, "CREATE TABLE a (id INT PRIMARY KEY, n INT, KEY (n))");
    run(
        &mut s,
        "CREATE TABLE b (s VARCHAR(20), n BIGINT UNSIGNED, d DECIMAL(9,2), v INT, PRIMARY KEY (s, n))",
    );
    run(
        &mut s,
        "CREATE TABLE c (d DECIMAL(9,2) PRIMARY KEY, t DATETIME(3), b VARBINARY(9), e TIMESTAMP, u BIGINT UNSIGNED, KEY (t), KEY (b), KEY (e), UNIQUE (u))",
    );
    for sql in [
        "SELECT * FROM a WHERE id >= 5 AND id < 900 ORDER BY id LIMIT 100",
        "SELECT * FROM a WHERE id >= '5' ORDER BY a.id",
        "SELECT * FROM a WHERE n = 5",
        "SELECT * FROM a WHERE id IN (1, 2, 3)",
        "SELECT * FROM b WHERE (s, n) > ('x', 3) ORDER BY s, n LIMIT 1",
        "SELECT * FROM b WHERE (s, n) IN (('x', 3), ('y', 4))",
        "SELECT * FROM b WHERE s = 'x' AND n > 18446744073709551614",
        "SELECT * FROM b WHERE s >= 'x' AND s < 'y' ORDER BY s, n",
        "SELECT * FROM c WHERE d >= 1 AND d < 7.5 ORDER BY d",
        "SELECT * FROM c WHERE d IN (1, 2.50)",
        "SELECT t FROM c WHERE t >= '2024-01-01' ORDER BY t",
        "SELECT * FROM c WHERE b = 'x'",
        "SELECT * FROM c WHERE e > '2024-01-01'",
        "SELECT * FROM c WHERE u = 5",
        "SELECT a.id, x.n FROM a JOIN a x ON x.id = a.id WHERE a.id = 4",
    ] {
        let plan = plan(&s, sql);
        assert!(
            plan.contains("SEARCH") && !plan.contains("SCAN a") && !plan.contains("TEMP B-TREE"),
            "{plan}"
        );
    }
}

#[test]
fn long_lists_pass_the_limits_of_sqlite() {
    let inside = Inside::new();
    let mut s = inside.session();
    run(&mut s, "CREATE TABLE a (id INT PRIMARY KEY, s VARCHAR(9))");
    run(&mut s, "INSERT INTO a VALUES (39999, 'it''s'), (3, 'b')");
    let ids: Vec<String> = (0..40_000).map(|n| n.to_string()).collect();
    assert_eq!(
        rows(&mut s, &format!("SELECT id FROM a WHERE id IN ({}) ORDER BY id", ids.join(","))),
        ["3", "39999"]
    );
    let ors: Vec<String> = (0..5_000).map(|n| format!("id = {n}")).collect();
    assert_eq!(rows(&mut s, &format!("SELECT id FROM a WHERE {}", ors.join(" OR "))), ["3"]);
    let tuples: Vec<String> = (0..20_000).map(|n| format!("({}, 'it''s')", n * 2 + 1)).collect();
    assert_eq!(rows(&mut s, &format!("SELECT id FROM a WHERE (id, s) IN ({})", tuples.join(","))), ["39999"]);
}
