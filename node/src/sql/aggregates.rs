//! COUNT, SUM, AVG and the other calls over many rows.

use sqlparser::ast::FunctionArgumentClause;

use super::calls::Call;
use super::decimal::{DIVISION_SCALE, MAX_SCALE};
use super::expression::{Piece, Translator};
use super::types::Kind;
use crate::SqlError;

const AGGREGATES: [&str; 9] =
    ["COUNT", "SUM", "AVG", "MIN", "MAX", "BIT_XOR", "BIT_OR", "BIT_AND", "GROUP_CONCAT"];

impl Translator<'_> {
    pub(super) fn aggregate(&mut self, call: &Call<'_>) -> Result<Option<Piece>, SqlError> {
        if !AGGREGATES.contains(&call.name.as_str()) {
            return match call.distinct || !call.clauses.is_empty() {
                true => Err(SqlError::syntax(format!("{} takes its arguments and nothing else", call.name))),
                false => Ok(None),
            };
        }
        if call.name != "GROUP_CONCAT" && !call.clauses.is_empty() {
            return Err(SqlError::syntax(format!("{} takes its arguments and nothing else", call.name)));
        }
        self.aggregates = true;
        let distinct = if call.distinct { "DISTINCT " } else { "" };
        let single = || call.exactly::<1>().map(|[arg]| arg);
        Ok(Some(match call.name.as_str() {
            "COUNT" if call.star => Piece::sql("count(*)".into(), Kind::INT),
            "COUNT" => {
                let piece = self.expr(single()?)?;
                let collate =
                    if call.distinct { self.collate(piece.kind, piece.kind) } else { String::new() };
                let sql = self.emit(&piece);
                Piece::sql(format!("count({distinct}{sql}{collate})"), Kind::INT)
            }
            "SUM" | "AVG" => {
                let piece = self.number_arg(single()?)?;
                // What is the same is decided by the digits that are seen.
                let sql = if call.distinct { self.emit(&piece) } else { self.emit_in_full(&piece) };
                let average = call.name == "AVG";
                let extra = if average { DIVISION_SCALE } else { 0 };
                let kind = match piece.kind {
                    Kind::Double | Kind::Float => Kind::Double,
                    Kind::Decimal { scale } => {
                        let scale = (usize::from(scale) + extra).min(MAX_SCALE);
                        Kind::Decimal { scale: u8::try_from(scale).unwrap_or(30) }
                    }
                    _ => Kind::Decimal { scale: u8::try_from(extra).unwrap_or(0) },
                };
                let function = if average { "my_avg" } else { "my_sum" };
                let beyond = average || (piece.beyond && !call.distinct);
                Piece::digits(format!("{function}({distinct}{sql})"), kind, beyond)
            }
            "MIN" | "MAX" => {
                let piece = self.expr(single()?)?;
                let collate = self.collate(piece.kind, piece.kind);
                let sql = self.emit_in_full(&piece);
                let sql = format!("{}({sql}{collate})", call.name.to_lowercase());
                Piece::digits(sql, piece.kind, piece.beyond)
            }
            "BIT_XOR" | "BIT_OR" | "BIT_AND" => {
                let piece = self.number_arg(single()?)?;
                let sql = self.emit_in_full(&piece);
                let function = format!("my_{}", call.name.to_lowercase());
                Piece::sql(format!("{function}({distinct}{sql})"), Kind::Int { unsigned: true })
            }
            "GROUP_CONCAT" => self.group_concat(call, distinct)?,
            _ => return Ok(None),
        }))
    }

    fn group_concat(&mut self, call: &Call<'_>, distinct: &str) -> Result<Piece, SqlError> {
        let pieces = call.args.iter().map(|arg| self.expr(arg)).collect::<Result<Vec<_>, _>>()?;
        let piece = if pieces.len() == 1 { pieces.into_iter().next() } else { Some(self.concat(pieces)?) };
        let piece = piece.unwrap_or_else(Piece::null);
        self.argue(&piece, "group_concat")?;
        let collate = if call.distinct { self.collate(piece.kind, piece.kind) } else { String::new() };
        let piece = self.convert(piece, Kind::TEXT)?;
        let sql = self.emit(&piece);
        let (mut separator, mut order) = (None, String::new());
        for clause in call.clauses {
            match clause {
                FunctionArgumentClause::Separator(value) => separator = Some(self.value(&value.value)?),
                FunctionArgumentClause::OrderBy(keys) => {
                    order = format!(" ORDER BY {}", self.order_keys(keys)?)
                }
                other => return Err(SqlError::unsupported(other)),
            }
        }
        if call.distinct {
            let comma = Piece::text(",").literal;
            if separator.is_some_and(|separator| separator.literal != comma) {
                return Err(SqlError::unsupported("GROUP_CONCAT(DISTINCT .. SEPARATOR ..)"));
            }
            return Ok(Piece::sql(format!("group_concat({distinct}{sql}{collate}{order})"), Kind::TEXT));
        }
        let separator = separator.unwrap_or_else(|| Piece::text(","));
        let separator = self.emit(&separator);
        Ok(Piece::sql(format!("group_concat({sql}, {separator}{order})"), Kind::TEXT))
    }
}
