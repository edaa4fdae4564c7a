//! BETWEEN, IN, LIKE, CASE, arithmetic and bits.

use sqlparser::ast::{BinaryOperator, CaseWhen, Expr, Query};

use super::agree::agreed;
use super::collation::Collation;
use super::compare::unify;
use super::decimal::{DIVISION_SCALE, MAX_SCALE};
use super::expression::{Piece, Translator, as_tuple, balanced};
use super::types::Kind;
use crate::SqlError;

/// Values in one kind, of which an expression is one.
pub(super) struct Unified {
    pub texts: Vec<String>,
    pub kind: Kind,
    /// Whether some are more than the kind says.
    pub beyond: bool,
}

impl Unified {
    /// The expression that gives one of them.
    pub fn piece(&self, sql: String) -> Piece {
        Piece { beyond: self.beyond, ..Piece::sql(sql, self.kind) }
    }
}

impl Translator<'_> {
    pub(super) fn between(
        &mut self,
        expr: &Expr,
        negated: bool,
        low: &Expr,
        high: &Expr,
    ) -> Result<Piece, SqlError> {
        // Unlike `=`, MySQL's BETWEEN, IN and CASE do not round what they compare.
        let value = self.expr(expr)?.in_full();
        let (low, high) = (self.expr(low)?.in_full(), self.expr(high)?.in_full());
        let above = self.comparison(value.clone(), ">=", low)?;
        let below = self.comparison(value, "<=", high)?;
        let not = if negated { "NOT " } else { "" };
        Ok(Piece::sql(format!("({not}({} AND {}))", above.sql, below.sql), Kind::INT))
    }

    pub(super) fn in_list(&mut self, expr: &Expr, list: &[Expr], negated: bool) -> Result<Piece, SqlError> {
        let not = if negated { "NOT " } else { "" };
        if let Some(lefts) = as_tuple(expr) {
            return self.tuples_in(lefts, list, not);
        }
        let mut value = self.expr(expr)?;
        // IN of a single item is `=`, which rounds.
        value.beyond &= list.len() == 1;
        let mut items = Vec::with_capacity(list.len());
        // One IN where every item meets the value in one kind; else a chain of comparisons.
        let mut common: Option<Piece> = None;
        let mut pieces = Vec::with_capacity(list.len());
        for item in list {
            let mut piece = self.expr(item)?;
            piece.beyond &= list.len() == 1;
            let (left, right) = self.align(value.clone(), piece.clone())?;
            let fits =
                right.kind == left.kind || matches!((left.kind, right.kind), (Kind::Text(_), Kind::Text(_)));
            let alike = |c: &Piece| c.sql == left.sql && c.literal == left.literal && c.kind == left.kind;
            let same = common.as_ref().is_none_or(alike);
            if fits && same && left.literal.is_none() {
                let text = self.emit(&right);
                items.push(text);
                common = Some(left);
            } else {
                pieces.push(piece);
            }
        }
        let mut tests = Vec::new();
        if let Some(left) = common {
            let collate = self.collate_of(&left, left.kind);
            tests.push(format!("{}{collate} IN ({})", self.emit(&left), items.join(", ")));
        }
        for piece in pieces {
            let test = self.comparison(value.clone(), "=", piece)?;
            tests.push(test.sql);
        }
        Ok(Piece::sql(format!("({not}({}))", balanced(tests, " OR ")), Kind::INT))
    }

    fn tuples_in(&mut self, lefts: &[Expr], list: &[Expr], not: &str) -> Result<Piece, SqlError> {
        let columns = lefts.iter().map(|e| self.expr(e)).collect::<Result<Vec<_>, _>>()?;
        let (mut rows, mut tests) = (Vec::with_capacity(list.len()), Vec::new());
        for item in list {
            let parts = as_tuple(item).filter(|parts| parts.len() == columns.len()).ok_or_else(|| {
                SqlError::new(1241, "21000", format!("Operand should contain {} column(s)", columns.len()))
            })?;
            let mut row = Vec::with_capacity(parts.len());
            for (column, part) in columns.iter().zip(parts) {
                let part = self.expr(part)?;
                let (left, right) = self.align(column.clone(), part)?;
                if left.sql != column.sql || left.literal.is_some() {
                    break;
                }
                row.push(self.emit(&right));
            }
            // A row that compares in other kinds than the columns' own is compared by itself.
            match row.len() == parts.len() {
                true => rows.push(format!("({})", row.join(", "))),
                false => tests.push(self.tuples(lefts, "=", parts)?.sql),
            }
        }
        if !rows.is_empty() {
            let names: Vec<String> = columns
                .iter()
                .map(|column| format!("{}{}", column.sql, self.collate_of(column, column.kind)))
                .collect();
            tests.push(format!("(({}) IN (VALUES {}))", names.join(", "), rows.join(", ")));
        }
        Ok(Piece::sql(format!("({not}({}))", balanced(tests, " OR ")), Kind::INT))
    }

    pub(super) fn in_subquery(
        &mut self,
        expr: &Expr,
        query: &Query,
        negated: bool,
    ) -> Result<Piece, SqlError> {
        let lefts = match as_tuple(expr) {
            Some(parts) => parts.iter().map(|e| self.expr(e)).collect::<Result<Vec<_>, _>>()?,
            None => vec![self.expr(expr)?],
        };
        let mut kinds = Vec::with_capacity(lefts.len());
        let probe = self.query_columns(query)?;
        if probe.len() != lefts.len() {
            return Err(SqlError::new(
                1241,
                "21000",
                format!("Operand should contain {} column(s)", lefts.len()),
            ));
        }
        let mut names = Vec::with_capacity(lefts.len());
        for (left, column) in lefts.into_iter().zip(probe) {
            let other = Piece::sql(String::new(), column.kind);
            let (left, _) = self.align(left, other)?;
            let collate = self.collate_of(&left, left.kind);
            // decimals are compared by value whatever their scale, so the inside keeps its own
            let both_decimal =
                matches!((left.kind, column.kind), (Kind::Decimal { .. }, Kind::Decimal { .. }));
            kinds.push(if both_decimal { column.kind } else { left.kind });
            names.push(format!("{}{collate}", self.emit(&left)));
        }
        let query = self.query(query, Some(&kinds))?;
        let not = if negated { "NOT " } else { "" };
        let left = if names.len() == 1 { names.concat() } else { format!("({})", names.join(", ")) };
        Ok(Piece::sql(format!("({left} {not}IN ({}))", query.sql), Kind::INT))
    }

    pub(super) fn like(
        &mut self,
        negated: bool,
        expr: &Expr,
        pattern: &Expr,
        escape: Option<&Expr>,
    ) -> Result<Piece, SqlError> {
        let (value, pattern) = (self.expr(expr)?, self.expr(pattern)?);
        let collation = match [value.kind, pattern.kind].contains(&Kind::Binary) {
            true => Collation::Bin,
            false => agreed([&value, &pattern], "like")?.map_or(self.connection, |(collation, _)| collation),
        };
        let (value, pattern) = (self.convert(value, Kind::TEXT)?, self.convert(pattern, Kind::TEXT)?);
        let escape = match escape {
            Some(escape) => self.expr(escape)?,
            None => Piece::text("\\"),
        };
        let (value, pattern, escape) = (self.emit(&value), self.emit(&pattern), self.emit(&escape));
        let not = if negated { "NOT " } else { "" };
        Ok(Piece::sql(
            format!("({not}my_like({value}, {pattern}, {escape}, '{}'))", collation.name()),
            Kind::INT,
        ))
    }

    pub(super) fn case(
        &mut self,
        operand: Option<&Expr>,
        conditions: &[CaseWhen],
        otherwise: Option<&Expr>,
    ) -> Result<Piece, SqlError> {
        let operand = operand.map(|e| self.expr(e)).transpose()?.map(Piece::in_full);
        let mut tests = Vec::with_capacity(conditions.len());
        let mut results = Vec::with_capacity(conditions.len() + 1);
        for when in conditions {
            let test = self.expr(&when.condition)?;
            tests.push(match &operand {
                Some(operand) => self.comparison(operand.clone(), "=", test.in_full())?.sql,
                None => self.truth_of(test)?,
            });
            results.push(self.expr(&when.result)?);
        }
        results.push(otherwise.map_or(Ok(Piece::null()), |e| self.expr(e))?);
        let results = self.unified(results)?;
        let mut sql = "(CASE".to_owned();
        for (at, result) in results.texts.iter().enumerate() {
            match tests.get(at) {
                Some(test) => sql += &format!(" WHEN {test} THEN {result}"),
                None => sql += &format!(" ELSE {result} END)"),
            }
        }
        Ok(results.piece(sql))
    }

    /// All values in the kind that holds every one of them.
    pub(super) fn unified(&mut self, pieces: Vec<Piece>) -> Result<Unified, SqlError> {
        let mut kind = pieces.iter().map(|piece| piece.kind).reduce(unify).unwrap_or(Kind::Null);
        if let (Kind::Text(_), Some((collation, _))) = (kind, agreed(&pieces, "case")?) {
            kind = Kind::Text(collation);
            for piece in &pieces {
                self.argue(piece, "case")?;
            }
        }
        let mut texts = Vec::with_capacity(pieces.len());
        // Among signed integers there may be one that only an unsigned one holds.
        let mut beyond =
            kind == Kind::INT && pieces.iter().any(|piece| piece.kind == Kind::Int { unsigned: true });
        for piece in pieces {
            if piece.beyond && matches!(kind, Kind::Decimal { .. }) {
                beyond = true;
                texts.push(piece.sql);
                continue;
            }
            let piece = self.convert(piece, kind)?;
            texts.push(self.emit(&piece));
        }
        Ok(Unified { texts, kind, beyond })
    }

    pub(super) fn arithmetic_or_bits(
        &mut self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
    ) -> Result<Piece, SqlError> {
        if let (BinaryOperator::Plus | BinaryOperator::Minus, Expr::Interval(interval)) = (op, right) {
            return self.date_add(left, interval, if *op == BinaryOperator::Plus { 1 } else { -1 });
        }
        let (a, b) = (self.expr(left)?, self.expr(right)?);
        if let Some(piece) = self.bits(&a, op, &b)? {
            return Ok(piece);
        }
        self.arithmetic(a, op, b)
    }

    fn arithmetic(&mut self, a: Piece, op: &BinaryOperator, b: Piece) -> Result<Piece, SqlError> {
        let (a, b) = (self.numeric(a)?, self.numeric(b)?);
        let function = match op {
            BinaryOperator::Plus => "my_add",
            BinaryOperator::Minus => "my_sub",
            BinaryOperator::Multiply => "my_mul",
            BinaryOperator::Divide => "my_div",
            BinaryOperator::MyIntegerDivide => "my_intdiv",
            BinaryOperator::Modulo => "my_mod",
            other => return Err(SqlError::unsupported(other)),
        };
        let kind = arithmetic_kind(a.kind, op, b.kind);
        let long_product = *op == BinaryOperator::Multiply && scale_of(a.kind) + scale_of(b.kind) > MAX_SCALE;
        let beyond = *op == BinaryOperator::Divide || long_product || a.beyond || b.beyond;
        let (a, b) = (self.emit_in_full(&a), self.emit_in_full(&b));
        let unsigned = i32::from(kind == Kind::Int { unsigned: true });
        Ok(Piece::digits(format!("{function}({a}, {b}, {unsigned})"), kind, beyond))
    }
}

fn scale_of(kind: Kind) -> usize {
    match kind {
        Kind::Decimal { scale } => usize::from(scale),
        _ => 0,
    }
}

fn arithmetic_kind(a: Kind, op: &BinaryOperator, b: Kind) -> Kind {
    let decimal = |scale: usize| Kind::Decimal { scale: u8::try_from(scale.min(MAX_SCALE)).unwrap_or(30) };
    let unsigned = [a, b].contains(&Kind::Int { unsigned: true });
    if *op == BinaryOperator::MyIntegerDivide {
        return Kind::Int { unsigned };
    }
    if [a, b].iter().any(|kind| matches!(kind, Kind::Double | Kind::Float)) {
        return Kind::Double;
    }
    let ints = [a, b].iter().all(|kind| matches!(kind, Kind::Int { .. } | Kind::Null));
    match op {
        BinaryOperator::Divide => decimal(scale_of(a) + DIVISION_SCALE),
        _ if ints => Kind::Int { unsigned },
        BinaryOperator::Multiply => decimal(scale_of(a) + scale_of(b)),
        _ => decimal(scale_of(a).max(scale_of(b))),
    }
}
