//! How deep a syntax tree can become, told from its tokens before there is a tree.
//!
//! The parser bounds how deep parentheses nest, but `1 + 1 + 1 ..` and `SELECT .. UNION SELECT .. UNION ..` are
//! loops to it that build a tree as deep as the chain is long. Everything that walks a tree (and its end) is
//! recursive, so one such text could end the node by a stack overflow. So chains are measured first: what stands
//! between two commas of the same parentheses is at most as deep as it has operators, and the deepest
//! parentheses in it add to that. Long lists (IN, VALUES) are not deep.
//!
//! Invariant: a tree is never deeper than its measure, apart from what the parser's own limit bounds.

use sqlparser::tokenizer::Token;

/// The deepest chain that is parsed: room for `a = 1 OR a = 2 ..` of 5,000 steps, each of two operators. The
/// translator bounds what is not AND and OR far more narrowly.
pub const MAX_CHAIN: usize = 12_000;

/// A set operation takes as much stack as this many operators at least; so there are at most the 500 that SQLite takes.
const SET_WEIGHT: usize = 24;

/// What is open at one level of parentheses.
#[derive(Clone, Copy, Default)]
struct Level {
    /// Set operations since the parenthesis opened.
    sets: usize,
    /// The deepest part between two commas so far.
    deepest: usize,
    /// Operators since the last comma.
    operators: usize,
    /// The deepest parentheses since the last comma.
    inner: usize,
}

impl Level {
    fn end_part(&mut self) {
        self.deepest = self.deepest.max(self.operators + self.inner);
        (self.operators, self.inner) = (0, 0);
    }

    fn measure(mut self) -> usize {
        self.end_part();
        self.sets * SET_WEIGHT + self.deepest
    }
}

/// The measure of a statement.
pub fn measure<'t>(tokens: impl Iterator<Item = &'t Token>) -> usize {
    let mut outer: Vec<Level> = Vec::new();
    let mut level = Level::default();
    for token in tokens {
        match token {
            Token::LParen => outer.push(std::mem::take(&mut level)),
            Token::RParen => {
                let inner = level.measure();
                level = outer.pop().unwrap_or_default();
                level.inner = level.inner.max(inner);
            }
            Token::Comma => level.end_part(),
            Token::Word(word) if word.quote_style.is_none() => match kind(&word.value) {
                Some(true) => level.sets += 1,
                Some(false) => level.operators += 1,
                None => {}
            },
            Token::Word(_)
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::HexStringLiteral(_)
            | Token::Placeholder(_)
            | Token::Whitespace(_)
            | Token::Period
            | Token::SemiColon
            | Token::EOF => {}
            _ => level.operators += 1,
        }
    }
    // Parentheses that are never closed are an error, but not before they are parsed.
    while let Some(mut parent) = outer.pop() {
        parent.inner = parent.inner.max(level.measure());
        level = parent;
    }
    level.measure()
}

/// Whether a word chains, and if so whether it joins queries.
fn kind(word: &str) -> Option<bool> {
    const SETS: [&str; 4] = ["UNION", "EXCEPT", "INTERSECT", "MINUS"];
    const OPERATORS: [&str; 18] = [
        "AND", "OR", "XOR", "NOT", "DIV", "MOD", "IS", "IN", "LIKE", "RLIKE", "REGEXP", "BETWEEN", "COLLATE",
        "ESCAPE", "MEMBER", "OVERLAPS", "AT", "JOIN",
    ];
    let is = |list: &[&str]| list.iter().any(|known| word.eq_ignore_ascii_case(known));
    if is(&SETS) {
        return Some(true);
    }
    is(&OPERATORS).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::super::parse::Text;
    use super::*;

    fn of(sql: &str) -> Result<usize, u16> {
        Text::new(sql.as_bytes()).map(|text| measure(text.solid())).map_err(|error| error.code)
    }

    #[test]
    fn chains_are_deep_and_lists_are_not() {
        assert_eq!(of("SELECT 1 + 2, 3 + 4 + 5"), Ok(2));
        assert_eq!(of("SELECT (1 + 2) * (3 + 4 * (5 - 6))"), Ok(4));
        assert_eq!(of("SELECT 1, 2 UNION SELECT 3, 4 UNION SELECT 5, 6"), Ok(2 * SET_WEIGHT));
        assert_eq!(of(&format!("SELECT a IN (1{})", ",-1".repeat(40_000))), Ok(2));
        assert_eq!(of(&format!("INSERT INTO t VALUES (1, 2){}", ",(1 + 1, -2)".repeat(5_000))), Ok(1));
    }

    #[test]
    fn what_would_overflow_the_stack_is_refused() {
        for (first, more) in [
            ("SELECT 1", " UNION SELECT 1, 2"),
            ("SELECT 1", "+1"),
            ("SELECT 1", " AND 1"),
            ("SELECT 1", " IS NULL"),
            ("SELECT 1", " COLLATE utf8mb4_bin"),
            ("SELECT a", "->'$.a'"),
            ("CREATE TABLE t (a INT", "[]"),
            ("SET @a = 1", "|1"),
        ] {
            assert_eq!(of(&format!("{first}{}", more.repeat(20_000))), Err(1436), "{more}");
        }
        let nested = |depth| format!("{}1{}", "(".repeat(depth), "+1)".repeat(depth));
        assert_eq!(of(&format!("SELECT {}", nested(20_000))), Err(1436));
        let wide = "+1".repeat(9_000);
        assert_eq!(of(&format!("SELECT ((1{wide}){wide}){wide}")), Err(1436));
    }
}
