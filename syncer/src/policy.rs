//! Which version of a diverged row wins.
//!
//! A policy is a rule that a person chose. Where it does not decide, the row is left as it is on every node, and is
//! reported with the reason. No policy looks at a clock of ours, and none decides a tie.

use checker::Divergence;
use database::Value;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// How the winner of a divergence is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// What this node holds; also that it holds no such row.
    Prefer(Box<str>),
    /// What more than half of all nodes hold.
    Majority,
    /// The row with the greatest or the least value in a column.
    Extreme(Extreme),
    /// Where there is only one content of the row, it is inserted where it is missing. Nothing else is decided.
    InsertOnly,
    /// Where a node has no such row, it is deleted on the others. Nothing else is decided.
    DeleteWins,
    /// A person is asked for each row; as a rule, it decides nothing.
    Ask,
}

/// A rule about the values of one column. It does not decide where a node has no such row, because a missing row has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extreme {
    /// The rule's name: `newest`, `greatest` (the same) or `least`.
    pub word: &'static str,
    /// The column.
    pub column: Box<str>,
    /// The node whose row wins where several rows have the best value, if it has one of them; without one such rows are left.
    pub tie: Option<Box<str>>,
}

/// The rules about a column.
const EXTREMES: [&str; 3] = ["newest", "greatest", "least"];
/// What stands between a column and the node that wins a tie.
const TIE: &str = ",tie=";

/// What a policy says of a divergence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The version at this place in the divergence's list wins.
    Winner(usize),
    /// The row is left, for this reason.
    Undecided(String),
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Policy, String> {
        let wrong = || {
            format!(
                "'{text}' is no policy; there are prefer=NODE, majority, newest=COLUMN, greatest=COLUMN, least=COLUMN (each with \
                 {TIE}NODE if a tie is to be decided), insert-only, delete-wins and ask"
            )
        };
        match text.split_once('=') {
            Some(("prefer", node)) if !node.is_empty() => Ok(Policy::Prefer(node.into())),
            Some((rule, rest)) => {
                let word = EXTREMES.into_iter().find(|word| *word == rule).ok_or_else(wrong)?;
                let (column, tie) =
                    rest.split_once(TIE).map_or((rest, None), |(column, tie)| (column, Some(tie)));
                if column.is_empty() || tie == Some("") {
                    return Err(wrong());
                }
                Ok(Policy::Extreme(Extreme { word, column: column.into(), tie: tie.map(Into::into) }))
            }
            None if text == "majority" => Ok(Policy::Majority),
            None if text == "insert-only" => Ok(Policy::InsertOnly),
            None if text == "delete-wins" => Ok(Policy::DeleteWins),
            None if text == "ask" => Ok(Policy::Ask),
            None => Err(wrong()),
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Policy::Prefer(node) => write!(f, "prefer={node}"),
            Policy::Majority => f.write_str("majority"),
            Policy::Extreme(Extreme { word, column, tie: None }) => write!(f, "{word}={column}"),
            Policy::Extreme(Extreme { word, column, tie: Some(tie) }) => {
                write!(f, "{word}={column}{TIE}{tie}")
            }
            Policy::InsertOnly => f.write_str("insert-only"),
            Policy::DeleteWins => f.write_str("delete-wins"),
            Policy::Ask => f.write_str("ask"),
        }
    }
}

impl Policy {
    /// Chooses the winner of a divergence.
    #[must_use]
    pub fn decide(&self, divergence: &Divergence) -> Decision {
        match self {
            Policy::Prefer(node) => prefer(divergence, node),
            Policy::Majority => majority(divergence),
            Policy::Extreme(rule) => extreme(divergence, rule),
            Policy::InsertOnly => insert_only(divergence),
            Policy::DeleteWins => delete_wins(divergence),
            Policy::Ask => Decision::Undecided("nobody was asked".into()),
        }
    }

    /// The nodes that the policy names, to be replaced by the names that they have in the cluster.
    pub fn node(&mut self) -> Option<&mut Box<str>> {
        match self {
            Policy::Prefer(node) => Some(node),
            Policy::Extreme(rule) => rule.tie.as_mut(),
            _ => None,
        }
    }
}

fn prefer(divergence: &Divergence, node: &str) -> Decision {
    let holds = |version: &checker::Version| version.nodes.iter().any(|holder| **holder == *node);
    match divergence.versions.iter().position(holds) {
        Some(place) => Decision::Winner(place),
        None => Decision::Undecided(format!("{node} was not read")),
    }
}

fn majority(divergence: &Divergence) -> Decision {
    let nodes: usize = divergence.versions.iter().map(|version| version.nodes.len()).sum();
    match divergence.versions.iter().position(|version| version.nodes.len() * 2 > nodes) {
        Some(place) => Decision::Winner(place),
        None => Decision::Undecided(format!("no version is held by more than half of the {nodes} nodes")),
    }
}

fn insert_only(divergence: &Divergence) -> Decision {
    let rows: Vec<usize> =
        (0..divergence.versions.len()).filter(|&n| divergence.versions[n].row.is_some()).collect();
    match rows[..] {
        [place] => Decision::Winner(place),
        _ => Decision::Undecided(
            "the row is there in more than one version; insert-only changes no row".into(),
        ),
    }
}

fn delete_wins(divergence: &Divergence) -> Decision {
    match divergence.versions.iter().position(|version| version.row.is_none()) {
        Some(place) => Decision::Winner(place),
        None => Decision::Undecided("every node has the row; delete-wins changes no row".into()),
    }
}

fn extreme(divergence: &Divergence, rule: &Extreme) -> Decision {
    let Extreme { word, column, tie } = rule;
    let known = |known: &database::Column| known.name.eq_ignore_ascii_case(column);
    let Some(at) = divergence.table.columns.iter().position(known) else {
        return Decision::Undecided(format!("the table has no column {column}"));
    };
    let mut values = Vec::new();
    for version in &divergence.versions {
        let Some(row) = &version.row else {
            return Decision::Undecided(format!(
                "{} has no such row, so {column} cannot tell whether it was deleted or never inserted",
                version.nodes.join(", ")
            ));
        };
        values.push(row.values().into_iter().nth(at).unwrap_or(Value::Null));
    }
    let better = |a: usize, b: usize| match *word {
        "least" => greater(&values[b], &values[a]),
        _ => greater(&values[a], &values[b]),
    };
    let best: Vec<usize> =
        (0..values.len()).filter(|&n| (0..values.len()).all(|other| !better(other, n))).collect();
    // values that cannot be compared leave several that nothing is better than
    let tied = best.windows(2).all(|pair| values[pair[0]].is(&values[pair[1]]));
    let holds = |n: &usize, node: &str| divergence.versions[*n].nodes.iter().any(|holder| **holder == *node);
    match (&best[..], tie) {
        ([place], _) => Decision::Winner(*place),
        (_, Some(node)) if tied => match best.iter().find(|n| holds(n, node)) {
            Some(place) => Decision::Winner(*place),
            None => Decision::Undecided(format!("{node} holds none of the rows with the {word} {column}")),
        },
        _ => Decision::Undecided(format!("no version alone has the {word} {column}")),
    }
}

/// Whether `a` is certainly greater than `b`. NULL is less than all else; values of two kinds are not compared.
fn greater(a: &Value, b: &Value) -> bool {
    let order = match (a, b) {
        (Value::Null, _) => Some(Ordering::Less),
        (_, Value::Null) => Some(Ordering::Greater),
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Uint(a), Value::Uint(b)) => Some(a.cmp(b)),
        (Value::Uint(_), Value::Int(_)) => Some(Ordering::Greater),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        // fixed width, so the order of the text is the order of time
        (Value::Date(a), Value::Date(b)) | (Value::DateTime(a), Value::DateTime(b)) => Some(a.cmp(b)),
        (Value::Decimal(a), Value::Decimal(b)) => decimal_order(a, b),
        _ => None,
    };
    order == Some(Ordering::Greater)
}

/// Compares two decimals of one scale: first by sign, then by the number of digits before the point, then by digits.
fn decimal_order(a: &str, b: &str) -> Option<Ordering> {
    let split = |text: &str| {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        (negative, whole.trim_start_matches('0').to_owned(), fraction.to_owned())
    };
    let ((a_negative, a_whole, a_rest), (b_negative, b_whole, b_rest)) = (split(a), split(b));
    let magnitude =
        a_whole.len().cmp(&b_whole.len()).then_with(|| (&a_whole, &a_rest).cmp(&(&b_whole, &b_rest)));
    match (a_negative, b_negative) {
        (false, false) => Some(magnitude),
        (true, true) => Some(magnitude.reverse()),
        (false, true) => Some(Ordering::Greater),
        (true, false) => Some(Ordering::Less),
    }
}

/// The policies of a run: the first whose pattern matches the table, else the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// For tables that no pattern matches; none: such rows are left.
    pub default: Option<Policy>,
    /// Selections of tables, and the policy of each.
    pub tables: Vec<(checker::Selection, Policy)>,
}

impl Policies {
    /// Chooses the winner of a divergence.
    #[must_use]
    pub fn decide(&self, divergence: &Divergence) -> Decision {
        let (database, name) = (&divergence.table.database, &divergence.table.name);
        let own =
            self.tables.iter().find(|(tables, _)| tables.contains(database, name)).map(|(_, policy)| policy);
        match own.or(self.default.as_ref()) {
            Some(policy) => policy.decide(divergence),
            None => Decision::Undecided("no policy was given".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use database::{Column, Key, Kind, Row, Table};
    use std::sync::Arc;

    fn divergence(held: &[Option<i64>]) -> Divergence {
        let column = |name: &str| Column {
            name: name.into(),
            definition: "int".into(),
            kind: Kind::Integer,
            generated: false,
            restamped: false,
        };
        let table = Arc::new(Table {
            database: "shop".into(),
            name: "stock".into(),
            columns: vec![column("id"), column("at")],
            key: vec![0],
            key_name: "PRIMARY".into(),
            rows_estimate: 0,
            filter: None,
        });
        let rows: Vec<_> =
            held.iter().map(|at| at.map(|at| Row::new(&[Value::Int(1), Value::Int(at)]))).collect();
        let nodes: Vec<Box<str>> = (1..=held.len()).map(|n| format!("n{n}").into()).collect();
        Divergence::new(&table, &Key::new(&[Value::Int(1)]), &rows, &nodes)
    }

    fn winner(policy: &str, held: &[Option<i64>]) -> Option<Option<i64>> {
        let divergence = divergence(held);
        match policy.parse::<Policy>().unwrap().decide(&divergence) {
            Decision::Undecided(_) => None,
            Decision::Winner(place) => Some(divergence.versions[place].row.as_ref().map(|row| {
                let Value::Int(at) = row.values()[1] else { panic!("not an integer") };
                at
            })),
        }
    }

    #[test]
    fn each_policy_decides_what_it_says_and_nothing_else() {
        assert_eq!(winner("prefer=n2", &[Some(1), Some(2)]), Some(Some(2)));
        assert_eq!(winner("prefer=n2", &[Some(1), None]), Some(None));
        assert_eq!(winner("prefer=n9", &[Some(1), None]), None);
        assert_eq!(winner("majority", &[Some(1), Some(2)]), None);
        assert_eq!(winner("majority", &[Some(1), Some(2), Some(2)]), Some(Some(2)));
        assert_eq!(winner("majority", &[Some(1), None, None]), Some(None));
        assert_eq!(winner("majority", &[Some(1), Some(2), Some(3)]), None);
        assert_eq!(winner("newest=at", &[Some(-5), Some(2)]), Some(Some(2)));
        assert_eq!(winner("newest=at", &[Some(2), None]), None);
        assert_eq!(winner("newest=nothing", &[Some(2), Some(3)]), None);
        assert_eq!(winner("greatest=at", &[Some(7), Some(2), Some(7)]), Some(Some(7)));
        assert_eq!(winner("least=at", &[Some(-5), Some(2)]), Some(Some(-5)));
        assert_eq!(winner("least=at", &[None, Some(2)]), None);
        assert_eq!(winner("delete-wins", &[Some(2), None]), Some(None));
        assert_eq!(winner("delete-wins", &[Some(2), Some(3)]), None);
        assert_eq!(winner("insert-only", &[Some(2), None]), Some(Some(2)));
        assert_eq!(winner("insert-only", &[Some(2), Some(3)]), None);
        assert_eq!(winner("ask", &[Some(2), Some(3)]), None);
    }

    #[test]
    fn a_tie_is_decided_by_the_node_that_was_named_for_it() {
        // the column alone is equal, the rows are not
        let key = Key::new(&[Value::Int(1)]);
        let table = divergence(&[Some(1), Some(2)]).table;
        let row = |at| Some(Row::new(&[Value::Int(at), Value::Int(9)]));
        let nodes = ["n1".into(), "n2".into(), "n3".into()];
        let tied = Divergence::new(&table, &key, &[row(1), row(2), row(3)], &nodes);
        let decide = |policy: &str| policy.parse::<Policy>().unwrap().decide(&tied);
        assert_eq!(decide("newest=at,tie=n2"), Decision::Winner(1));
        assert!(matches!(decide("newest=at"), Decision::Undecided(_)));
        assert!(matches!(decide("least=at,tie=n9"), Decision::Undecided(_)));
        let policy: Policy = "newest=at,tie=n2".parse().unwrap();
        assert_eq!(policy.to_string(), "newest=at,tie=n2");
    }

    #[test]
    fn a_word_that_is_no_policy_is_refused_with_the_list() {
        for text in ["", "prefer", "prefer=", "majority=2", "oldest=at", "newest=", "least=at,tie="] {
            assert!(text.parse::<Policy>().unwrap_err().contains("prefer=NODE"), "{text}");
        }
    }

    #[test]
    fn decimals_are_ordered_by_value() {
        for (less, more) in [("9.50", "10.00"), ("-10.00", "-9.50"), ("-0.01", "0.00"), ("1.25", "1.26")] {
            assert_eq!(decimal_order(less, more), Some(Ordering::Less), "{less} {more}");
        }
    }
}
