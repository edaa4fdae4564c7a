//! What counts as true: WHERE, AND, OR, NOT, IF, CASE WHEN and IS TRUE.
//!
//! SQLite takes a value for a number there, as MySQL does, but for three kinds of values: a quotient counts with
//! the digits that are not seen, an integer above `i64::MAX` is a blob to SQLite, and a time is a text of which
//! it reads the hours alone.

use rusqlite::types::Value as Stored;
use sqlparser::ast::{BinaryOperator, Expr};

use super::conditions;
use super::expression::{Piece, Translator, balanced};
use super::types::Kind;
use crate::SqlError;

impl Translator<'_> {
    /// Translates a condition: a text that SQLite takes for true where MySQL does.
    pub fn truth(&mut self, expr: &Expr) -> Result<String, SqlError> {
        let piece = self.expr(expr)?;
        self.truth_of(piece)
    }

    /// The same of what is translated already.
    pub fn truth_of(&mut self, piece: Piece) -> Result<String, SqlError> {
        let piece = if matches!(piece.kind, Kind::Time(_)) { self.numeric(piece)? } else { piece };
        let great = match (piece.kind, &piece.literal) {
            (Kind::Int { .. }, Some(Stored::Blob(_))) => true,
            (Kind::Int { unsigned }, None) => unsigned || piece.beyond,
            _ => false,
        };
        let sql = self.emit_in_full(&piece);
        // To SQLite a blob is greater than every number.
        Ok(if great { format!("({sql} <> 0)") } else { sql })
    }

    /// IS NULL and IS NOT NULL.
    pub(super) fn null_test(&mut self, inner: &Expr, what: &str) -> Result<Piece, SqlError> {
        let sql = self.text_of(inner)?;
        Ok(Piece::sql(format!("({sql} {what})"), Kind::INT))
    }

    /// IS TRUE and IS FALSE.
    pub(super) fn truth_test(&mut self, inner: &Expr, what: &str) -> Result<Piece, SqlError> {
        let sql = self.truth(inner)?;
        Ok(Piece::sql(format!("({sql} {what})"), Kind::INT))
    }

    pub(super) fn not(&mut self, inner: &Expr) -> Result<Piece, SqlError> {
        let sql = self.truth(inner)?;
        Ok(Piece::sql(format!("(NOT {sql})"), Kind::INT))
    }

    pub(super) fn xor(&mut self, left: &Expr, right: &Expr) -> Result<Piece, SqlError> {
        let (a, b) = (self.truth(left)?, self.truth(right)?);
        Ok(Piece::sql(format!("((NOT {a}) <> (NOT {b}))"), Kind::INT))
    }

    /// AND and OR in a row.
    pub(super) fn chain(
        &mut self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
        word: &str,
    ) -> Result<Piece, SqlError> {
        let mut operands = vec![right];
        let mut rest = left;
        while let Expr::BinaryOp { left, op: inner, right } = rest {
            if inner != op {
                break;
            }
            operands.push(right);
            rest = left;
        }
        operands.push(rest);
        let mut parts = Vec::with_capacity(operands.len());
        for operand in operands.into_iter().rev() {
            let others = std::mem::take(&mut self.aggregates);
            let part = self.truth(operand)?;
            // SQLite evaluates all of them where they are a value, unless it meets a subquery; what is not reached must not refuse the
            // statement. An aggregate would be one over the rows of the subquery.
            let apart = conditions::waits_for_evaluation() && !parts.is_empty() && !self.aggregates;
            let apart = apart && part.contains('(');
            self.aggregates |= others;
            parts.push(if apart { format!("(SELECT {part})") } else { part });
        }
        Ok(Piece::sql(balanced(parts, word), Kind::INT))
    }
}
