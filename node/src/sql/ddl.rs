//! From CREATE TABLE's syntax tree to a [`TableDef`].
//!
//! What this node does not have (foreign keys, CHECK, generated columns) is refused with 1235: accepting and
//! not enforcing it would be a lie.

use rusqlite::types::Value as Stored;
use sqlparser::ast::{
    BinaryLength, CharacterLength, ColumnDef as ColumnSyntax, ColumnOption, CreateTable, CreateTableOptions,
    DataType, EnumMember, ExactNumberInfo, Expr, FunctionArguments, IndexColumn, ObjectName, SqlOption,
    TableConstraint, TimezoneInfo, UnaryOperator, Value,
};

use super::clauses;
use super::coerce::{Context, coerce};
use super::collation::{known_collation, of_charset};
use super::decimal::{MAX_DIGITS, MAX_SCALE};
use super::definition_clauses;
use super::members;
use super::types::{ColumnType, Kind, Size};
use crate::SqlError;
use crate::storage::definition::{ColumnDef, DefaultValue, KeyDef, TableDef};

/// The most columns of a table.
const MAX_COLUMNS: usize = 1_000;
/// The longest name of a database, a table or a column.
const MAX_NAME_CHARS: usize = 64;

/// Refuses names that MySQL or the file cannot have.
pub fn check_name(name: &str) -> Result<(), SqlError> {
    if name.chars().count() > MAX_NAME_CHARS {
        return Err(SqlError::new(1059, "42000", format!("Identifier name '{name}' is too long")));
    }
    if name.is_empty() || name.ends_with(' ') || name.contains(['\0', '.']) {
        return Err(SqlError::new(1103, "42000", format!("Incorrect name '{name}'")));
    }
    Ok(())
}

/// The definition that a CREATE TABLE gives; `collation` is the database's default.
pub fn definition(
    create: &CreateTable,
    database: &str,
    name: &str,
    collation: &str,
) -> Result<(TableDef, Option<i128>), SqlError> {
    check_name(name)?;
    if create.temporary || create.query.is_some() || create.partition_by.is_some() || create.or_replace {
        return Err(SqlError::unsupported("CREATE TEMPORARY, OR REPLACE, PARTITION BY and .. SELECT"));
    }
    let mut table = TableDef {
        database: database.to_owned(),
        name: name.to_owned(),
        columns: Vec::new(),
        keys: Vec::new(),
        collation: collation.to_owned(),
        comment: String::new(),
    };
    let counter = table_options(&mut table, &create.table_options)?;
    for column in &create.columns {
        add_column(&mut table, column, None)?;
    }
    for constraint in &create.constraints {
        add_constraint(&mut table, constraint)?;
    }
    check(&mut table)?;
    Ok((table, counter))
}

/// Refuses a definition that cannot be; brings the primary key to the front.
pub fn check(table: &mut TableDef) -> Result<(), SqlError> {
    if table.columns.is_empty() {
        return Err(SqlError::new(1113, "42000", "A table must have at least 1 column"));
    }
    if table.columns.len() > MAX_COLUMNS {
        return Err(SqlError::new(1117, "HY000", "Too many columns"));
    }
    for (at, column) in table.columns.iter().enumerate() {
        if table.position(&column.name) != Some(at) {
            return Err(SqlError::new(1060, "42S21", format!("Duplicate column name '{}'", column.name)));
        }
    }
    if table.keys.iter().filter(|key| key.is_primary()).count() > 1 {
        return Err(SqlError::new(1068, "42000", "Multiple primary key defined"));
    }
    for (at, key) in table.keys.iter().enumerate() {
        if table.keys[..at].iter().any(|other| other.name.eq_ignore_ascii_case(&key.name)) {
            return Err(SqlError::new(1061, "42000", format!("Duplicate key name '{}'", key.name)));
        }
    }
    let automatic: Vec<usize> =
        (0..table.columns.len()).filter(|&at| table.columns[at].auto_increment).collect();
    let is_key = |at: usize| table.keys.iter().any(|key| key.columns().next() == Some(at));
    if automatic.len() > 1 || automatic.iter().any(|&at| !is_key(at)) {
        let message =
            "Incorrect table definition; there can be only one auto column and it must be defined as a key";
        return Err(SqlError::new(1075, "42000", message));
    }
    let primary: Vec<usize> = table.primary().map_or(Vec::new(), |key| key.columns().collect());
    for at in primary {
        table.columns[at].nullable = false;
    }
    table.keys.sort_by_key(|key| (!key.is_primary(), !key.unique));
    Ok(())
}

fn text_of(expr: &Expr) -> String {
    match expr {
        Expr::Value(value) => value.value.clone().into_string().unwrap_or_else(|| value.value.to_string()),
        other => other.to_string().trim_matches('`').to_owned(),
    }
}

fn table_options(table: &mut TableDef, options: &CreateTableOptions) -> Result<Option<i128>, SqlError> {
    let list = match options {
        CreateTableOptions::None => return Ok(None),
        CreateTableOptions::Plain(list) => list,
        other => return Err(SqlError::unsupported(other)),
    };
    let mut counter = None;
    let mut explicit_collation = false;
    for option in list {
        match option {
            SqlOption::Comment(comment) => {
                use sqlparser::ast::CommentDef::{WithEq, WithoutEq};
                let (WithEq(text) | WithoutEq(text)) = comment;
                table.comment = text.clone();
            }
            SqlOption::KeyValue { key, value } => {
                let key = key.value.to_ascii_uppercase();
                let value = text_of(value);
                match key.trim_start_matches("DEFAULT ") {
                    "COLLATE" => {
                        table.collation = known_collation(&value)?;
                        explicit_collation = true;
                    }
                    "CHARSET" | "CHARACTER SET" if explicit_collation => drop(of_charset(&value)?),
                    "CHARSET" | "CHARACTER SET" => table.collation = of_charset(&value)?,
                    "AUTO_INCREMENT" => {
                        let next = value.parse::<i128>();
                        counter =
                            Some(next.map_err(|_| SqlError::syntax("AUTO_INCREMENT takes a number"))? - 1);
                    }
                    "COMMENT" => table.comment = value,
                    "ROW_FORMAT" | "STATS_PERSISTENT" | "KEY_BLOCK_SIZE" | "CHECKSUM" | "MAX_ROWS"
                    | "MIN_ROWS" | "AVG_ROW_LENGTH" | "ENGINE" => {}
                    other => return Err(SqlError::unsupported(format_args!("table option {other}"))),
                }
            }
            SqlOption::NamedParenthesizedList(list) if list.key.value.eq_ignore_ascii_case("ENGINE") => {}
            other => return Err(SqlError::unsupported(other)),
        }
    }
    Ok(counter)
}

/// Appends a column, or puts it at a place.
pub fn add_column(table: &mut TableDef, syntax: &ColumnSyntax, at: Option<usize>) -> Result<(), SqlError> {
    check_name(&syntax.name.value)?;
    let place = at.unwrap_or(table.columns.len());
    for key in &mut table.keys {
        for part in &mut key.parts {
            part.0 += usize::from(part.0 >= place);
        }
    }
    let mut column = ColumnDef {
        name: syntax.name.value.clone(),
        ty: column_type(&syntax.data_type)?,
        nullable: true,
        default: DefaultValue::None,
        on_update_now: false,
        auto_increment: false,
        collation: table.collation.clone(),
        comment: String::new(),
    };
    let mut keys = Vec::new();
    for option in &syntax.options {
        column_option(&mut column, &option.option, place, &mut keys)?;
    }
    members::define(&mut column)?;
    check_default(&column)?;
    table.columns.insert(place, column);
    table.keys.extend(keys);
    Ok(())
}

fn column_option(
    column: &mut ColumnDef,
    option: &ColumnOption,
    place: usize,
    keys: &mut Vec<KeyDef>,
) -> Result<(), SqlError> {
    match option {
        ColumnOption::Null => column.nullable = true,
        ColumnOption::NotNull => column.nullable = false,
        ColumnOption::Default(expr) => column.default = default_value(expr)?,
        ColumnOption::PrimaryKey(key) if key.characteristics.is_none() => {
            column.nullable = false;
            keys.push(KeyDef { name: "PRIMARY".into(), unique: true, parts: vec![(place, None)] });
        }
        ColumnOption::Unique(key) if key.characteristics.is_none() => {
            keys.push(KeyDef { name: column.name.clone(), unique: true, parts: vec![(place, None)] });
        }
        ColumnOption::DialectSpecific(tokens) => {
            let words: Vec<String> =
                tokens.iter().map(|token| token.to_string().to_ascii_uppercase()).collect();
            match words.join(" ").as_str() {
                "AUTO_INCREMENT" if column.ty.is_integer() => {
                    column.auto_increment = true;
                    column.nullable = false;
                }
                "AUTO_INCREMENT" => {
                    let message = format!("Incorrect column specifier for column '{}'", column.name);
                    return Err(SqlError::new(1063, "42000", message));
                }
                other => return Err(SqlError::unsupported(other)),
            }
        }
        ColumnOption::CharacterSet(name) => column.collation = of_charset(&name.to_string())?,
        ColumnOption::Collation(name) => column.collation = known_collation(&name.to_string())?,
        // MariaDB's JSON, as it writes it in a dump.
        ColumnOption::Check(check)
            if column.ty == ColumnType::Text(Size::Long) && is_json_check(check, column) =>
        {
            column.ty = ColumnType::Json;
        }
        ColumnOption::Comment(text) => column.comment = text.clone(),
        ColumnOption::OnUpdate(expr) if is_now(expr) => column.on_update_now = true,
        other => return Err(SqlError::unsupported(other)),
    }
    Ok(())
}

fn is_json_check(check: &sqlparser::ast::CheckConstraint, column: &ColumnDef) -> bool {
    let text = check.expr.to_string().replace('`', "");
    text.eq_ignore_ascii_case(&format!("json_valid({})", column.name))
}

fn is_now(expr: &Expr) -> bool {
    let text = expr.to_string().to_ascii_uppercase();
    ["CURRENT_TIMESTAMP", "NOW(", "LOCALTIMESTAMP", "LOCALTIME"].iter().any(|word| text.starts_with(word))
}

fn default_value(expr: &Expr) -> Result<DefaultValue, SqlError> {
    if is_now(expr) {
        return Ok(DefaultValue::Now);
    }
    Ok(match expr {
        Expr::Nested(inner) => default_value(inner)?,
        Expr::Value(value) => match &value.value {
            Value::Null => DefaultValue::None,
            Value::Boolean(value) => DefaultValue::Text(i32::from(*value).to_string()),
            Value::Number(text, _) if !text.starts_with("0x") => DefaultValue::Text(text.clone()),
            other => match other.clone().into_string() {
                Some(text) => DefaultValue::Text(text),
                None => return Err(SqlError::unsupported(format_args!("DEFAULT {other}"))),
            },
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match default_value(expr)? {
            DefaultValue::Text(text) => DefaultValue::Text(format!("-{text}")),
            other => other,
        },
        Expr::Prefixed { value, .. } => default_value(value)?,
        other => return Err(SqlError::unsupported(format_args!("DEFAULT {other}"))),
    })
}

fn check_default(column: &ColumnDef) -> Result<(), SqlError> {
    let wrong = || SqlError::new(1067, "42000", format!("Invalid default value for '{}'", column.name));
    match &column.default {
        DefaultValue::None => Ok(()),
        DefaultValue::Now => match column.ty {
            ColumnType::DateTime(_) | ColumnType::Timestamp(_) => Ok(()),
            _ => Err(wrong()),
        },
        DefaultValue::Text(text) if !members::may_default(column, text) => Err(wrong()),
        DefaultValue::Text(text) => {
            let context = Context { zone_offset: 0, row: 1, zero_dates: true };
            coerce(column, Stored::Text(text.clone()), Kind::TEXT, &context).map(|_| ()).map_err(|_| wrong())
        }
    }
}

/// Adds a key that is written on its own.
pub fn add_constraint(table: &mut TableDef, constraint: &TableConstraint) -> Result<(), SqlError> {
    definition_clauses::constraint(constraint)?;
    let named = |name: &Option<sqlparser::ast::Ident>| name.as_ref().map(|name| name.value.clone());
    let key = match constraint {
        TableConstraint::PrimaryKey(key) => key_of(table, Some("PRIMARY".into()), true, &key.columns)?,
        TableConstraint::Unique(key) => {
            let name = named(&key.index_name).or_else(|| named(&key.name));
            key_of(table, name, true, &key.columns)?
        }
        TableConstraint::Index(key) => key_of(table, named(&key.name), false, &key.columns)?,
        TableConstraint::ForeignKey(_) => return Err(SqlError::unsupported("FOREIGN KEY")),
        TableConstraint::Check(_) => return Err(SqlError::unsupported("CHECK")),
        other => return Err(SqlError::unsupported(other)),
    };
    table.keys.push(key);
    Ok(())
}

/// A key over these columns; a name is found if none is given.
pub fn key_of(
    table: &TableDef,
    name: Option<String>,
    unique: bool,
    columns: &[IndexColumn],
) -> Result<KeyDef, SqlError> {
    let mut parts = Vec::with_capacity(columns.len());
    for column in columns {
        clauses::order_key(&column.column)?;
        if column.operator_class.is_some() {
            return Err(SqlError::syntax("a key's column has no class of operators"));
        }
        let (column_name, prefix) = match &column.column.expr {
            Expr::Identifier(name) => (name.value.clone(), None),
            Expr::Function(function) => {
                let FunctionArguments::List(list) = &function.args else {
                    return Err(SqlError::unsupported("a key of an expression"));
                };
                let length = list.args.first().map_or(String::new(), ToString::to_string);
                let length =
                    length.parse::<u32>().map_err(|_| SqlError::unsupported("a key of an expression"))?;
                (function.name.to_string().trim_matches('`').to_owned(), Some(length))
            }
            _ => return Err(SqlError::unsupported("a key of an expression")),
        };
        let at = table.position(&column_name).ok_or_else(|| {
            SqlError::new(1072, "42000", format!("Key column '{column_name}' doesn't exist in table"))
        })?;
        if unique && prefix.is_some() {
            return Err(SqlError::unsupported("a UNIQUE key of a prefix"));
        }
        parts.push((at, prefix));
    }
    let first = parts.first().map_or(String::new(), |&(at, _)| table.columns[at].name.clone());
    let name = name.unwrap_or_else(|| {
        let taken = |name: &str| table.keys.iter().any(|key| key.name.eq_ignore_ascii_case(name));
        let numbered = (2..).map(|n| format!("{first}_{n}"));
        std::iter::once(first.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(first)
    });
    check_name(&name)?;
    Ok(KeyDef { name, unique, parts })
}

/// The column type that a type's syntax means.
pub fn column_type(syntax: &DataType) -> Result<ColumnType, SqlError> {
    use DataType as D;
    let int = |bytes, unsigned| ColumnType::Int { bytes, unsigned, display: None };
    Ok(match syntax {
        D::TinyInt(Some(1)) => ColumnType::Int { bytes: 1, unsigned: false, display: Some(1) },
        D::Bool | D::Boolean => ColumnType::Int { bytes: 1, unsigned: false, display: Some(1) },
        D::TinyInt(_) => int(1, false),
        D::TinyIntUnsigned(_) => int(1, true),
        D::SmallInt(_) | D::Int2(_) => int(2, false),
        D::SmallIntUnsigned(_) | D::Int2Unsigned(_) => int(2, true),
        D::MediumInt(_) => int(3, false),
        D::MediumIntUnsigned(_) => int(3, true),
        D::Int(_) | D::Integer(_) | D::Int4(_) => int(4, false),
        D::IntUnsigned(_) | D::IntegerUnsigned(_) | D::Int4Unsigned(_) => int(4, true),
        D::BigInt(_) | D::Int8(_) => int(8, false),
        D::BigIntUnsigned(_) | D::Int8Unsigned(_) => int(8, true),
        D::Decimal(info) | D::Dec(info) | D::Numeric(info) => decimal(info, false)?,
        D::DecimalUnsigned(info) | D::DecUnsigned(info) => decimal(info, true)?,
        D::Float(ExactNumberInfo::PrecisionAndScale(..))
        | D::FloatUnsigned(ExactNumberInfo::PrecisionAndScale(..))
        | D::Double(ExactNumberInfo::PrecisionAndScale(..))
        | D::DoubleUnsigned(ExactNumberInfo::PrecisionAndScale(..)) => {
            // MySQL rounds to the digits that are named
            return Err(SqlError::unsupported(format_args!("{syntax}; give no digits, or say DECIMAL")));
        }
        D::Float(ExactNumberInfo::Precision(p)) if *p > 24 => ColumnType::Double { unsigned: false },
        D::Float(_) => ColumnType::Float { unsigned: false },
        D::FloatUnsigned(_) => ColumnType::Float { unsigned: true },
        D::Double(_) | D::DoublePrecision | D::Real => ColumnType::Double { unsigned: false },
        D::DoubleUnsigned(_) | D::DoublePrecisionUnsigned | D::RealUnsigned => {
            ColumnType::Double { unsigned: true }
        }
        D::Char(length) | D::Character(length) => ColumnType::Char(characters(length, 255)?.unwrap_or(1)),
        D::Varchar(length) | D::CharVarying(length) | D::CharacterVarying(length) => {
            let length = characters(length, 16_383)?;
            ColumnType::VarChar(length.ok_or_else(|| SqlError::syntax("VARCHAR takes a length"))?)
        }
        D::TinyText => ColumnType::Text(Size::Tiny),
        D::Text => ColumnType::Text(Size::Normal),
        D::MediumText => ColumnType::Text(Size::Medium),
        D::LongText => ColumnType::Text(Size::Long),
        D::TinyBlob => ColumnType::Blob(Size::Tiny),
        D::Blob(_) => ColumnType::Blob(Size::Normal),
        D::MediumBlob => ColumnType::Blob(Size::Medium),
        D::LongBlob => ColumnType::Blob(Size::Long),
        D::Binary(length) => ColumnType::Binary(bounded(length.unwrap_or(1), 255)?),
        D::Varbinary(Some(BinaryLength::IntegerLength { length })) => {
            ColumnType::VarBinary(bounded(*length, 65_535)?)
        }
        D::Date => ColumnType::Date,
        D::Datetime(f) => ColumnType::DateTime(fraction(*f)?),
        D::Timestamp(f, TimezoneInfo::None) => ColumnType::Timestamp(fraction(*f)?),
        D::Time(f, TimezoneInfo::None) => ColumnType::Time(fraction(*f)?),
        D::JSON => ColumnType::Json,
        D::Enum(members, None) => ColumnType::Enum(labels(members)?),
        D::Set(members) => ColumnType::Set(members.clone()),
        D::Custom(name, _) => custom(name)?,
        other => return Err(SqlError::unsupported(other)),
    })
}

fn custom(name: &ObjectName) -> Result<ColumnType, SqlError> {
    match name.to_string().to_ascii_uppercase().as_str() {
        "YEAR" => Ok(ColumnType::Year),
        other => Err(SqlError::unsupported(format_args!("type {other}"))),
    }
}

fn labels(members: &[EnumMember]) -> Result<Vec<String>, SqlError> {
    members
        .iter()
        .map(|member| match member {
            EnumMember::Name(name) => Ok(name.clone()),
            EnumMember::NamedValue(name, _) => {
                Err(SqlError::syntax(format!("ENUM label '{name}' has a value")))
            }
        })
        .collect()
}

fn bounded(length: u64, limit: u32) -> Result<u32, SqlError> {
    u32::try_from(length).ok().filter(|length| *length <= limit).ok_or_else(|| {
        SqlError::new(
            1074,
            "42000",
            format!("Column length too big (max = {limit}); use BLOB or TEXT instead"),
        )
    })
}

fn characters(length: &Option<CharacterLength>, limit: u32) -> Result<Option<u32>, SqlError> {
    match length {
        None => Ok(None),
        Some(CharacterLength::IntegerLength { length, .. }) => bounded(*length, limit).map(Some),
        Some(CharacterLength::Max) => Err(SqlError::syntax("a length is a number")),
    }
}

fn fraction(digits: Option<u64>) -> Result<u8, SqlError> {
    u8::try_from(digits.unwrap_or(0))
        .ok()
        .filter(|digits| *digits <= 6)
        .ok_or_else(|| SqlError::new(1426, "42000", "Too-big precision specified for a time. Maximum is 6"))
}

fn decimal(info: &ExactNumberInfo, unsigned: bool) -> Result<ColumnType, SqlError> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => (10, 0),
        ExactNumberInfo::Precision(p) => (*p, 0),
        ExactNumberInfo::PrecisionAndScale(p, s) => (*p, *s),
    };
    let fits = |n: u8, limit: usize| usize::from(n) <= limit;
    let precision = u8::try_from(precision).ok().filter(|p| fits(*p, MAX_DIGITS));
    let scale = u8::try_from(scale).ok().filter(|s| fits(*s, MAX_SCALE));
    match (precision, scale) {
        (Some(precision), Some(scale)) if scale <= precision => {
            Ok(ColumnType::Decimal { precision: precision.max(1), scale, unsigned })
        }
        (Some(_), Some(_)) => Err(SqlError::new(1427, "42000", "For decimal(M,D), M must be >= D")),
        _ => Err(SqlError::new(1426, "42000", "Too-big precision specified for a decimal. Maximum is 65")),
    }
}
