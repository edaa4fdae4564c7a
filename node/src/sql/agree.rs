//! Which collation an operation on several texts takes.
//!
//! As in MariaDB: a COLLATE clause before a value of the tables, that before a literal; where two are as strong,
//! `_bin` wins, and two others are error 1267 rather than an order that neither side asked for. A literal has the
//! collation of the connection. What a function makes of texts has the collation that its arguments agree on.

use sqlparser::ast::{Expr, ObjectName};

use super::collation::{Collation, unknown};
use super::expression::{Piece, Translator};
use super::types::Kind;
use crate::SqlError;

/// Where the collation of a text comes from, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CollationSource {
    /// A COLLATE clause.
    Explicit,
    /// A column, or what was computed from one.
    Value,
    /// A literal, a parameter, or what is text only here.
    Literal,
}

impl CollationSource {
    fn word(self) -> &'static str {
        match self {
            CollationSource::Explicit => "EXPLICIT",
            CollationSource::Value => "IMPLICIT",
            CollationSource::Literal => "COERCIBLE",
        }
    }
}

/// A collation and where it comes from.
pub type Agreed = (Collation, CollationSource);

/// What two texts agree on.
fn two(a: Agreed, b: Agreed, operation: &str) -> Result<Agreed, SqlError> {
    match (a, b) {
        ((x, from), (y, other)) if from != other => Ok(if from < other { (x, from) } else { (y, other) }),
        ((x, from), (y, _)) if x == y => Ok((x, from)),
        ((x, from @ CollationSource::Explicit), (y, _)) => Err(illegal(x, y, from, operation)),
        ((x, from), (y, _)) if [x, y].contains(&Collation::Bin) => Ok((Collation::Bin, from)),
        ((x, from @ CollationSource::Value), (y, _)) => Err(illegal(x, y, from, operation)),
        (first, _) => Ok(first),
    }
}

fn illegal(a: Collation, b: Collation, from: CollationSource, operation: &str) -> SqlError {
    let (a, b, word) = (a.name(), b.name(), from.word());
    SqlError::new(
        1267,
        "HY000",
        format!("Illegal mix of collations ({a},{word}) and ({b},{word}) for operation '{operation}'"),
    )
}

/// The collation of a piece, if it is text. Bytes are ordered by themselves.
#[must_use]
pub fn of_piece(piece: &Piece) -> Option<Agreed> {
    match piece.kind {
        Kind::Text(collation) => Some((collation, piece.source)),
        Kind::Binary => Some((Collation::Bin, CollationSource::Value)),
        _ => None,
    }
}

/// What the texts among these agree on; none if there is no text.
pub fn agreed<'p>(
    pieces: impl IntoIterator<Item = &'p Piece>,
    operation: &str,
) -> Result<Option<Agreed>, SqlError> {
    pieces.into_iter().filter_map(of_piece).try_fold(None, |so_far, next| match so_far {
        None => Ok(Some(next)),
        Some(so_far) => two(so_far, next, operation).map(Some),
    })
}

impl Translator<'_> {
    /// A text of the statement, in the connection's collation.
    #[must_use]
    pub fn literal_text(&self, text: &str) -> Piece {
        Piece { kind: Kind::Text(self.connection), ..Piece::text(text) }
    }

    /// `expr COLLATE name`.
    pub(super) fn collated(&mut self, expr: &Expr, name: &ObjectName) -> Result<Piece, SqlError> {
        let name = name.to_string();
        let collation = Collation::of_name(&name).ok_or_else(|| unknown(&name))?;
        let piece = self.expr(expr)?;
        if piece.kind == Kind::Binary {
            let message = format!("COLLATION '{}' is not valid for CHARACTER SET 'binary'", collation.name());
            return Err(SqlError::new(1253, "42000", message));
        }
        let piece = self.convert(piece, Kind::Text(collation))?;
        Ok(Piece { origin: None, source: CollationSource::Explicit, ..piece })
    }

    /// Takes a text into account that is an argument of the call being translated.
    pub(super) fn argue(&mut self, piece: &Piece, operation: &str) -> Result<(), SqlError> {
        self.argued = match (self.argued, of_piece(piece)) {
            (Some(so_far), Some(next)) => Some(two(so_far, next, operation)?),
            (so_far, next) => so_far.or(next),
        };
        Ok(())
    }

    /// Translates a call; a text that it gives has the collation of its arguments.
    pub(super) fn with_arguments(
        &mut self,
        call: impl FnOnce(&mut Self) -> Result<Piece, SqlError>,
    ) -> Result<Piece, SqlError> {
        let outer = self.argued.take();
        let piece = call(self);
        let argued = std::mem::replace(&mut self.argued, outer);
        let piece = piece?;
        match (piece.kind, argued) {
            (Kind::Text(_), Some((collation, source))) => {
                Ok(Piece { kind: Kind::Text(collation), source, ..piece })
            }
            _ => Ok(piece),
        }
    }

    /// The collation in which the call being translated compares its arguments.
    pub(super) fn argued_collation(&self) -> Collation {
        self.argued.map_or(self.connection, |(collation, _)| collation)
    }
}
