//! Bringing values to a common kind, and comparing them there.
//!
//! MySQL decides by the types of both sides how they compare: text by collation, a number with a text as
//! doubles, a time with a text as times, and so on. A literal is converted here and not in SQLite, to the form
//! in which the column on the other side is stored, so that SQLite can use the column's index.

use rusqlite::types::{Value as Stored, ValueRef};

use super::agree::{CollationSource, agreed};
use super::coerce::to_text;
use super::collation::Collation;
use super::conditions::{self, TakenFor};
use super::decimal::Decimal;
use super::expression::{Piece, Translator};
use super::number::{Number, int_stored, moment_number, text_to_double};
use super::temporal::{self, DateTime};
use super::types::Kind;
use crate::SqlError;

fn wrong_value(what: &str, value: &str) -> SqlError {
    SqlError::new(1525, "HY000", format!("Incorrect {what} value: '{value}'"))
}

/// The kind in which values of both kinds are a CASE's, a COALESCE's or a UNION's result.
#[must_use]
pub fn unify(a: Kind, b: Kind) -> Kind {
    match (a, b) {
        (a, b) if a == b => a,
        (Kind::Null, other) | (other, Kind::Null) => other,
        (Kind::Int { unsigned: x }, Kind::Int { unsigned: y }) => Kind::Int { unsigned: x && y },
        (Kind::Decimal { scale: x }, Kind::Decimal { scale: y }) => Kind::Decimal { scale: x.max(y) },
        (Kind::Decimal { scale }, Kind::Int { .. }) | (Kind::Int { .. }, Kind::Decimal { scale }) => {
            Kind::Decimal { scale }
        }
        (a, b) if a.is_number() && b.is_number() => Kind::Double,
        (Kind::DateTime(x), Kind::DateTime(y)) => Kind::DateTime(x.max(y)),
        (Kind::Time(x), Kind::Time(y)) => Kind::Time(x.max(y)),
        (Kind::Date, Kind::DateTime(f)) | (Kind::DateTime(f), Kind::Date) => Kind::DateTime(f),
        (Kind::Binary, _) | (_, Kind::Binary) => Kind::Binary,
        (Kind::Text(x), Kind::Text(y)) => Kind::Text(if y == Collation::Bin { y } else { x }),
        (Kind::Text(x), _) | (_, Kind::Text(x)) => Kind::Text(x),
        _ => Kind::TEXT,
    }
}

impl Translator<'_> {
    /// The value in another kind.
    pub fn convert(&mut self, piece: Piece, kind: Kind) -> Result<Piece, SqlError> {
        let number = match kind {
            Kind::Int { .. } => TakenFor::Integer,
            Kind::Decimal { .. } => TakenFor::Decimal,
            _ => TakenFor::Double,
        };
        self.convert_for(piece, kind, number)
    }

    /// The same, where a text is taken for this kind of number.
    fn convert_for(&mut self, piece: Piece, kind: Kind, number: TakenFor) -> Result<Piece, SqlError> {
        let piece = if kind.is_number() { self.counted(piece, false) } else { piece };
        if piece.kind == kind {
            return Ok(if piece.beyond { Piece::sql(self.emit(&piece), kind) } else { piece });
        }
        if piece.literal == Some(Stored::Null) {
            return Ok(Piece { kind, ..piece });
        }
        let source = match piece.kind {
            Kind::Text(_) => piece.source,
            _ => CollationSource::Literal,
        };
        if let Some(value) = &piece.literal
            && let Some(converted) = convert_literal(value, piece.kind, kind, number)?
        {
            return Ok(Piece { source, ..Piece::literal(converted, kind) });
        }
        let from = piece.kind;
        let sql = match kind.is_number() {
            true => self.emit_in_full(&piece),
            false => self.emit(&piece),
        };
        let wrapped = match (kind, from) {
            (_, Kind::Null) => sql,
            (Kind::Null, _) => return Ok(piece),
            (Kind::Int { .. }, Kind::Int { .. }) => sql,
            (Kind::Int { unsigned }, Kind::Text(_) | Kind::Binary) => {
                let double = format!("my_double({sql}, {})", number.mark());
                format!("my_int(my_truncate({double}, 0), {})", i32::from(unsigned))
            }
            (Kind::Int { unsigned }, _) if from.is_temporal() => {
                format!("my_int(my_truncate({}, 0), {})", self.digits(sql, from), i32::from(unsigned))
            }
            (Kind::Int { unsigned }, _) => {
                format!("my_int({}, {})", self.digits(sql, from), i32::from(unsigned))
            }
            (Kind::Double | Kind::Float, Kind::Double | Kind::Float) => sql,
            (Kind::Double | Kind::Float, Kind::Int { unsigned: false } | Kind::Decimal { .. }) => {
                format!("CAST({sql} AS REAL)")
            }
            (Kind::Double | Kind::Float, _) => {
                format!("my_double({}, {})", self.digits(sql, from), number.mark())
            }
            (Kind::Decimal { scale }, _) => format!("my_decimal({}, {scale})", self.digits(sql, from)),
            (
                Kind::Text(_),
                Kind::Text(_) | Kind::Decimal { .. } | Kind::Date | Kind::DateTime(_) | Kind::Time(_),
            ) => sql,
            (Kind::Text(_), Kind::Int { unsigned: true }) => format!("my_int_text({sql})"),
            (Kind::Text(_), Kind::Float) => format!("my_float_text({sql})"),
            (Kind::Text(_), _) => format!("my_text({sql})"),
            (Kind::Binary, Kind::Int { unsigned: true }) => format!("my_binary(my_int_text({sql}))"),
            (Kind::Binary, _) => format!("my_binary({sql})"),
            (Kind::Date | Kind::DateTime(_), Kind::Time(_)) => {
                let facts = self.env.facts;
                let local = DateTime::from_micros(facts.now.micros() + facts.zone_offset * 1_000_000);
                let today = self.emit(&Piece::text(local.date_text()));
                match kind {
                    Kind::DateTime(f) => format!("my_on_day({sql}, {today}, {f})"),
                    _ => format!("substr(my_on_day({sql}, {today}, 0), 1, 10)"),
                }
            }
            (Kind::Date, _) => format!("my_date({sql})"),
            (Kind::DateTime(f), _) => format!("my_datetime({sql}, {f})"),
            (Kind::Time(f), _) => format!("my_time({sql}, {f})"),
        };
        Ok(Piece { source, ..Piece::sql(wrapped, kind) })
    }

    /// A time as the number that its digits are; other values as they are.
    fn digits(&self, sql: String, from: Kind) -> String {
        if from.is_temporal() { format!("my_digits({sql})") } else { sql }
    }

    /// Both sides in the kind in which MySQL compares them.
    pub fn align(&mut self, left: Piece, right: Piece) -> Result<(Piece, Piece), SqlError> {
        self.align_for(left, right, "=")
    }

    /// The same, for this operation.
    fn align_for(&mut self, left: Piece, right: Piece, op: &str) -> Result<(Piece, Piece), SqlError> {
        let left = if right.kind.is_number() { left.numbered() } else { left };
        let right = if left.kind.is_number() { right.numbered() } else { right };
        if let (Kind::Text(_), Kind::Text(_)) = (left.kind, right.kind)
            && let Some((collation, source)) = agreed([&left, &right], op)?
        {
            let kind = Kind::Text(collation);
            let (left, right) = (self.convert(left, kind)?, self.convert(right, kind)?);
            return Ok((Piece { source, ..left }, Piece { source, ..right }));
        }
        if left.literal.is_none() == right.literal.is_none() {
            let kind = meeting(left.kind, right.kind);
            let number = number_of(left.kind, right.kind, false);
            return Ok((self.meet(left, kind, number)?, self.meet(right, kind, number)?));
        }
        if left.literal.is_some() {
            let (right, left) = self.align_for(right, left, op)?;
            return Ok((left, right));
        }
        let kind = literal_meeting(left.kind, &right)?;
        let number = number_of(left.kind, right.kind, true);
        Ok((self.meet(left, kind, number)?, self.meet(right, kind, number)?))
    }

    /// The value in the kind of a comparison. Decimals compare by value whatever their scale, and rounding one
    /// to the other's would make unequal numbers equal.
    fn meet(&mut self, piece: Piece, kind: Kind, number: TakenFor) -> Result<Piece, SqlError> {
        match (piece.kind, kind) {
            (Kind::Decimal { .. }, Kind::Decimal { .. }) => Ok(piece),
            _ => self.convert_for(piece, kind, number),
        }
    }

    /// `left op right`, compared as MySQL does.
    pub fn comparison(&mut self, left: Piece, op: &str, right: Piece) -> Result<Piece, SqlError> {
        let (left, right) = self.align_for(left, right, op)?;
        let collate = self.collate_of(&left, right.kind);
        let (a, b) = (self.emit(&left), self.emit(&right));
        Ok(Piece::sql(format!("({a}{collate} {op} {b})"), Kind::INT))
    }

    /// The COLLATE clause for a comparison whose left side is this. A column that has the wanted collation needs
    /// none, and SQLite searches an index for a row value only where there is none.
    #[must_use]
    pub fn collate_of(&self, left: &Piece, right: Kind) -> String {
        let own = left.origin.is_some().then(|| left.kind.collation()).flatten();
        let clause = self.collate(left.kind, right);
        match own {
            Some(name) if clause.ends_with(name) => String::new(),
            _ => clause,
        }
    }

    /// The COLLATE clause for a comparison of these kinds.
    #[must_use]
    pub fn collate(&self, left: Kind, right: Kind) -> String {
        let kind = match (left, right) {
            (Kind::Text(_), Kind::Text(Collation::Bin)) => right,
            (Kind::Null, other) => other,
            _ => left,
        };
        kind.collation().map_or(String::new(), |name| format!(" COLLATE {name}"))
    }
}

/// What MariaDB calls the number that a text is taken for where these are compared.
fn number_of(left: Kind, right: Kind, literal: bool) -> TakenFor {
    match (left, right) {
        (Kind::Int { .. }, _) | (_, Kind::Int { .. }) => TakenFor::Decimal,
        (Kind::Decimal { .. }, _) if literal => TakenFor::Decimal,
        _ => TakenFor::Double,
    }
}

/// The kind in which two values that no one knows yet are compared.
fn meeting(a: Kind, b: Kind) -> Kind {
    match (a, b) {
        (Kind::Text(_) | Kind::Binary, number) | (number, Kind::Text(_) | Kind::Binary)
            if number.is_number() =>
        {
            Kind::Double
        }
        (Kind::Text(_) | Kind::Binary, time) | (time, Kind::Text(_) | Kind::Binary) if time.is_temporal() => {
            match time {
                Kind::Time(_) => Kind::Time(6),
                _ => Kind::DateTime(6),
            }
        }
        (time, number) | (number, time) if time.is_temporal() && number.is_number() => Kind::Double,
        (Kind::Time(_), Kind::Date | Kind::DateTime(_)) | (Kind::Date | Kind::DateTime(_), Kind::Time(_)) => {
            Kind::DateTime(6)
        }
        (Kind::Text(x), Kind::Text(y)) => Kind::Text(if x == Collation::Bin { x } else { y }),
        _ => unify(a, b),
    }
}

/// The kind in which a value is compared with a literal: the value's own, wherever that is exact.
fn literal_meeting(kind: Kind, literal: &Piece) -> Result<Kind, SqlError> {
    let value = literal.literal.as_ref().unwrap_or(&Stored::Null);
    let text = to_text(value, literal.kind);
    Ok(match (kind, literal.kind) {
        (kind, Kind::Null) => kind,
        (Kind::Text(collation), Kind::Text(_)) => Kind::Text(collation),
        (Kind::Int { .. }, Kind::Text(_) | Kind::Decimal { .. }) => match Decimal::parse(&text) {
            Some(number) if number.to_i128().and_then(int_stored).is_some() => kind,
            Some(number) => Kind::Decimal { scale: u8::try_from(number.scale()).unwrap_or(30) },
            None => Kind::Double,
        },
        (Kind::Decimal { .. }, Kind::Int { .. }) => Kind::Decimal { scale: 0 },
        (Kind::Decimal { .. }, Kind::Text(_)) => match Decimal::parse(&text) {
            Some(number) => Kind::Decimal { scale: u8::try_from(number.scale()).unwrap_or(30) },
            None => Kind::Double,
        },
        (Kind::Decimal { .. }, Kind::Decimal { .. }) => literal.kind,
        (Kind::Date | Kind::DateTime(_), from) if !from.is_temporal() => {
            let moment = DateTime::parse(&text).ok_or_else(|| wrong_value("DATETIME", &text))?;
            moment_kind(kind, &moment)
        }
        (Kind::Date | Kind::DateTime(_), Kind::Date | Kind::DateTime(_)) => {
            DateTime::parse(&text).map_or(kind, |moment| moment_kind(kind, &moment))
        }
        (Kind::Time(f), Kind::Text(_)) => {
            let micros = temporal::parse_time(&text).ok_or_else(|| wrong_value("TIME", &text))?;
            if micros == temporal::round_time(micros, f) { kind } else { Kind::Time(6) }
        }
        (Kind::Time(f), Kind::Int { .. } | Kind::Decimal { .. }) => match temporal::parse_time(&text) {
            Some(micros) if micros == temporal::round_time(micros, f) => kind,
            Some(_) => Kind::Time(6),
            None => Kind::Double,
        },
        (kind, other) => meeting(kind, other),
    })
}

fn moment_kind(kind: Kind, moment: &DateTime) -> Kind {
    match kind {
        Kind::Date if moment.clock() == 0 => Kind::Date,
        Kind::DateTime(f) if moment.round(f) == *moment => kind,
        _ => Kind::DateTime(6),
    }
}

/// A literal in another kind; none where SQLite is to convert it. What a text is not all of is noted once: a literal may be converted
/// several times on its way.
fn convert_literal(
    value: &Stored,
    from: Kind,
    to: Kind,
    noted: TakenFor,
) -> Result<Option<Stored>, SqlError> {
    if matches!((from, to), (Kind::Time(_), Kind::Date | Kind::DateTime(_))) {
        return Ok(None);
    }
    let text = || to_text(value, from);
    if to.is_number() && matches!(from, Kind::Text(_) | Kind::Binary) && !conditions::literal(&text(), noted)
    {
        return Ok(None);
    }
    let number = || match from {
        Kind::Text(_) | Kind::Binary => Number::Double(text_to_double(&text())),
        _ if from.is_temporal() => Number::Decimal(moment_number(&text())),
        _ => Number::of(ValueRef::from(value)).unwrap_or(Number::Int(0)),
    };
    Ok(match to {
        Kind::Int { .. } => match from {
            // As MySQL does, text loses its fraction where a number is rounded.
            Kind::Text(_) => {
                Decimal::parse_prefix(text().trim()).0.unwrap_or_else(Decimal::zero).truncate(0).rounded()
            }
            _ if from.is_temporal() => number().to_decimal().truncate(0).rounded(),
            _ => number().to_int(),
        }
        .and_then(int_stored),
        Kind::Double | Kind::Float => Some(Stored::Real(number().to_f64())),
        Kind::Decimal { scale } => {
            let exact = match from {
                Kind::Text(_) => Decimal::parse_prefix(text().trim()).0.unwrap_or_else(Decimal::zero),
                _ => number().to_decimal(),
            };
            Some(Stored::Text(exact.rescale(usize::from(scale)).to_string()))
        }
        Kind::Text(_) => Some(Stored::Text(text())),
        Kind::Binary => Some(match value {
            Stored::Blob(bytes) if from == Kind::Binary => Stored::Blob(bytes.clone()),
            _ => Stored::Blob(text().into_bytes()),
        }),
        Kind::Date => DateTime::parse(&text()).map(|moment| Stored::Text(moment.date_text())),
        Kind::DateTime(f) => DateTime::parse(&text()).map(|moment| Stored::Text(moment.round(f).text(f))),
        Kind::Time(f) => temporal::parse_time(&text())
            .map(|micros| Stored::Text(temporal::clock_text(temporal::round_time(micros, f), f))),
        Kind::Null => None,
    })
}
