//! Calls of dates and times, and calls whose value the session or the moment gives.

use rusqlite::types::Value as Stored;
use sqlparser::ast::{Expr, Interval};

use super::calls::Call;
use super::expression::{Piece, Translator};
use super::temporal::DateTime;
use super::types::Kind;
use crate::SqlError;

const FIELDS: [(&str, &str); 13] = [
    ("YEAR", "YEAR"),
    ("QUARTER", "QUARTER"),
    ("MONTH", "MONTH"),
    ("DAY", "DAY"),
    ("DAYOFMONTH", "DAY"),
    ("HOUR", "HOUR"),
    ("MINUTE", "MINUTE"),
    ("SECOND", "SECOND"),
    ("MICROSECOND", "MICROSECOND"),
    ("DAYOFWEEK", "DAYOFWEEK"),
    ("WEEKDAY", "WEEKDAY"),
    ("DAYOFYEAR", "DAYOFYEAR"),
    ("TO_DAYS", "TO_DAYS"),
];

/// Whether the name is that of a part of a moment.
pub(super) fn is_field(name: &str) -> bool {
    FIELDS.iter().any(|(mysql, _)| *mysql == name)
}

impl Translator<'_> {
    pub(super) fn field(&mut self, name: &str, expr: &Expr) -> Result<Piece, SqlError> {
        let field =
            FIELDS.iter().find(|(mysql, _)| *mysql == name).ok_or_else(|| SqlError::unsupported(name))?.1;
        let of_clock = ["HOUR", "MINUTE", "SECOND", "MICROSECOND"].contains(&field);
        let text = if of_clock { self.text_arg(expr)? } else { self.moment_arg(expr)? };
        Ok(Piece::sql(format!("my_field({text}, '{field}')"), Kind::INT))
    }

    /// A TIME stands for that time of today where a moment is asked for.
    fn dated(&mut self, piece: Piece) -> Result<Piece, SqlError> {
        if matches!(piece.kind, Kind::Time(_)) { self.convert(piece, Kind::DateTime(6)) } else { Ok(piece) }
    }

    fn moment_arg(&mut self, expr: &Expr) -> Result<String, SqlError> {
        let piece = self.expr(expr)?;
        let piece = self.dated(piece)?;
        self.argue(&piece, "function")?;
        let piece = if piece.kind == Kind::Binary { piece } else { self.convert(piece, Kind::TEXT)? };
        Ok(self.emit(&piece))
    }

    /// DATE_ADD and DATE_SUB.
    pub(super) fn date_add(
        &mut self,
        base: &Expr,
        interval: &Interval,
        sign: i32,
    ) -> Result<Piece, SqlError> {
        let unit =
            interval.leading_field.as_ref().map_or(String::new(), ToString::to_string).to_ascii_uppercase();
        let unit = unit.strip_suffix('S').unwrap_or(&unit).to_owned();
        if !["MICROSECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"]
            .contains(&unit.as_str())
        {
            return Err(SqlError::unsupported(format_args!("INTERVAL {unit}")));
        }
        let base = self.expr(base)?;
        if let Kind::Time(digits) = base.kind {
            return self.time_add(&base, digits, &interval.value, &unit, sign);
        }
        let kind = match base.kind {
            Kind::Date if ["DAY", "WEEK", "MONTH", "QUARTER", "YEAR"].contains(&unit.as_str()) => Kind::Date,
            Kind::Date => Kind::DateTime(0),
            Kind::DateTime(f) => Kind::DateTime(f),
            _ => Kind::TEXT,
        };
        let base = self.convert(base, kind)?;
        let amount = self.expr(&interval.value)?;
        let amount = self.convert(amount, Kind::TEXT)?;
        let (base, amount) = (self.emit(&base), self.emit(&amount));
        Ok(Piece::sql(format!("my_date_add({base}, {amount}, '{unit}', {sign})"), kind))
    }

    /// A TIME moved by an interval is a TIME, with as many digits as either has.
    fn time_add(
        &mut self,
        base: &Piece,
        digits: u8,
        amount: &Expr,
        unit: &str,
        sign: i32,
    ) -> Result<Piece, SqlError> {
        let amount = self.expr(amount)?;
        let finer = match (unit, amount.kind) {
            ("MICROSECOND", _) => 6,
            ("SECOND", Kind::Int { .. } | Kind::Null) => 0,
            ("SECOND", Kind::Decimal { scale }) => scale.min(6),
            ("SECOND", _) => 6,
            _ => 0,
        };
        let digits = digits.max(finer);
        let amount = self.convert(amount, Kind::TEXT)?;
        let (base, amount) = (self.emit(base), self.emit(&amount));
        let sql = format!("my_time_add({base}, {amount}, '{unit}', {sign}, {digits})");
        Ok(Piece::sql(sql, Kind::Time(digits)))
    }

    /// Names that are calls without parentheses.
    pub(super) fn bare_call(&mut self, name: &str) -> Result<Option<Piece>, SqlError> {
        let name = name.to_ascii_uppercase();
        let calls = [
            "CURRENT_TIMESTAMP",
            "LOCALTIMESTAMP",
            "LOCALTIME",
            "CURRENT_DATE",
            "CURRENT_TIME",
            "CURRENT_USER",
        ];
        if calls.contains(&name.as_str()) { self.session_call(&name, 0) } else { Ok(None) }
    }

    pub(super) fn bare_time(&mut self, name: &str) -> Result<Piece, SqlError> {
        self.session_call(name, 0)?.ok_or_else(|| super::expression::unknown_column(name))
    }

    /// Calls whose value depends on the session or the time of the statement.
    pub(super) fn session_call(&mut self, name: &str, digits: u8) -> Result<Option<Piece>, SqlError> {
        let facts = self.env.facts;
        let local = DateTime::from_micros(facts.now.micros() + facts.zone_offset * 1_000_000);
        let text = |text: String, kind| Piece { kind, ..Piece::text(text) };
        let clock = |moment: &DateTime| super::temporal::clock_text(moment.clock(), digits);
        Ok(Some(match name {
            "NOW" | "CURRENT_TIMESTAMP" | "LOCALTIMESTAMP" | "LOCALTIME" => {
                text(local.text(digits), Kind::DateTime(digits))
            }
            // the moment at which it runs, also in a statement that another node began
            "SYSDATE" => {
                let now = DateTime::from_micros(DateTime::now().micros() + facts.zone_offset * 1_000_000);
                text(now.text(digits), Kind::DateTime(digits))
            }
            "UTC_TIMESTAMP" => text(facts.now.text(digits), Kind::DateTime(digits)),
            "CURDATE" | "CURRENT_DATE" => text(local.date_text(), Kind::Date),
            "UTC_DATE" => text(facts.now.date_text(), Kind::Date),
            "CURTIME" | "CURRENT_TIME" => text(clock(&local), Kind::Time(digits)),
            "UTC_TIME" => text(clock(&facts.now), Kind::Time(digits)),
            "DATABASE" | "SCHEMA" => match self.env.database {
                "" => Piece { kind: Kind::TEXT, ..Piece::null() },
                database => Piece::text(database),
            },
            "USER" | "SESSION_USER" | "SYSTEM_USER" => Piece::text(facts.user.as_str()),
            "CURRENT_USER" => match facts.rights.account() {
                Some(account) => Piece::text(format!("{}@{}", account.name.user, account.name.host)),
                None => Piece::text(facts.user.as_str()),
            },
            "VERSION" => Piece::text(self.env.variables.select("version")?),
            "CONNECTION_ID" => Piece::uint(u64::from(facts.connection_id)),
            "LAST_INSERT_ID" => Piece::uint(facts.last_insert_id),
            "ROW_COUNT" => Piece::int(facts.row_count),
            "FOUND_ROWS" => Piece::uint(facts.found_rows),
            "PI" => Piece::sql("3.141592653589793".into(), Kind::Double),
            _ => return Ok(None),
        }))
    }

    pub(super) fn time_call(&mut self, call: &Call<'_>) -> Result<Piece, SqlError> {
        let offset = self.env.facts.zone_offset;
        let piece = match (call.name.as_str(), call.args.as_slice()) {
            ("UUID", []) => Piece::sql("my_uuid()".into(), Kind::TEXT),
            ("RAND", []) => {
                let (one, two) = self.env.facts.seeds.next();
                let [one, two] = [one, two].map(|seed| self.emit(&Piece::int(i64::from(seed))));
                Piece::sql(format!("my_rand({one}, {two})"), Kind::Double)
            }
            ("RAND", [number]) => {
                let number = self.int_arg(number)?;
                Piece::sql(format!("my_rand_of({number})"), Kind::Double)
            }
            ("UNIX_TIMESTAMP", []) => Piece::int(self.env.facts.now.micros() / 1_000_000),
            ("UNIX_TIMESTAMP", [moment]) => {
                let moment = self.expr(moment)?;
                let kind = match second_digits(&moment) {
                    0 => Kind::INT,
                    scale => Kind::Decimal { scale },
                };
                let moment = self.dated(moment)?;
                let moment = self.convert(moment, Kind::TEXT)?;
                let moment = self.emit(&moment);
                let sql = format!("my_unix({moment}, {offset})");
                match kind {
                    Kind::Decimal { scale } => Piece::sql(format!("my_decimal({sql}, {scale})"), kind),
                    _ => Piece::sql(format!("my_int({sql}, 0)"), kind),
                }
            }
            ("FROM_UNIXTIME", [number]) => {
                let number = self.number_arg(number)?;
                let kind = Kind::DateTime(if matches!(number.kind, Kind::Int { .. }) { 0 } else { 6 });
                let number = self.emit_in_full(&number);
                Piece::sql(format!("my_from_unix({number}, {offset})"), kind)
            }
            ("DATE_ADD" | "ADDDATE", [base, Expr::Interval(interval)]) => {
                return self.date_add(base, interval, 1);
            }
            ("DATE_SUB" | "SUBDATE", [base, Expr::Interval(interval)]) => {
                return self.date_add(base, interval, -1);
            }
            ("TIMESTAMPDIFF", [unit, a, b]) => {
                let unit = unit.to_string().to_ascii_uppercase();
                let unit = Piece::text(unit.trim_matches('`'));
                let (unit, a, b) = (self.emit(&unit), self.moment_arg(a)?, self.moment_arg(b)?);
                Piece::sql(format!("my_timestampdiff({unit}, {a}, {b})"), Kind::INT)
            }
            ("TIMESTAMP", [moment]) => {
                let moment = self.expr(moment)?;
                return self.convert(moment, Kind::DateTime(6));
            }
            ("JSON_EXTRACT", [json, path]) => {
                let (json, path) = (self.text_arg(json)?, self.text_arg(path)?);
                Piece::sql(format!("({json} -> {path})"), Kind::TEXT)
            }
            ("JSON_UNQUOTE", [json]) => {
                let json = self.text_arg(json)?;
                Piece::sql(format!("({json} ->> '$')"), Kind::TEXT)
            }
            _ => return self.number_call(call),
        };
        Ok(piece)
    }
}

/// How many digits of a second a value has that is taken for a moment.
fn second_digits(moment: &Piece) -> u8 {
    let most = 6;
    match (moment.kind, &moment.literal) {
        (Kind::DateTime(digits) | Kind::Decimal { scale: digits }, _) => digits.min(most),
        (Kind::Text(_), Some(Stored::Text(text))) => {
            let fraction = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            u8::try_from(fraction).unwrap_or(most).min(most)
        }
        (Kind::Text(_) | Kind::Binary | Kind::Double | Kind::Float, _) => most,
        _ => 0,
    }
}
