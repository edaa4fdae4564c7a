//! What a client sees above a computed column: the expression as it was written.
//!
//! `SELECT COUNT( * ),1+1` has the columns `COUNT( * )` and `1+1`, and an application looks for them by these names. The syntax tree
//! has forgotten the spaces, so the outermost select list is cut out of the text again: at its commas, up to the clause behind it. Where the
//! pieces are not as many as the tree has, the tree's own words stay.
//!
//! Invariant: a title names a column and decides nothing. Not here: columns of derived tables, which keep the tree's words,
//! and literals, which `select` names.

use sqlparser::ast::{Expr, Query, Select, SelectItem, SetExpr};
use sqlparser::tokenizer::{Location, Token};

use super::parse::Text;
use super::select::Output;

/// MariaDB cuts a title here, in characters.
const LONGEST: usize = 255;

/// Words between SELECT and its list.
const MODIFIERS: [&str; 11] = [
    "ALL",
    "DISTINCT",
    "DISTINCTROW",
    "HIGH_PRIORITY",
    "STRAIGHT_JOIN",
    "SQL_SMALL_RESULT",
    "SQL_BIG_RESULT",
    "SQL_BUFFER_RESULT",
    "SQL_CACHE",
    "SQL_NO_CACHE",
    "SQL_CALC_FOUND_ROWS",
];
/// Words behind a select list. All are reserved.
const BEHIND: [&str; 11] =
    ["FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "UNION", "EXCEPT", "INTERSECT", "INTO", "FOR"];

/// Names the computed columns of a query as its text has them.
pub fn give(columns: &mut [Output], query: &Query, text: &str) {
    let Some(select) = first_select(&query.body) else { return };
    let items = &select.projection;
    if !items.iter().any(is_computed) {
        return;
    }
    let Some(titles) = titles(text).filter(|titles| titles.len() == items.len()) else { return };
    // A wildcard stands for as many columns as are left.
    let before = items.iter().take_while(|item| is_one(item)).count();
    let behind = items[before..].iter().rev().take_while(|item| is_one(item)).count();
    let pairs: Vec<(&SelectItem, String)> = items.iter().zip(titles).collect();
    let name = |(column, (item, title)): (&mut Output, &(&SelectItem, String))| {
        if is_computed(item) {
            column.name = title.chars().take(LONGEST).collect();
        }
    };
    columns.iter_mut().zip(&pairs[..before]).for_each(name);
    columns.iter_mut().rev().zip(pairs[pairs.len() - behind..].iter().rev()).for_each(name);
}

fn first_select(body: &SetExpr) -> Option<&Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::Query(query) => first_select(&query.body),
        SetExpr::SetOperation { left, .. } => first_select(left),
        _ => None,
    }
}

fn is_one(item: &SelectItem) -> bool {
    matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })
}

fn is_computed(item: &SelectItem) -> bool {
    match item {
        SelectItem::UnnamedExpr(expr) => match bare(expr) {
            Expr::Identifier(name) => name.value.starts_with('@'),
            Expr::CompoundIdentifier(parts) => parts[0].value.starts_with("@@"),
            other => super::select::literal(other).is_none(),
        },
        _ => false,
    }
}

/// An expression without parentheses around all of it.
pub fn bare(mut expr: &Expr) -> &Expr {
    while let Expr::Nested(inner) = expr {
        expr = inner;
    }
    expr
}

/// The pieces of the outermost select list; none if there is none.
fn titles(sql: &str) -> Option<Vec<String>> {
    let text = Text::new(sql.as_bytes()).ok()?;
    let mut list = List::default();
    let mut before = true;
    let mut modifiers = true;
    // there a word is a name, whatever it is
    let mut behind_period = false;
    for (token, from, to) in text.spanned() {
        let word = match token {
            Token::Word(word) if word.quote_style.is_none() => word.value.to_ascii_uppercase(),
            _ => String::new(),
        };
        if before {
            match token {
                // A list in parentheses may be the query; what WITH names is not.
                Token::LParen if !list.named => {}
                Token::LParen => list.depth += 1,
                Token::RParen => list.depth = list.depth.checked_sub(1)?,
                _ if list.depth == 0 && word == "SELECT" => before = false,
                _ => list.named = true,
            }
            continue;
        }
        modifiers &= MODIFIERS.contains(&word.as_str());
        if modifiers {
            continue;
        }
        let ends = (BEHIND.contains(&word.as_str()) && !behind_period) || *token == Token::RParen;
        if list.depth == 0 && ends {
            break;
        }
        behind_period = *token == Token::Period;
        list.take(token, from, to);
    }
    list.end();
    Some(cut(sql, list.places))
}

/// A select list under way.
#[derive(Default)]
struct List {
    depth: usize,
    /// Whether anything stood before SELECT.
    named: bool,
    at: Option<(Location, Location)>,
    places: Vec<(Location, Location)>,
}

impl List {
    fn take(&mut self, token: &Token, from: Location, to: Location) {
        match token {
            Token::Comma if self.depth == 0 => return self.end(),
            Token::LParen => self.depth += 1,
            Token::RParen => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.at = Some((self.at.map_or(from, |(begin, _)| begin), to));
    }

    fn end(&mut self) {
        self.places.extend(self.at.take());
    }
}

/// The pieces of a text between places, by line and column from 1, in their order.
fn cut(sql: &str, places: Vec<(Location, Location)>) -> Vec<String> {
    let mut places = places.into_iter().peekable();
    let (mut pieces, mut piece) = (Vec::with_capacity(places.len()), String::new());
    let (mut line, mut column) = (1, 1);
    for letter in sql.chars() {
        let here = Location { line, column };
        while places.next_if(|&(_, to)| to <= here).is_some() {
            pieces.push(std::mem::take(&mut piece));
        }
        if places.peek().is_some_and(|&(from, _)| from <= here) {
            piece.push(letter);
        }
        (line, column) = if letter == '\n' { (line + 1, 1) } else { (line, column + 1) };
    }
    pieces.extend(places.next().map(|_| piece));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_of_a_list_are_cut_as_they_are_written() {
        for (sql, wanted) in [
            ("SELECT COUNT( * ),1+1 FROM t", &["COUNT( * )", "1+1"][..]),
            ("select distinct sql_no_cache 1 +\n  2 , f(a,b)  as x", &["1 +\n  2", "f(a,b)  as x"]),
            (
                "SELECT 'ü,', (SELECT 1 FROM t), 2 /* x */ + 3 -- end",
                &["'ü,'", "(SELECT 1 FROM t)", "2 /* x */ + 3"],
            ),
            ("((SELECT 1+1) UNION SELECT 2)", &["1+1"]),
            ("WITH a (b) AS (SELECT 1, 2), c AS (SELECT 3) SELECT b+1, 4 FROM a", &["b+1", "4"]),
            ("SELECT 5;", &["5"]),
            ("SELECT EXTRACT(DAY FROM d), `from` LIMIT 1", &["EXTRACT(DAY FROM d)", "`from`"]),
            ("SELECT o.order + 1, o . from FROM o", &["o.order + 1", "o . from"]),
            ("SHOW TABLES", &[]),
        ] {
            assert_eq!(titles(sql).unwrap(), wanted, "{sql}");
        }
    }
}
