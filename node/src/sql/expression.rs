//! Expressions: from MySQL's syntax tree to SQLite's text, with the kind of every value known.
//!
//! A literal stays a value until it is emitted, so that a comparison can still bring it into the other side's
//! stored form; it is then bound as a parameter, and the text of two statements that differ in their values
//! only is the same, which keeps SQLite's prepared statement. Invariant: nothing of a client's text reaches
//! SQLite's text except quoted names.

use std::collections::HashMap;

use rusqlite::types::Value as Stored;
use sqlparser::ast::{BinaryOperator, CastKind, DataType, Expr, Ident, UnaryOperator};

use super::agree::{Agreed, CollationSource};
use super::collation::Collation;
pub use super::environment::{Environment, Facts};
use super::number::int_stored;
use super::scope::{Digits, Origin, Scope, SourceColumn};
use super::string_functions::hex;
use super::types::Kind;
use crate::SqlError;

/// How deep expressions may nest. AND and OR in a row do not count.
const MAX_DEPTH: usize = 120;

/// SQLite takes at most 32,766 parameters; what comes after this many is written into the text.
const MAX_BINDS: usize = 30_000;

/// A translated expression.
#[derive(Clone, Debug)]
pub struct Piece {
    /// SQLite's text, for what is no literal.
    pub sql: String,
    /// The kind of the value.
    pub kind: Kind,
    /// The value, if it is known already, in stored form.
    pub literal: Option<Stored>,
    /// The column, if it is one as it is.
    pub origin: Option<Origin>,
    /// Where its collation comes from, for text.
    pub source: CollationSource,
    /// Whether it is written `0x..`, which is also a number.
    pub hexadecimal: bool,
    /// Whether the text gives more than its kind says. A quotient goes on into further arithmetic with more
    /// digits after the point, and is rounded where a client sees it; an integer of a signed kind may be above
    /// `i64::MAX`.
    pub beyond: bool,
}

impl Piece {
    /// An expression of this text.
    #[must_use]
    pub fn sql(sql: String, kind: Kind) -> Piece {
        Piece {
            sql,
            kind,
            literal: None,
            origin: None,
            source: CollationSource::Value,
            hexadecimal: false,
            beyond: false,
        }
    }

    /// An expression whose digits go beyond its kind where `beyond`; only decimals do.
    #[must_use]
    pub fn digits(sql: String, kind: Kind, beyond: bool) -> Piece {
        let beyond = beyond && matches!(kind, Kind::Decimal { .. });
        Piece { beyond, ..Piece::sql(sql, kind) }
    }

    /// The same value with all its digits wherever it goes.
    #[must_use]
    pub fn in_full(self) -> Piece {
        Piece { beyond: false, ..self }
    }

    /// A known value.
    #[must_use]
    pub fn literal(value: Stored, kind: Kind) -> Piece {
        Piece { literal: Some(value), source: CollationSource::Literal, ..Piece::sql(String::new(), kind) }
    }

    /// The number that it is, if it is written `0x..`; else it stays.
    #[must_use]
    pub fn numbered(self) -> Piece {
        let number = match &self.literal {
            Some(Stored::Blob(bytes)) if self.hexadecimal && bytes.len() <= 8 => {
                bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
            }
            _ => return self,
        };
        Piece::uint(number)
    }

    /// NULL.
    #[must_use]
    pub fn null() -> Piece {
        Piece::literal(Stored::Null, Kind::Null)
    }

    /// A signed integer.
    #[must_use]
    pub fn int(value: i64) -> Piece {
        Piece::literal(Stored::Integer(value), Kind::INT)
    }

    /// An unsigned integer.
    #[must_use]
    pub fn uint(value: u64) -> Piece {
        let stored = int_stored(i128::from(value)).unwrap_or(Stored::Null);
        Piece::literal(stored, Kind::Int { unsigned: true })
    }

    /// A text.
    #[must_use]
    pub fn text(value: impl Into<String>) -> Piece {
        Piece::literal(Stored::Text(value.into()), Kind::TEXT)
    }
}

/// One statement on its way to SQLite.
pub struct Translator<'a> {
    /// What it refers to.
    pub env: &'a Environment<'a>,
    /// The values of SQLite's parameters.
    pub binds: Vec<Stored>,
    /// The scopes, the innermost last.
    pub scopes: Vec<Scope>,
    /// Named subqueries (WITH) with their columns.
    pub named: Vec<(String, Vec<SourceColumn>)>,
    /// Columns of the innermost scope's only table that stand for something else (VALUES(c), SET a = .., b = a).
    pub replaced: HashMap<usize, Piece>,
    /// What VALUES(c) and the row alias stand for.
    pub incoming: HashMap<String, Piece>,
    /// The row alias of INSERT .. VALUES .. AS new.
    pub incoming_alias: Option<String>,
    /// Aliases of the select list that HAVING and GROUP BY may name.
    pub aliases: Vec<(String, Piece)>,
    /// Whether the query being translated has used COUNT, SUM or the like.
    pub aggregates: bool,
    /// Whether what the next select list gives is to be written.
    pub written: bool,
    /// How many digits the next query gives of its columns.
    pub in_full: Digits,
    /// The collation of literals.
    pub connection: Collation,
    /// What the text arguments of the call being translated agree on so far.
    pub(super) argued: Option<Agreed>,
    depth: usize,
}

impl<'a> Translator<'a> {
    /// A translator with nothing in scope.
    #[must_use]
    pub fn new(env: &'a Environment<'a>) -> Translator<'a> {
        Translator {
            env,
            written: false,
            binds: Vec::new(),
            scopes: Vec::new(),
            named: Vec::new(),
            replaced: HashMap::new(),
            incoming: HashMap::new(),
            incoming_alias: None,
            aliases: Vec::new(),
            aggregates: false,
            in_full: Digits::OfKind,
            connection: env.variables.connection_collation(),
            argued: None,
            depth: 0,
        }
    }

    /// SQLite's text of an expression, with the digits of its kind; a literal becomes a bound value.
    pub fn emit(&mut self, piece: &Piece) -> String {
        match piece.kind {
            Kind::Decimal { scale } if piece.beyond => format!("my_decimal({}, {scale})", piece.sql),
            _ => self.emit_in_full(piece),
        }
    }

    /// The same with all digits, for what is computed or stored.
    pub fn emit_in_full(&mut self, piece: &Piece) -> String {
        match &piece.literal {
            None => piece.sql.clone(),
            Some(Stored::Null) => "NULL".to_owned(),
            Some(value) if self.binds.len() >= MAX_BINDS => inline(value),
            Some(value) => {
                self.binds.push(value.clone());
                format!("?{}", self.binds.len())
            }
        }
    }

    /// Translates and emits at once.
    pub fn text_of(&mut self, expr: &Expr) -> Result<String, SqlError> {
        let piece = self.expr(expr)?;
        Ok(self.emit(&piece))
    }

    /// Translates an expression.
    pub fn expr(&mut self, expr: &Expr) -> Result<Piece, SqlError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(SqlError::new(1436, "HY000", "Expression is nested too deeply"));
        }
        let piece = self.expr_inner(expr);
        self.depth -= 1;
        piece
    }

    fn expr_inner(&mut self, expr: &Expr) -> Result<Piece, SqlError> {
        match expr {
            Expr::Value(value) => self.value(&value.value),
            Expr::Identifier(name) => self.name(name),
            Expr::CompoundIdentifier(parts) => self.qualified(parts),
            Expr::Nested(inner) => self.expr(inner),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr),
            Expr::IsNull(inner) => self.null_test(inner, "IS NULL"),
            Expr::IsNotNull(inner) => self.null_test(inner, "IS NOT NULL"),
            Expr::IsTrue(inner) => self.truth_test(inner, "IS TRUE"),
            Expr::IsNotTrue(inner) => self.truth_test(inner, "IS NOT TRUE"),
            Expr::IsFalse(inner) => self.truth_test(inner, "IS FALSE"),
            Expr::IsNotFalse(inner) => self.truth_test(inner, "IS NOT FALSE"),
            Expr::IsUnknown(inner) => self.null_test(inner, "IS NULL"),
            Expr::IsNotUnknown(inner) => self.null_test(inner, "IS NOT NULL"),
            Expr::Between { expr, negated, low, high } => self.between(expr, *negated, low, high),
            Expr::InList { expr, list, negated } => self.in_list(expr, list, *negated),
            Expr::InSubquery { expr, subquery, negated } => self.in_subquery(expr, subquery, *negated),
            Expr::Like { negated, expr, pattern, escape_char, .. } => {
                self.like(*negated, expr, pattern, escape_char.as_deref())
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref())
            }
            Expr::Cast { kind: CastKind::Cast, expr, data_type: DataType::Binary(None), .. } => {
                self.binary_prefix(expr)
            }
            Expr::Cast { kind: CastKind::Cast, expr, data_type, .. }
            | Expr::Convert { expr, data_type: Some(data_type), .. } => {
                let piece = self.expr(expr)?;
                self.cast(piece, data_type)
            }
            Expr::Convert { expr, data_type: None, charset: Some(_), .. } => {
                let piece = self.expr(expr)?;
                self.convert(piece, Kind::TEXT)
            }
            Expr::Collate { expr, collation } => self.collated(expr, collation),
            Expr::Exists { subquery, negated } => {
                let query = self.query(subquery, None)?;
                let not = if *negated { "NOT " } else { "" };
                Ok(Piece::sql(format!("({not}EXISTS ({}))", query.sql), Kind::INT))
            }
            Expr::Subquery(query) => self.scalar(query),
            Expr::TypedString(typed) => {
                let text = typed.value.clone().into_string().unwrap_or_default();
                self.cast(Piece::text(text), &typed.data_type)
            }
            Expr::Prefixed { prefix, value } => {
                let piece = self.expr(value)?;
                let binary = prefix.value.eq_ignore_ascii_case("_binary");
                if binary { self.convert(piece, Kind::Binary) } else { Ok(piece) }
            }
            Expr::Tuple(_) => Err(SqlError::new(1241, "21000", "Operand should contain 1 column(s)")),
            other => self.with_arguments(|me| me.call_expr(other)),
        }
    }

    fn name(&mut self, name: &Ident) -> Result<Piece, SqlError> {
        if name.quote_style.is_none() && name.value.starts_with('@') {
            return self.variable(&name.value);
        }
        if let Some(bare) = name.value.strip_prefix("_BARE_") {
            return self.bare_time(bare);
        }
        if let Some(piece) = self.column(None, &name.value)? {
            return Ok(piece);
        }
        if let Some((_, piece)) =
            self.aliases.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(&name.value))
        {
            return Ok(piece.clone());
        }
        if let Some(piece) = self.bare_call(&name.value)? {
            return Ok(piece);
        }
        Err(unknown_column(&name.value))
    }

    fn qualified(&mut self, parts: &[Ident]) -> Result<Piece, SqlError> {
        let names: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
        if names.first().is_some_and(|first| first.starts_with("@@")) {
            return self.variable(&names.join("."));
        }
        let found = match names.as_slice() {
            [table, column] => {
                if self.incoming_alias.as_deref() == Some(table) {
                    return self
                        .incoming
                        .get(&column.to_lowercase())
                        .cloned()
                        .ok_or_else(|| unknown_column(column));
                }
                self.column(Some((None, table)), column)?
            }
            [database, table, column] => self.column(Some((Some(database), table)), column)?,
            _ => None,
        };
        found.ok_or_else(|| unknown_column(&names.join(".")))
    }

    fn column(&self, table: Option<(Option<&str>, &str)>, name: &str) -> Result<Option<Piece>, SqlError> {
        for (level, scope) in self.scopes.iter().enumerate().rev() {
            let found = match table {
                None => scope.find(name)?,
                Some((database, table)) => {
                    scope.source(database, table).and_then(|source| Some((source, source.column(name)?)))
                }
            };
            let Some((source, column)) = found else { continue };
            if level == 0 {
                let at = source.columns.iter().position(|c| c.name == column.name);
                if let Some(piece) = at.and_then(|at| self.replaced.get(&at)) {
                    return Ok(Some(piece.clone()));
                }
            }
            let sql = source.sql(column);
            let is_timestamp = column.origin.as_ref().is_some_and(|origin| {
                matches!(origin.table.columns[origin.column].ty, super::types::ColumnType::Timestamp(_))
            });
            let sql = match (is_timestamp, self.env.facts.zone_offset) {
                (true, offset) if offset != 0 => format!("my_shift({sql}, {offset})"),
                _ => sql,
            };
            let origin = column.origin.clone();
            return Ok(Some(Piece { origin, ..Piece::digits(sql, column.kind, column.beyond) }));
        }
        Ok(None)
    }

    fn variable(&mut self, name: &str) -> Result<Piece, SqlError> {
        let Some(system) = name.strip_prefix("@@") else {
            let user = name.trim_start_matches('@').trim_matches(['`', '\'', '"']).to_lowercase();
            return Ok(match self.env.variables.user(&user) {
                Some((value, kind)) => Piece::literal(value, kind),
                None => Piece::null(),
            });
        };
        let (warnings, errors) = self.env.facts.left;
        match system.to_ascii_lowercase().trim_start_matches("session.").trim_start_matches("local.") {
            "warning_count" => return Ok(Piece::uint(warnings + errors)),
            "error_count" => return Ok(Piece::uint(errors)),
            _ => {}
        }
        let value = self.env.variables.select(system)?;
        Ok(match value.parse::<i128>().ok().and_then(int_stored) {
            Some(number) => Piece::literal(number, Kind::INT),
            None => self.literal_text(&value),
        })
    }

    fn unary(&mut self, op: UnaryOperator, inner: &Expr) -> Result<Piece, SqlError> {
        if let UnaryOperator::Not | UnaryOperator::BangNot = op {
            return self.not(inner);
        }
        let piece = self.expr(inner)?;
        match op {
            UnaryOperator::Plus => Ok(piece),
            UnaryOperator::Minus => self.negate(piece),
            UnaryOperator::BitwiseNot => self.inverted(&piece),
            other => Err(SqlError::unsupported(other)),
        }
    }

    /// A value as arithmetic takes it: a number as it is, a moment as its digits, everything else as a double.
    pub fn numeric(&mut self, piece: Piece) -> Result<Piece, SqlError> {
        let piece = self.counted(piece, false);
        match piece.kind {
            kind if kind.is_number() => Ok(piece),
            Kind::Null => Ok(piece),
            Kind::Date | Kind::DateTime(0) | Kind::Time(0) => self.convert(piece, Kind::INT),
            Kind::DateTime(scale) | Kind::Time(scale) => self.convert(piece, Kind::Decimal { scale }),
            _ => self.convert(piece, Kind::Double),
        }
    }

    pub(super) fn binary(
        &mut self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
    ) -> Result<Piece, SqlError> {
        let operator = match op {
            BinaryOperator::And => return self.chain(left, op, right, " AND "),
            BinaryOperator::Or => return self.chain(left, op, right, " OR "),
            BinaryOperator::StringConcat if !self.env.variables.mode("PIPES_AS_CONCAT") => {
                return self.chain(left, op, right, " OR ");
            }
            BinaryOperator::StringConcat => {
                let (a, b) = (self.expr(left)?, self.expr(right)?);
                return self.concat(vec![a, b]);
            }
            BinaryOperator::Xor => return self.xor(left, right),
            BinaryOperator::Eq => "=",
            BinaryOperator::NotEq => "<>",
            BinaryOperator::Lt => "<",
            BinaryOperator::LtEq => "<=",
            BinaryOperator::Gt => ">",
            BinaryOperator::GtEq => ">=",
            BinaryOperator::Spaceship => "IS",
            other => return self.arithmetic_or_bits(left, other, right),
        };
        if let (Some(lefts), Some(rights)) = (as_tuple(left), as_tuple(right)) {
            return self.tuples(lefts, operator, rights);
        }
        let (a, b) = (self.expr(left)?, self.expr(right)?);
        self.comparison(a, operator, b)
    }

    pub(super) fn tuples(&mut self, lefts: &[Expr], op: &str, rights: &[Expr]) -> Result<Piece, SqlError> {
        if lefts.len() != rights.len() {
            return Err(SqlError::new(
                1241,
                "21000",
                format!("Operand should contain {} column(s)", lefts.len()),
            ));
        }
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for (left, right) in lefts.iter().zip(rights) {
            let (left, right) = (self.expr(left)?, self.expr(right)?);
            let (left, right) = self.align(left, right)?;
            let collate = self.collate_of(&left, right.kind);
            a.push(format!("{}{collate}", self.emit(&left)));
            b.push(self.emit(&right));
        }
        Ok(Piece::sql(format!("(({}) {op} ({}))", a.join(", "), b.join(", ")), Kind::INT))
    }

    /// The scope of innermost names.
    pub fn scope(&self) -> Option<&Scope> {
        self.scopes.last()
    }
}

/// Tests in a row, as a balanced tree: SQLite's nesting limit is not met by a long list.
pub(super) fn balanced(mut parts: Vec<String>, word: &str) -> String {
    while parts.len() > 1 {
        parts = parts
            .chunks(2)
            .map(|pair| match pair {
                [a, b] => format!("({a}{word}{b})"),
                _ => pair.concat(),
            })
            .collect();
    }
    parts.concat()
}

/// A value as SQLite's text. Text goes as hex: no byte of it can end a literal.
fn inline(value: &Stored) -> String {
    match value {
        Stored::Null => "NULL".to_owned(),
        Stored::Integer(n) => n.to_string(),
        Stored::Real(x) => format!("{x:?}"),
        Stored::Text(text) => format!("CAST(x'{}' AS TEXT)", hex(text.as_bytes())),
        Stored::Blob(bytes) => format!("x'{}'", hex(bytes)),
    }
}

/// Error 1054.
#[must_use]
pub fn unknown_column(name: &str) -> SqlError {
    SqlError::new(1054, "42S22", format!("Unknown column '{name}' in 'field list'"))
}

/// The parts of a row value.
#[must_use]
pub fn as_tuple(expr: &Expr) -> Option<&[Expr]> {
    match expr {
        Expr::Tuple(parts) => Some(parts),
        Expr::Nested(inner) => as_tuple(inner),
        _ => None,
    }
}
