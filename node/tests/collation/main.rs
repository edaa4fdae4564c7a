//! Text is ordered as a MariaDB orders it: weights, equality, keys, patterns, and which collation wins.
//!
//! One MariaDB is started for all of it; without one the tests say so and check nothing, and the weights are held
//! by a checksum beside the code (`sql/collation/tests.rs`). The tables of weights are written anew by
//! `EVENSUM_COLLATION_WRITE=1 cargo test -p node --test collation weights`.

#![allow(clippy::unwrap_used, clippy::panic)] // a test ends where something is not as it has to be

#[path = "../cluster/mod.rs"]
mod cluster;
mod statements;
mod texts;
mod weights;

use cluster::mariadb::Server;
use cluster::{Client, Member};

/// A node and a MariaDB, asked the same.
pub struct Both {
    node: Member,
    maria: Client,
    wrong: Vec<String>,
}

impl Both {
    fn new(server: &Server) -> Both {
        let mut both = Both { node: Member::new(1, 1), maria: server.client(), wrong: Vec::new() };
        both.run("SET NAMES utf8mb4");
        both
    }

    /// Runs a statement that has to succeed on both.
    fn run(&mut self, sql: &str) {
        self.node.client.run(&[sql]);
        self.maria.run(&[sql]);
    }

    /// Both have to answer the same: the same rows, or the same error.
    fn same(&mut self, sql: &str) {
        let answer = |client: &mut Client| match client.query(sql) {
            Ok(rows) => format!("{rows:?}"),
            Err(error) => format!("error {}", error.0),
        };
        let (node, maria) = (answer(&mut self.node.client), answer(&mut self.maria));
        if node.starts_with("error") && maria.starts_with("error") {
            println!("refused by both, {node}: {}", sql.chars().take(200).collect::<String>());
        }
        if node != maria {
            let cut = |text: String| text.chars().take(300).collect::<String>();
            self.wrong.push(format!(
                "{}\n  node:    {}\n  MariaDB: {}",
                cut(sql.into()),
                cut(node),
                cut(maria)
            ));
        }
    }

    fn end(self) {
        let (all, first) = (self.wrong.len(), self.wrong.iter().take(40).cloned().collect::<Vec<_>>());
        assert!(all == 0, "{all} answers differ\n{}", first.join("\n"));
    }
}

#[test]
fn text_is_ordered_as_mariadb_orders_it() {
    let Some(server) = Server::start(&[]) else { return };
    weights::check(&server);
    statements::check(Both::new(&server));
    texts::check(Both::new(&server));
    texts::check_characters(Both::new(&server));
}
