//! MySQL's column types, and the kinds of values that expressions have.
//!
//! A [`ColumnType`] is what CREATE TABLE says. A [`Kind`] is what the translator knows of any expression; it
//! decides how two values compare, which is where MySQL and SQLite differ most.

use serde::{Deserialize, Serialize};

use super::collation::Collation;

/// The four sizes of TEXT and BLOB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Size {
    /// 255 bytes.
    Tiny,
    /// 64 KiB - 1.
    Normal,
    /// 16 MiB - 1.
    Medium,
    /// 4 GiB - 1.
    Long,
}

impl Size {
    /// The longest value in bytes.
    #[must_use]
    pub fn limit(self) -> u32 {
        match self {
            Size::Tiny => 255,
            Size::Normal => 65_535,
            Size::Medium => 16_777_215,
            Size::Long => u32::MAX,
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Size::Tiny => "tiny",
            Size::Normal => "",
            Size::Medium => "medium",
            Size::Long => "long",
        }
    }
}

/// The type of a column, as CREATE TABLE gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum ColumnType {
    /// `bytes` is 1, 2, 3, 4 or 8; `display` is the old display width, kept for `tinyint(1)`.
    Int {
        bytes: u8,
        unsigned: bool,
        display: Option<u32>,
    },
    Decimal {
        precision: u8,
        scale: u8,
        unsigned: bool,
    },
    Float {
        unsigned: bool,
    },
    Double {
        unsigned: bool,
    },
    Char(u32),
    VarChar(u32),
    Text(Size),
    Binary(u32),
    VarBinary(u32),
    Blob(Size),
    Date,
    DateTime(u8),
    Timestamp(u8),
    Time(u8),
    Year,
    Enum(Vec<String>),
    Set(Vec<String>),
    Json,
}

/// What is known of an expression's value before it is computed, and how SQLite holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The literal NULL.
    Null,
    /// INTEGER, or an 8-byte BLOB for what is greater than `i64::MAX`.
    Int {
        /// Whether the protocol calls it unsigned.
        unsigned: bool,
    },
    /// TEXT with exactly this many digits after the point.
    Decimal {
        /// Digits after the point.
        scale: u8,
    },
    /// REAL that came from four bytes.
    Float,
    /// REAL.
    Double,
    /// TEXT.
    Text(Collation),
    /// BLOB.
    Binary,
    /// TEXT `YYYY-MM-DD`.
    Date,
    /// TEXT `YYYY-MM-DD hh:mm:ss` and that many digits of a second.
    DateTime(u8),
    /// TEXT `[-]hh:mm:ss` and that many digits of a second.
    Time(u8),
}

impl Kind {
    /// A signed integer.
    pub const INT: Kind = Kind::Int { unsigned: false };
    /// Text in the default collation.
    pub const TEXT: Kind = Kind::Text(Collation::GeneralCi);

    /// Whether MySQL computes with it as a number.
    #[must_use]
    pub fn is_number(self) -> bool {
        matches!(self, Kind::Int { .. } | Kind::Decimal { .. } | Kind::Float | Kind::Double)
    }

    /// Whether it is a date, a time, or both.
    #[must_use]
    pub fn is_temporal(self) -> bool {
        matches!(self, Kind::Date | Kind::DateTime(_) | Kind::Time(_))
    }

    /// SQLite's collation for it, or none where the bytes decide.
    #[must_use]
    pub fn collation(self) -> Option<&'static str> {
        match self {
            Kind::Text(collation) => Some(collation.name()),
            Kind::Decimal { .. } => Some("decimal"),
            Kind::Time(_) => Some("time"),
            _ => None,
        }
    }
}

impl ColumnType {
    /// The kind of this column's values; `collation` is the column's.
    #[must_use]
    pub fn kind(&self, collation: Collation) -> Kind {
        match self {
            ColumnType::Int { unsigned, .. } => Kind::Int { unsigned: *unsigned },
            ColumnType::Year => Kind::Int { unsigned: true },
            ColumnType::Decimal { scale, .. } => Kind::Decimal { scale: *scale },
            ColumnType::Float { .. } => Kind::Float,
            ColumnType::Double { .. } => Kind::Double,
            ColumnType::Char(_) | ColumnType::VarChar(_) | ColumnType::Text(_) => Kind::Text(collation),
            ColumnType::Enum(_) | ColumnType::Set(_) => Kind::Text(collation),
            ColumnType::Json => Kind::Text(Collation::Bin),
            ColumnType::Binary(_) | ColumnType::VarBinary(_) | ColumnType::Blob(_) => Kind::Binary,
            ColumnType::Date => Kind::Date,
            ColumnType::DateTime(f) | ColumnType::Timestamp(f) => Kind::DateTime(*f),
            ColumnType::Time(f) => Kind::Time(*f),
        }
    }

    /// Whether values are text that a collation orders.
    #[must_use]
    pub fn is_text(&self) -> bool {
        matches!(
            self,
            ColumnType::Char(_)
                | ColumnType::VarChar(_)
                | ColumnType::Text(_)
                | ColumnType::Enum(_)
                | ColumnType::Set(_)
        )
    }

    /// Whether it is one of the integer types.
    #[must_use]
    pub fn is_integer(&self) -> bool {
        matches!(self, ColumnType::Int { .. })
    }

    /// The type as SHOW COLUMNS prints it.
    #[must_use]
    pub fn sql(&self) -> String {
        let fraction = |f: &u8| if *f == 0 { String::new() } else { format!("({f})") };
        let sign = |unsigned: &bool| if *unsigned { " unsigned" } else { "" };
        match self {
            ColumnType::Int { unsigned, display, .. } => {
                let width = display.map_or(String::new(), |width| format!("({width})"));
                format!("{}{width}{}", self.name(), sign(unsigned))
            }
            ColumnType::Decimal { precision, scale, unsigned } => {
                format!("decimal({precision},{scale}){}", sign(unsigned))
            }
            ColumnType::Float { unsigned } | ColumnType::Double { unsigned } => {
                format!("{}{}", self.name(), sign(unsigned))
            }
            ColumnType::Char(n)
            | ColumnType::VarChar(n)
            | ColumnType::Binary(n)
            | ColumnType::VarBinary(n) => format!("{}({n})", self.name()),
            ColumnType::DateTime(f) | ColumnType::Timestamp(f) | ColumnType::Time(f) => {
                format!("{}{}", self.name(), fraction(f))
            }
            ColumnType::Enum(labels) | ColumnType::Set(labels) => {
                let quoted: Vec<String> =
                    labels.iter().map(|label| format!("'{}'", label.replace('\'', "''"))).collect();
                format!("{}({})", self.name(), quoted.join(","))
            }
            _ => self.name(),
        }
    }

    /// The type's word alone, as information_schema's DATA_TYPE.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            ColumnType::Int { bytes: 1, .. } => "tinyint".into(),
            ColumnType::Int { bytes: 2, .. } => "smallint".into(),
            ColumnType::Int { bytes: 3, .. } => "mediumint".into(),
            ColumnType::Int { bytes: 4, .. } => "int".into(),
            ColumnType::Int { .. } => "bigint".into(),
            ColumnType::Decimal { .. } => "decimal".into(),
            ColumnType::Float { .. } => "float".into(),
            ColumnType::Double { .. } => "double".into(),
            ColumnType::Char(_) => "char".into(),
            ColumnType::VarChar(_) => "varchar".into(),
            ColumnType::Text(size) => format!("{}text", size.prefix()),
            ColumnType::Binary(_) => "binary".into(),
            ColumnType::VarBinary(_) => "varbinary".into(),
            ColumnType::Blob(size) => format!("{}blob", size.prefix()),
            ColumnType::Date => "date".into(),
            ColumnType::DateTime(_) => "datetime".into(),
            ColumnType::Timestamp(_) => "timestamp".into(),
            ColumnType::Time(_) => "time".into(),
            ColumnType::Year => "year".into(),
            ColumnType::Enum(_) => "enum".into(),
            ColumnType::Set(_) => "set".into(),
            ColumnType::Json => "json".into(),
        }
    }

    /// The smallest and the greatest integer of the type, if it is one.
    #[must_use]
    pub fn integer_range(&self) -> Option<(i128, i128)> {
        let ColumnType::Int { bytes, unsigned, .. } = self else { return None };
        let bits = u32::from(*bytes) * 8;
        Some(match unsigned {
            true => (0, (1i128 << bits) - 1),
            false => (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1),
        })
    }
}
