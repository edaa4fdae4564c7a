//! Literals, parameters and casts: values whose kind the text says.

use rusqlite::types::Value as Stored;
use sqlparser::ast::{CastKind, DataType, Expr, Value};

use super::collation::Collation;
use super::decimal::Decimal;
use super::expression::{Piece, Translator};
use super::number::{Number, great_int, int_stored};
use super::string_functions::unhex;
use super::types::Kind;
use crate::SqlError;
use crate::results::Param;

impl Translator<'_> {
    /// A literal of the text, or a placeholder's value.
    pub fn value(&mut self, value: &Value) -> Result<Piece, SqlError> {
        Ok(match value {
            Value::Number(text, _) => number_literal(text)?,
            Value::SingleQuotedString(text)
            | Value::DoubleQuotedString(text)
            | Value::NationalStringLiteral(text) => self.literal_text(text),
            Value::HexStringLiteral(text) => {
                let bytes = unhex(text).ok_or_else(|| SqlError::syntax(format!("x'{text}' is not hex")))?;
                Piece::literal(Stored::Blob(bytes), Kind::Binary)
            }
            Value::Boolean(value) => Piece::int(i64::from(*value)),
            Value::Null => Piece::null(),
            Value::Placeholder(mark) => {
                let n: usize = mark.trim_start_matches('?').parse().unwrap_or(0);
                match n.checked_sub(1).and_then(|at| self.env.params.get(at)) {
                    Some(Param::Text(text)) => self.literal_text(text),
                    Some(param) => param_piece(param),
                    None => return Err(SqlError::new(1210, "HY000", "Incorrect arguments to EXECUTE")),
                }
            }
            other => return Err(SqlError::unsupported(other)),
        })
    }

    pub(super) fn negate(&mut self, piece: Piece) -> Result<Piece, SqlError> {
        if let Some(value) = &piece.literal {
            let negative = match (value, piece.kind) {
                (Stored::Integer(n), _) => int_stored(-i128::from(*n)),
                (Stored::Blob(bytes), Kind::Int { .. }) => {
                    great_int(bytes).and_then(|n| int_stored(-i128::from(n)))
                }
                (Stored::Real(x), _) => Some(Stored::Real(-x)),
                (Stored::Text(text), Kind::Decimal { .. }) => {
                    Decimal::parse(text).map(|d| Stored::Text(d.negate().to_string()))
                }
                (Stored::Null, _) => Some(Stored::Null),
                _ => None,
            };
            if let Some(negative) = negative {
                let kind = if matches!(piece.kind, Kind::Int { .. }) { Kind::INT } else { piece.kind };
                return Ok(Piece::literal(negative, kind));
            }
        }
        let piece = self.numeric(piece)?;
        let sql = self.emit_in_full(&piece);
        let kind = if matches!(piece.kind, Kind::Int { .. }) { Kind::INT } else { piece.kind };
        Ok(Piece::digits(format!("my_neg({sql})"), kind, piece.beyond))
    }

    /// `BINARY a = b`: the parser takes all that follows as the operand, MySQL only the next value.
    pub(super) fn binary_prefix(&mut self, expr: &Expr) -> Result<Piece, SqlError> {
        match expr {
            Expr::BinaryOp { left, op, right } => {
                let inner = Expr::Cast {
                    kind: CastKind::Cast,
                    expr: left.clone(),
                    data_type: DataType::Binary(None),
                    format: None,
                };
                self.binary(&inner, op, right)
            }
            Expr::Between { .. }
            | Expr::InList { .. }
            | Expr::Like { .. }
            | Expr::IsNull(_)
            | Expr::IsNotNull(_) => {
                Err(SqlError::unsupported("BINARY before this operator; use CAST(.. AS BINARY)"))
            }
            operand => {
                let piece = self.expr(operand)?;
                self.convert(piece, Kind::Binary)
            }
        }
    }

    /// CAST(piece AS type).
    pub fn cast(&mut self, piece: Piece, data_type: &DataType) -> Result<Piece, SqlError> {
        let digits = |f: &Option<u64>| f.and_then(|f| u8::try_from(f).ok()).unwrap_or(0).min(6);
        let kind = match data_type {
            DataType::Signed | DataType::SignedInteger => return self.integer_cast(piece, false),
            DataType::Unsigned | DataType::UnsignedInteger => return self.integer_cast(piece, true),
            DataType::Decimal(info) | DataType::Dec(info) | DataType::Numeric(info) => {
                return self.decimal_cast(piece, info);
            }
            DataType::Binary(length) => return self.binary_cast(piece, *length),
            DataType::Float(_) => Kind::Float,
            DataType::Double(_) | DataType::Real => Kind::Double,
            DataType::Char(length) | DataType::Character(length) | DataType::Varchar(length) => {
                use sqlparser::ast::CharacterLength::IntegerLength;
                let text = self.convert(piece, Kind::TEXT)?;
                return Ok(match length {
                    Some(IntegerLength { length, .. }) => {
                        let sql = self.emit(&text);
                        Piece::sql(format!("my_substr({sql}, 1, {length})"), Kind::TEXT)
                    }
                    _ => text,
                });
            }
            DataType::Varbinary(_) => Kind::Binary,
            DataType::Date => Kind::Date,
            DataType::Datetime(f) | DataType::Timestamp(f, _) => Kind::DateTime(digits(f)),
            DataType::Time(f, _) => Kind::Time(digits(f)),
            DataType::JSON => Kind::Text(Collation::Bin),
            other => return Err(SqlError::unsupported(format_args!("CAST AS {other}"))),
        };
        self.convert(piece, kind)
    }
}

fn number_literal(text: &str) -> Result<Piece, SqlError> {
    if let Some(digits) = text.strip_prefix("0x") {
        return hexadecimal(digits);
    }
    if text.contains(['e', 'E']) {
        let x: f64 = text.parse().map_err(|_| SqlError::syntax(format!("{text} is no number")))?;
        return Ok(Piece::literal(Number::Double(x).stored()?, Kind::Double));
    }
    if let Some(value) = text.parse::<i128>().ok().and_then(int_stored) {
        return Ok(Piece::literal(value, Kind::INT));
    }
    exact(text).ok_or_else(|| SqlError::syntax(format!("{text} is no number")))
}

/// A number with its fraction; none if the text is none.
fn exact(text: &str) -> Option<Piece> {
    let exact = Decimal::parse(text)?;
    let scale = u8::try_from(exact.scale()).unwrap_or(30);
    Some(Piece::literal(Stored::Text(exact.to_string()), Kind::Decimal { scale }))
}

/// `0x..`: bytes, and where a number is wanted the number that they are.
fn hexadecimal(digits: &str) -> Result<Piece, SqlError> {
    let bytes = unhex(digits).ok_or_else(|| SqlError::syntax(format!("0x{digits} is not hex")))?;
    Ok(Piece { hexadecimal: true, ..Piece::literal(Stored::Blob(bytes), Kind::Binary) })
}

/// A placeholder's value.
#[must_use]
pub fn param_piece(param: &Param) -> Piece {
    match param {
        Param::Null => Piece::null(),
        Param::Int(n) => Piece::int(*n),
        Param::Uint(n) => Piece::uint(*n),
        Param::Float(x) => Piece::literal(Stored::Real(f64::from(*x)), Kind::Float),
        Param::Double(x) => Piece::literal(Stored::Real(*x), Kind::Double),
        Param::Text(text) => Piece::text(text.as_str()),
        Param::Decimal(text) => exact(text).unwrap_or_else(|| Piece::text(text.as_str())),
        Param::Bytes(bytes) => Piece::literal(Stored::Blob(bytes.clone()), Kind::Binary),
    }
}
