//! A row's id: any SQLite value, ordered as SQLite orders values under the BINARY collation.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use rusqlite::types::{ToSqlOutput, ValueRef};

/// The id of a row in a collection or table.
///
/// Equality and order are SQLite's: NULL, then numbers by value, then text and blobs byte by byte.
/// Text may hold bytes that are not UTF-8, as SQLite allows.
#[derive(Debug, Clone)]
pub enum Id {
    /// NULL.
    Null,
    /// A 64-bit integer.
    Integer(i64),
    /// A float.
    Real(f64),
    /// Text, as stored.
    Text(Vec<u8>),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Id {
    /// A text id.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into().into_bytes())
    }

    /// Copies a value that SQLite handed out.
    pub fn from_sql(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(value) => Self::Integer(value),
            ValueRef::Real(value) => Self::Real(value),
            ValueRef::Text(bytes) => Self::Text(bytes.to_vec()),
            ValueRef::Blob(bytes) => Self::Blob(bytes.to_vec()),
        }
    }

    /// The value as an SQL parameter.
    pub fn as_sql(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(bytes) => ValueRef::Text(bytes),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }
    }

    /// The text of a text id, with U+FFFD for bytes that are not UTF-8; `None` for other types.
    pub fn as_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(bytes) => Some(String::from_utf8_lossy(bytes)),
            _ => None,
        }
    }

    fn class(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Integer(_) | Self::Real(_) => 1,
            Self::Text(_) => 2,
            Self::Blob(_) => 3,
        }
    }
}

impl rusqlite::ToSql for Id {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.as_sql()))
    }
}

impl Ord for Id {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Real(a), Self::Real(b)) => a.total_cmp(b),
            (Self::Integer(a), Self::Real(b)) => compare_mixed(*a, *b),
            (Self::Real(a), Self::Integer(b)) => compare_mixed(*b, *a).reverse(),
            (Self::Text(a), Self::Text(b)) | (Self::Blob(a), Self::Blob(b)) => a.cmp(b),
            _ => self.class().cmp(&other.class()),
        }
    }
}

/// Compares exactly, also where an `f64` can't hold the integer. SQLite stores no NaN.
fn compare_mixed(integer: i64, real: f64) -> Ordering {
    if real >= 9_223_372_036_854_775_808.0 {
        return Ordering::Less;
    }
    if real < -9_223_372_036_854_775_808.0 {
        return Ordering::Greater;
    }
    let whole = real.trunc();
    integer.cmp(&(whole as i64)).then_with(|| 0.0_f64.total_cmp(&(real - whole)))
}

impl PartialOrd for Id {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Id {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Id {}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Real(value) => write!(f, "{value}"),
            Self::Text(bytes) => f.write_str(&String::from_utf8_lossy(bytes)),
            Self::Blob(bytes) => {
                f.write_str("x'")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str("'")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_id() -> impl Strategy<Value = Id> {
        prop_oneof![
            Just(Id::Null),
            any::<i64>().prop_map(Id::Integer),
            (-3_i64..3).prop_map(Id::Integer),
            any::<f64>().prop_filter("SQLite stores no NaN", |v| !v.is_nan()).prop_map(Id::Real),
            (-6_i32..6).prop_map(|v| Id::Real(f64::from(v) / 2.0)),
            ".{0,3}".prop_map(Id::text),
            prop::collection::vec(any::<u8>(), 0..3).prop_map(Id::Blob),
        ]
    }

    proptest! {
        /// The order is the one SQLite itself gives the two values.
        #[test]
        fn order_is_sqlites(a in any_id(), b in any_id()) {
            // -0.0 and 0.0 are one value to SQLite; ours keeps them apart, stored SQLite does not.
            prop_assume!(!matches!((&a, &b), (Id::Real(x), _) | (_, Id::Real(x)) if *x == 0.0));
            let db = rusqlite::Connection::open_in_memory().unwrap();
            db.execute_batch("create table t(v)").unwrap();
            for id in [&a, &b] {
                db.execute("insert into t values (?)", [id]).unwrap();
            }
            let (less, equal): (bool, bool) = db
                .query_row(
                    "select coalesce(x.v < y.v, x.v is null and y.v is not null), x.v is y.v
                     from t x, t y where x.rowid = 1 and y.rowid = 2",
                    [],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .unwrap();
            prop_assert_eq!(a < b, less);
            prop_assert_eq!(a == b, equal);
        }
    }
}
