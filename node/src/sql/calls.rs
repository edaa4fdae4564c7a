//! Function calls: MySQL's names, with what each takes and gives.

use sqlparser::ast::{
    CeilFloorKind, DateTimeField, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArguments, TrimWhereField,
};

use super::expression::{Piece, Translator};
use super::time_calls::is_field;
use super::types::Kind;
use crate::SqlError;

/// The longest SLEEP in seconds; a longer one is cut to it.
pub const MAX_SLEEP_SECONDS: f64 = 300.0;

fn wrong_count(name: &str) -> SqlError {
    SqlError::new(1582, "42000", format!("Incorrect parameter count in the call to native function '{name}'"))
}

/// Functions of one or more texts that give a text or an integer: name, SQLite's name, number of arguments, kind.
const TEXT_FUNCTIONS: [(&str, &str, usize, Kind); 22] = [
    ("LENGTH", "my_length", 1, Kind::INT),
    ("OCTET_LENGTH", "my_length", 1, Kind::INT),
    ("CHAR_LENGTH", "my_char_length", 1, Kind::INT),
    ("CHARACTER_LENGTH", "my_char_length", 1, Kind::INT),
    ("ASCII", "my_ascii", 1, Kind::INT),
    ("UPPER", "my_upper", 1, Kind::TEXT),
    ("UCASE", "my_upper", 1, Kind::TEXT),
    ("LOWER", "my_lower", 1, Kind::TEXT),
    ("LCASE", "my_lower", 1, Kind::TEXT),
    ("REVERSE", "my_reverse", 1, Kind::TEXT),
    ("HEX", "my_hex", 1, Kind::TEXT),
    ("UNHEX", "my_unhex", 1, Kind::Binary),
    ("SHA1", "my_sha1", 1, Kind::TEXT),
    ("SHA", "my_sha1", 1, Kind::TEXT),
    ("CRC32", "my_crc32", 1, Kind::Int { unsigned: true }),
    ("REPLACE", "my_replace", 3, Kind::TEXT),
    ("LAST_DAY", "my_last_day", 1, Kind::Date),
    ("DATE", "my_date", 1, Kind::Date),
    ("DATEDIFF", "my_datediff", 2, Kind::INT),
    ("DATE_FORMAT", "my_date_format", 2, Kind::TEXT),
    ("QUOTE", "quote", 1, Kind::TEXT),
    ("JSON_VALID", "json_valid", 1, Kind::INT),
];

/// What these give is not in the collation of their argument.
const OWN_COLLATION: [&str; 4] = ["my_hex", "my_sha1", "my_date_format", "my_time_format"];

const MATH_FUNCTIONS: [(&str, &str); 15] = [
    ("SQRT", "my_sqrt"),
    ("EXP", "my_exp"),
    ("LN", "my_ln"),
    ("LOG", "my_ln"),
    ("LOG2", "my_log2"),
    ("LOG10", "my_log10"),
    ("SIN", "my_sin"),
    ("COS", "my_cos"),
    ("TAN", "my_tan"),
    ("ASIN", "my_asin"),
    ("ACOS", "my_acos"),
    ("ATAN", "my_atan"),
    ("DEGREES", "my_degrees"),
    ("RADIANS", "my_radians"),
    ("COT", "my_cot"),
];

/// The arguments of a call.
pub(super) struct Call<'c> {
    pub name: String,
    pub args: Vec<&'c Expr>,
    pub star: bool,
    pub distinct: bool,
    pub clauses: &'c [FunctionArgumentClause],
}

impl<'c> Call<'c> {
    fn of(function: &'c Function) -> Result<Call<'c>, SqlError> {
        if function.over.is_some() || function.filter.is_some() || !function.within_group.is_empty() {
            return Err(SqlError::unsupported("window functions"));
        }
        let no_parameters = matches!(function.parameters, FunctionArguments::None);
        if function.null_treatment.is_some() || !no_parameters {
            return Err(SqlError::unsupported("IGNORE NULLS and parameters of a call"));
        }
        let mut call = Call {
            name: function.name.to_string().trim_matches('`').to_ascii_uppercase(),
            args: Vec::new(),
            star: false,
            distinct: false,
            clauses: &[],
        };
        if let FunctionArguments::List(list) = &function.args {
            call.distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
            call.clauses = &list.clauses;
            for arg in &list.args {
                match arg {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => call.args.push(expr),
                    FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => call.star = true,
                    other => return Err(SqlError::unsupported(other)),
                }
            }
        }
        Ok(call)
    }

    pub fn exactly<const N: usize>(&self) -> Result<[&'c Expr; N], SqlError> {
        <[&Expr; N]>::try_from(self.args.as_slice()).map_err(|_| wrong_count(&self.name))
    }
}

impl Translator<'_> {
    /// Expressions that are calls in all but syntax, and calls.
    pub(super) fn call_expr(&mut self, expr: &Expr) -> Result<Piece, SqlError> {
        match expr {
            Expr::Function(function) => self.call(function),
            Expr::Floor { expr, field } => self.rounded("my_floor", expr, field),
            Expr::Ceil { expr, field } => self.rounded("my_ceil", expr, field),
            Expr::Position { expr, r#in } => {
                let (needle, text) = (self.text_arg(expr)?, self.text_arg(r#in)?);
                Ok(Piece::sql(
                    format!("my_locate({needle}, {text}, 1, '{}')", self.argued_collation().name()),
                    Kind::INT,
                ))
            }
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                let args: Vec<&Expr> = std::iter::once(expr.as_ref())
                    .chain(substring_from.as_deref())
                    .chain(substring_for.as_deref())
                    .collect();
                self.substring(&args)
            }
            Expr::Trim { trim_where, trim_what, expr, .. } => {
                let text = self.text_arg(expr)?;
                let what = trim_what.as_deref().map_or(Ok("' '".to_owned()), |what| self.text_arg(what))?;
                let how = match trim_where {
                    Some(TrimWhereField::Leading) => 1,
                    Some(TrimWhereField::Trailing) => 2,
                    _ => 3,
                };
                Ok(Piece::sql(format!("my_trim({text}, {what}, {how})"), Kind::TEXT))
            }
            Expr::Extract { field, expr, .. } => self.field(&field.to_string().to_ascii_uppercase(), expr),
            other => Err(SqlError::unsupported(other)),
        }
    }

    fn rounded(&mut self, function: &str, expr: &Expr, field: &CeilFloorKind) -> Result<Piece, SqlError> {
        if !matches!(field, CeilFloorKind::DateTimeField(DateTimeField::NoDateTime)) {
            return Err(SqlError::unsupported("FLOOR and CEIL with a scale"));
        }
        let piece = self.expr(expr)?;
        let piece = self.numeric(piece)?;
        let kind =
            if matches!(piece.kind, Kind::Decimal { .. }) { Kind::Decimal { scale: 0 } } else { piece.kind };
        let sql = self.emit_in_full(&piece);
        Ok(Piece::sql(format!("{function}({sql})"), kind))
    }

    pub(super) fn text_arg(&mut self, expr: &Expr) -> Result<String, SqlError> {
        let piece = self.expr(expr)?;
        self.argue(&piece, "function")?;
        let piece = if piece.kind == Kind::Binary { piece } else { self.convert(piece, Kind::TEXT)? };
        Ok(self.emit(&piece))
    }

    pub(super) fn int_arg(&mut self, expr: &Expr) -> Result<String, SqlError> {
        let piece = self.expr(expr)?;
        let piece = self.convert(piece, Kind::INT)?;
        Ok(self.emit(&piece))
    }

    pub(super) fn number_arg(&mut self, expr: &Expr) -> Result<Piece, SqlError> {
        let piece = self.expr(expr)?;
        self.numeric(piece)
    }

    /// CONCAT.
    pub(super) fn concat(&mut self, pieces: Vec<Piece>) -> Result<Piece, SqlError> {
        let binary = pieces.iter().any(|piece| piece.kind == Kind::Binary);
        let kind = if binary { Kind::Binary } else { Kind::TEXT };
        let mut args = Vec::with_capacity(pieces.len());
        for piece in pieces {
            self.argue(&piece, "concat")?;
            let piece = self.convert(piece, kind)?;
            args.push(self.emit(&piece));
        }
        let function = if binary { "my_concat_binary" } else { "my_concat" };
        Ok(Piece::sql(format!("{function}({})", args.join(", ")), kind))
    }

    fn substring(&mut self, args: &[&Expr]) -> Result<Piece, SqlError> {
        let [text, numbers @ ..] = args else { return Err(wrong_count("SUBSTRING")) };
        let mut sql = vec![self.text_arg(text)?];
        for number in numbers {
            sql.push(self.int_arg(number)?);
        }
        if !(2..=3).contains(&sql.len()) {
            return Err(wrong_count("SUBSTRING"));
        }
        Ok(Piece::sql(format!("my_substr({})", sql.join(", ")), Kind::TEXT))
    }

    fn call(&mut self, function: &Function) -> Result<Piece, SqlError> {
        let call = Call::of(function)?;
        let name = call.name.as_str();
        if let Some(piece) = self.aggregate(&call)? {
            return Ok(piece);
        }
        let digits = match call.args.as_slice() {
            [Expr::Value(value)] => value.value.to_string().parse().unwrap_or(0).min(6),
            _ => 0,
        };
        if (name != "LAST_INSERT_ID" || call.args.is_empty())
            && let Some(piece) = self.session_call(name, digits)?
        {
            return Ok(piece);
        }
        if let Some((_, sqlite, count, kind)) = TEXT_FUNCTIONS.iter().find(|(mysql, ..)| *mysql == name) {
            return self.text_call(&call, sqlite, *count, *kind);
        }
        if let Some((_, sqlite)) = MATH_FUNCTIONS.iter().find(|(mysql, _)| *mysql == name)
            && let [arg] = call.args.as_slice()
        {
            let arg = self.number_arg(arg)?;
            let arg = self.emit_in_full(&arg);
            return Ok(Piece::sql(format!("{sqlite}({arg})"), Kind::Double));
        }
        if is_field(name) {
            let [arg] = call.exactly()?;
            return self.field(name, arg);
        }
        match self.choice(&call)? {
            Some(piece) => Ok(piece),
            None => self.other_call(&call),
        }
    }

    fn text_call(
        &mut self,
        call: &Call<'_>,
        sqlite: &str,
        count: usize,
        kind: Kind,
    ) -> Result<Piece, SqlError> {
        if call.args.len() != count {
            return Err(wrong_count(&call.name));
        }
        let mut args = Vec::with_capacity(count);
        let mut sqlite = sqlite;
        for arg in &call.args {
            let piece = self.expr(arg)?;
            if sqlite == "my_date_format" && args.is_empty() && matches!(piece.kind, Kind::Time(_)) {
                sqlite = "my_time_format";
            }
            let keep =
                piece.kind == Kind::Binary || (sqlite == "my_hex" && matches!(piece.kind, Kind::Int { .. }));
            if !OWN_COLLATION.contains(&sqlite) {
                self.argue(&piece, &call.name.to_lowercase())?;
            }
            let piece = match (sqlite, piece.kind) {
                ("my_date" | "my_last_day" | "my_datediff", Kind::Time(_)) => {
                    self.convert(piece, Kind::DateTime(6))?
                }
                _ => piece,
            };
            let piece = match piece.kind {
                _ if keep => piece,
                // HEX writes every number as the integer that it rounds to, a double like a decimal.
                kind if kind.is_number() && sqlite == "my_hex" => {
                    let whole = self.convert(piece, Kind::Decimal { scale: 0 })?;
                    self.convert(whole, Kind::INT)?
                }
                _ => self.convert(piece, Kind::TEXT)?,
            };
            args.push(self.emit(&piece));
        }
        Ok(Piece::sql(format!("{sqlite}({})", args.join(", ")), kind))
    }

    /// Calls that choose one of their arguments.
    fn choice(&mut self, call: &Call<'_>) -> Result<Option<Piece>, SqlError> {
        let pieces = |me: &mut Self| {
            call.args.iter().map(|arg| me.expr(arg)).collect::<Result<Vec<Piece>, SqlError>>()
        };
        Ok(Some(match call.name.as_str() {
            "IFNULL" | "COALESCE" => {
                let pieces = pieces(self)?;
                let all = self.unified(pieces)?;
                match all.texts.as_slice() {
                    [] => return Err(wrong_count(&call.name)),
                    [only] => all.piece(only.clone()),
                    texts => all.piece(format!("coalesce({})", texts.join(", "))),
                }
            }
            "IF" => {
                let [test, yes, no] = call.exactly()?;
                let test = self.truth(test)?;
                let both = vec![self.expr(yes)?, self.expr(no)?];
                let both = self.unified(both)?;
                both.piece(format!("iif({test}, {})", both.texts.join(", ")))
            }
            "NULLIF" => {
                let [a, b] = call.exactly()?;
                let (a, b) = (self.expr(a)?, self.expr(b)?);
                let equal = self.comparison(a.clone(), "=", b)?;
                let value = self.emit_in_full(&a);
                let sql = format!("(CASE WHEN {} THEN NULL ELSE {value} END)", equal.sql);
                Piece::digits(sql, a.kind, a.beyond)
            }
            "ISNULL" => {
                let [a] = call.exactly()?;
                let a = self.text_of(a)?;
                Piece::sql(format!("({a} IS NULL)"), Kind::INT)
            }
            "GREATEST" | "LEAST" => {
                let pieces = pieces(self)?;
                if pieces.len() < 2 {
                    return Err(wrong_count(&call.name));
                }
                let function = if call.name == "LEAST" { "min" } else { "max" };
                let mut all = self.unified(pieces)?;
                let collate = self.collate(all.kind, all.kind);
                all.texts[0] += &collate;
                all.piece(format!("{function}({})", all.texts.join(", ")))
            }
            "CONCAT" => {
                let pieces = pieces(self)?;
                self.concat(pieces)?
            }
            "CONCAT_WS" => {
                let args = call.args.iter().map(|arg| self.text_arg(arg)).collect::<Result<Vec<_>, _>>()?;
                Piece::sql(format!("my_concat_ws({})", args.join(", ")), Kind::TEXT)
            }
            "STRCMP" => {
                let [a, b] = call.exactly()?;
                let (a, b) = (self.text_arg(a)?, self.text_arg(b)?);
                let order = self.argued_collation().name();
                Piece::sql(format!("(({a} COLLATE {order} > {b}) - ({a} COLLATE {order} < {b}))"), Kind::INT)
            }
            "VALUES" => {
                let [column] = call.exactly()?;
                let name = column.to_string();
                let name = name.rsplit('.').next().unwrap_or(&name).trim_matches('`').to_lowercase();
                self.incoming.get(&name).cloned().ok_or_else(|| super::expression::unknown_column(&name))?
            }
            _ => return Ok(None),
        }))
    }

    fn other_call(&mut self, call: &Call<'_>) -> Result<Piece, SqlError> {
        let piece = match (call.name.as_str(), call.args.as_slice()) {
            ("SUBSTRING" | "SUBSTR" | "MID", args) => return self.substring(args),
            ("LEFT", [text, length]) => {
                let (text, length) = (self.text_arg(text)?, self.int_arg(length)?);
                Piece::sql(format!("my_substr({text}, 1, {length})"), Kind::TEXT)
            }
            ("RIGHT", [text, length]) | ("REPEAT", [text, length]) => {
                let function = if call.name == "RIGHT" { "my_right" } else { "my_repeat" };
                let (text, length) = (self.text_arg(text)?, self.int_arg(length)?);
                Piece::sql(format!("{function}({text}, {length})"), Kind::TEXT)
            }
            ("SUBSTRING_INDEX", [text, separator, count]) => {
                let (text, separator) = (self.text_arg(text)?, self.text_arg(separator)?);
                let count = self.int_arg(count)?;
                Piece::sql(format!("my_substring_index({text}, {separator}, {count})"), Kind::TEXT)
            }
            ("SPACE", [length]) => {
                let length = self.int_arg(length)?;
                Piece::sql(format!("my_repeat(' ', {length})"), Kind::TEXT)
            }
            ("LPAD" | "RPAD", [text, length, pad]) => {
                let (text, length, pad) = (self.text_arg(text)?, self.int_arg(length)?, self.text_arg(pad)?);
                let function = if call.name == "LPAD" { "my_lpad" } else { "my_rpad" };
                Piece::sql(format!("{function}({text}, {length}, {pad})"), Kind::TEXT)
            }
            ("LTRIM" | "RTRIM", [text]) => {
                let text = self.text_arg(text)?;
                Piece::sql(
                    format!("my_trim({text}, ' ', {})", if call.name == "LTRIM" { 1 } else { 2 }),
                    Kind::TEXT,
                )
            }
            ("LOCATE", [needle, text]) | ("INSTR", [text, needle]) => {
                let (needle, text) = (self.text_arg(needle)?, self.text_arg(text)?);
                Piece::sql(
                    format!("my_locate({needle}, {text}, 1, '{}')", self.argued_collation().name()),
                    Kind::INT,
                )
            }
            ("LOCATE", [needle, text, from]) => {
                let (needle, text, from) =
                    (self.text_arg(needle)?, self.text_arg(text)?, self.int_arg(from)?);
                Piece::sql(
                    format!("my_locate({needle}, {text}, {from}, '{}')", self.argued_collation().name()),
                    Kind::INT,
                )
            }
            _ => return self.time_call(call),
        };
        Ok(piece)
    }

    pub(super) fn number_call(&mut self, call: &Call<'_>) -> Result<Piece, SqlError> {
        let scale_of = |kind| if let Kind::Decimal { scale } = kind { scale } else { 0 };
        let piece = match (call.name.as_str(), call.args.as_slice()) {
            ("ABS", [number]) => {
                let number = self.number_arg(number)?;
                let sql = self.emit_in_full(&number);
                Piece::digits(format!("my_abs({sql})"), number.kind, number.beyond)
            }
            ("SIGN", [number]) => {
                let number = self.number_arg(number)?;
                let sql = self.emit_in_full(&number);
                Piece::sql(format!("my_sign({sql})"), Kind::INT)
            }
            ("ROUND" | "TRUNCATE", [number, rest @ ..]) if rest.len() <= 1 => {
                let number = self.number_arg(number)?;
                let places = rest.first().map(|e| self.expr(e)).transpose()?;
                let wanted = match places.as_ref().map(|p| &p.literal) {
                    None => Some(0),
                    Some(Some(rusqlite::types::Value::Integer(n))) => u8::try_from((*n).clamp(0, 30)).ok(),
                    _ => None,
                };
                let places = places.map_or("0".to_owned(), |p| self.emit(&p));
                let function = if call.name == "ROUND" { "my_round" } else { "my_truncate" };
                let sql = self.emit_in_full(&number);
                let kind = match number.kind {
                    Kind::Decimal { scale } => Kind::Decimal { scale: wanted.unwrap_or(scale) },
                    other => other,
                };
                // To a number of places that is not known yet, more digits are kept than are seen.
                Piece::digits(format!("{function}({sql}, {places})"), kind, wanted.is_none())
            }
            ("MOD", [a, b]) => {
                let (a, b) = (self.number_arg(a)?, self.number_arg(b)?);
                let kind = match super::compare::unify(a.kind, b.kind) {
                    Kind::Decimal { .. } => Kind::Decimal { scale: scale_of(a.kind).max(scale_of(b.kind)) },
                    other => other,
                };
                let beyond = a.beyond || b.beyond;
                let (a, b) = (self.emit_in_full(&a), self.emit_in_full(&b));
                let unsigned = i32::from(kind == Kind::Int { unsigned: true });
                Piece::digits(format!("my_mod({a}, {b}, {unsigned})"), kind, beyond)
            }
            ("POW" | "POWER", [a, b]) => {
                let (a, b) = (self.number_arg(a)?, self.number_arg(b)?);
                let (a, b) = (self.emit_in_full(&a), self.emit_in_full(&b));
                Piece::sql(format!("my_pow({a}, {b})"), Kind::Double)
            }
            (name, _) => {
                let message = format!("FUNCTION {name} does not exist");
                return Err(SqlError::new(1305, "42000", message));
            }
        };
        Ok(piece)
    }
}
