//! The tables of a server, in three questions to `information_schema` for all of them together.
//!
//! A definition is brought to one form, because servers of different age write one type differently: integers lose
//! their display width, which means nothing, and `utf8` is called `utf8mb3`, which it is.
//!
//! Invariant: of several usable keys every node takes the same one: the primary key, else the unique key with the
//! fewest columns, else the first by name. A key is usable if no column of it is nullable or a prefix.

use super::fault::Fault;
use super::link::{Answer, Link};
use super::{LEDGER, Watch};
use crate::Reference;
use crate::table::{Column, Kind, Table};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Databases that belong to the server.
const SYSTEM: [&str; 5] =
    ["mysql", "information_schema", "performance_schema", "sys", "mysql_innodb_cluster_metadata"];

type Name = (String, String);

/// All base tables but the server's own and those of the ledger, in order of name.
///
/// MariaDB calls a base table that keeps the former versions of its rows otherwise; what is read of it are the rows
/// of now. Views and sequences have no rows of their own.
///
/// On a server of its own kind (not the bundled node, which has no such values), an ENUM or SET of which two values may
/// be one text is read by its numbers.
pub(super) async fn tables(link: &mut Link, ledger: &str, watch: Watch) -> Result<Vec<Table>, Fault> {
    let own = SYSTEM.map(|name| format!("'{name}'"));
    let elsewhere = format!("TABLE_SCHEMA NOT IN ({})", own.join(", "));
    let found = link
        .ask(&format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_ROWS FROM information_schema.TABLES \
             WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND {elsewhere}"
        ))
        .await?;
    let columns = link
        .ask(&format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME, \
             IS_NULLABLE, EXTRA FROM information_schema.COLUMNS WHERE {elsewhere} \
             ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION"
        ))
        .await?;
    let indexes = link
        .ask(&format!(
            "SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, COLUMN_NAME, SUB_PART, NULLABLE \
             FROM information_schema.STATISTICS WHERE NON_UNIQUE = 0 AND {elsewhere} \
             ORDER BY TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX"
        ))
        .await?;
    let mut tables = assemble(&found, columns, indexes);
    tables.retain(|table| !is_ledger(table, ledger));
    if watch == Watch::Locks {
        let columns = tables.iter_mut().flat_map(|table| &mut table.columns);
        columns.filter(|column| ambiguous(column)).for_each(|column| column.kind = Kind::Integer);
    }
    Ok(tables)
}

/// Whether a table is evensum's own, in the database that was chosen for it or in the usual one, where other runs may
/// keep theirs. Only these: others may share the database. A server may have spelt the database its own way.
fn is_ledger(table: &Table, ledger: &str) -> bool {
    [ledger, LEDGER].iter().any(|name| table.database.eq_ignore_ascii_case(name))
        && super::ledger::TABLES.iter().any(|(name, _)| *table.name == **name)
}

fn assemble(found: &Answer, columns: Answer, indexes: Answer) -> Vec<Table> {
    let mut columns = by_table(columns);
    let mut indexes = by_table(indexes);
    let mut tables: Vec<Table> = found
        .rows
        .iter()
        .filter_map(|row| {
            let [Some(database), Some(name), rows] = row.as_slice() else { return None };
            let of = (database.clone(), name.clone());
            let columns: Vec<Column> =
                columns.remove(&of).unwrap_or_default().iter().filter_map(|row| column(row)).collect();
            let (key_name, key) = key(&columns, &indexes.remove(&of).unwrap_or_default());
            Some(Table {
                database: database.as_str().into(),
                name: name.as_str().into(),
                columns,
                key,
                key_name: key_name.into(),
                rows_estimate: rows.as_deref().and_then(|rows| rows.parse().ok()).unwrap_or(0),
                filter: None,
            })
        })
        .collect();
    tables.sort_by(|a, b| (&a.database, &a.name).cmp(&(&b.database, &b.name)));
    tables
}

/// Whether two values of an ENUM or SET may be the same text: the value of an error is the empty text.
fn ambiguous(column: &Column) -> bool {
    let members = column.members();
    let different: HashSet<&String> = members.iter().collect();
    different.len() < members.len() || members.iter().any(String::is_empty)
}

/// The rows of each table, without its name.
fn by_table(answer: Answer) -> HashMap<Name, Vec<Vec<Option<String>>>> {
    let mut tables: HashMap<Name, Vec<Vec<Option<String>>>> = HashMap::new();
    for mut row in answer.rows {
        let rest = row.split_off(row.len().min(2));
        if let [Some(database), Some(name)] = row.as_mut_slice() {
            tables.entry((std::mem::take(database), std::mem::take(name))).or_default().push(rest);
        }
    }
    tables
}

fn column(row: &[Option<String>]) -> Option<Column> {
    let [Some(name), Some(column_type), charset, collation, nullable, extra] = row else { return None };
    let extra = extra.as_deref().unwrap_or_default().to_ascii_uppercase();
    // MySQL's hidden key: its values are each server's own
    if name == "my_row_id" && extra.contains("AUTO_INCREMENT") && extra.contains("INVISIBLE") {
        return None;
    }
    let modern = |name: &str| match name {
        "utf8" => "utf8mb3".to_owned(),
        _ => name.strip_prefix("utf8_").map_or_else(|| name.to_owned(), |rest| format!("utf8mb3_{rest}")),
    };
    let mut definition = plain_type(column_type);
    for word in [charset, collation].into_iter().flatten() {
        definition.push(' ');
        definition.push_str(&modern(word));
    }
    definition.push_str(if nullable.as_deref() == Some("YES") { " NULL" } else { " NOT NULL" });
    Some(Column {
        name: name.as_str().into(),
        kind: kind(&definition),
        definition: definition.into(),
        // not DEFAULT_GENERATED, which is MySQL's word for a default that is an expression
        generated: ["VIRTUAL", "STORED GENERATED", "PERSISTENT"].iter().any(|word| extra.contains(word)),
        restamped: extra.contains("ON UPDATE"),
    })
}

/// A type without the display width of integers.
fn plain_type(column_type: &str) -> String {
    let (head, rest) = column_type.split_at(column_type.find(['(', ' ']).unwrap_or(column_type.len()));
    let head = head.to_ascii_lowercase();
    if matches!(head.as_str(), "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year") {
        let rest =
            if rest.starts_with('(') { rest.split_once(')').map_or("", |(_, rest)| rest) } else { rest };
        return head + rest;
    }
    head + rest
}

fn kind(definition: &str) -> Kind {
    match definition.split(['(', ' ']).next().unwrap_or_default() {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year" => Kind::Integer,
        "bit" => Kind::Bit,
        "float" => Kind::Float,
        "double" => Kind::Double,
        "decimal" => Kind::Decimal,
        "date" => Kind::Date,
        "datetime" | "timestamp" => Kind::DateTime,
        "time" => Kind::Time,
        "json" => Kind::Json,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" => Kind::Text,
        // MariaDB's own, which travel as their text
        "uuid" | "inet4" | "inet6" => Kind::Text,
        _ => Kind::Bytes,
    }
}

/// The best usable key: its name, and the positions of its columns.
fn key(columns: &[Column], rows: &[Vec<Option<String>>]) -> (String, Vec<usize>) {
    let mut indexes: BTreeMap<&str, Option<Vec<usize>>> = BTreeMap::new();
    for row in rows {
        let [Some(index), column, prefix, nullable] = row.as_slice() else { continue };
        let position = columns
            .iter()
            .position(|known| Some(&*known.name) == column.as_deref())
            .filter(|_| prefix.is_none() && nullable.as_deref() != Some("YES"));
        let all = indexes.entry(index).or_insert_with(|| Some(Vec::new()));
        *all = match (all.take(), position) {
            (Some(mut all), Some(position)) => {
                all.push(position);
                Some(all)
            }
            _ => None,
        };
    }
    indexes
        .into_iter()
        .filter_map(|(name, columns)| columns.map(|columns| (name, columns)))
        .min_by_key(|(name, columns)| (*name != "PRIMARY", columns.len(), *name))
        .map(|(name, columns)| (name.to_owned(), columns))
        .unwrap_or_default()
}

/// Which tables refer to which.
pub(super) async fn references(link: &mut Link) -> Result<Vec<Reference>, Fault> {
    let answer = link
        .ask(
            "SELECT CONSTRAINT_SCHEMA, TABLE_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME \
             FROM information_schema.REFERENTIAL_CONSTRAINTS",
        )
        .await?;
    let named = |row: &Vec<Option<String>>| {
        let [Some(database), Some(child), Some(other), Some(parent)] = &row[..] else { return None };
        let name = |database: &str, table: &str| format!("{database}.{table}").into();
        Some(Reference { child: name(database, child), parent: name(other, parent) })
    };
    Ok(answer.rows.iter().filter_map(named).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[Option<&str>]) -> Vec<Option<String>> {
        values.iter().map(|value| value.map(str::to_owned)).collect()
    }

    #[test]
    fn a_definition_has_one_form_on_all_servers() {
        for (old, new) in [
            ("int(11)", "int"),
            ("bigint(20) unsigned", "bigint unsigned"),
            ("tinyint(1)", "tinyint"),
            ("year(4)", "year"),
        ] {
            assert_eq!(plain_type(old), new);
            assert_eq!(plain_type(new), new);
        }
        assert_eq!(plain_type("decimal(10,2) unsigned"), "decimal(10,2) unsigned");
        assert_eq!(plain_type("enum('A b','c')"), "enum('A b','c')");
        let text = column(&row(&[
            Some("t"),
            Some("varchar(9)"),
            Some("utf8"),
            Some("utf8_bin"),
            Some("YES"),
            Some("DEFAULT_GENERATED"),
        ]));
        let text = text.unwrap();
        assert_eq!(&*text.definition, "varchar(9) utf8mb3 utf8mb3_bin NULL");
        assert!(!text.generated);
        assert_eq!(text.kind, Kind::Text);
    }

    #[test]
    fn the_best_usable_key_is_taken() {
        let columns: Vec<Column> = ["a", "b", "c"]
            .map(|name| Column {
                name: name.into(),
                definition: "int".into(),
                kind: Kind::Integer,
                generated: false,
                restamped: false,
            })
            .to_vec();
        let index = |name, column, prefix, null| row(&[Some(name), Some(column), prefix, Some(null)]);
        let wide = [index("w", "a", None, ""), index("w", "b", None, "")];
        let narrow = [index("z", "c", None, "")];
        let with = |sets: &[&[Vec<Option<String>>]]| key(&columns, &sets.concat());
        assert_eq!(with(&[&wide, &narrow]), ("z".into(), vec![2]));
        assert_eq!(with(&[&narrow, &[index("PRIMARY", "b", None, "")]]), ("PRIMARY".into(), vec![1]));
        assert_eq!(with(&[&[index("n", "a", None, "YES")]]), (String::new(), vec![]));
        assert_eq!(with(&[&[index("p", "a", Some("10"), "")]]), (String::new(), vec![]));
        assert_eq!(key(&columns, &[row(&[Some("f"), None, None, Some("")])]), (String::new(), vec![]));
    }
}
