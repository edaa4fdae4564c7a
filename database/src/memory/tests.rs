use super::*;
use crate::conformance::{self, Fixture};

/// One node of a ring of one, filled behind its log's back and written through it.
struct Model {
    cluster: Cluster,
    node: Connection,
}

impl Model {
    fn new() -> Model {
        let cluster = Cluster::ring(1);
        let node = cluster.connect(0);
        Model { cluster, node }
    }
}

impl Fixture for Model {
    type Node = Connection;

    fn node(&mut self) -> &mut Connection {
        &mut self.node
    }

    async fn load(&mut self, tables: &[(Table, Vec<Row>)]) -> std::result::Result<(), String> {
        *self = Model::new();
        for (table, rows) in tables {
            self.cluster.define(0, table);
            if table.key.is_empty() {
                let counted = table.as_multiset();
                for row in rows {
                    let copies = rows.iter().filter(|other| *other == row).count().cast_signed();
                    let copies = Value::Int(i64::try_from(copies).unwrap());
                    let (key, row) = (Key::from_bytes(row.bytes()), [row.values(), vec![copies]].concat());
                    self.cluster.corrupt(0, &counted, &key, Some(&Row::new(&row)));
                }
                continue;
            }
            rows.iter().for_each(|row| self.cluster.corrupt(0, table, &table.key_of(row.bytes()), Some(row)));
        }
        Ok(())
    }

    async fn write(&mut self, edit: &Edit) -> std::result::Result<bool, String> {
        self.cluster.write(0, &edit.table, &edit.key, edit.wanted.clone());
        Ok(true)
    }

    fn knows_conditions(&self) -> bool {
        false
    }

    fn enforces_types(&self) -> bool {
        false
    }

    fn collates(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn the_model_passes_the_kit() {
    let outcome = conformance::run(&mut Model::new()).await;
    assert!(outcome.failed.is_empty(), "{outcome}");
    let (mut node, mut ledger) = (Cluster::ring(1).connect(0), Cluster::ring(1).connect(0));
    ledger.cluster = node.cluster.clone();
    node.node = 0;
    let outcome = conformance::run_ledger(&mut node, &mut ledger).await;
    assert!(outcome.failed.is_empty(), "{outcome}");
}
