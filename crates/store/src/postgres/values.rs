//! Values on their way to PostgreSQL, and columns on their way back.

use std::borrow::Cow;
use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::StoreError;
use crate::driver::{Cell, Value, unavailable};

/// A value that outlives the call in which it was given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Owned {
    Blob(Vec<u8>),
    Int(i64),
    Null,
    Text(String),
}

impl Owned {
    pub(super) fn of(value: &Value<'_>) -> Self {
        match value {
            Value::Blob(bytes) => Self::Blob(bytes.to_vec()),
            Value::Int(number) => Self::Int(*number),
            Value::Null => Self::Null,
            Value::Text(text) => Self::Text(holdable(text).into_owned()),
        }
    }

    fn borrowed(&self) -> Value<'_> {
        match self {
            Self::Blob(bytes) => Value::Blob(bytes),
            Self::Int(number) => Value::Int(*number),
            Self::Null => Value::Null,
            Self::Text(text) => Value::Text(text),
        }
    }
}

/// One column of many rows, sent as an array.
#[derive(Debug)]
pub(super) enum Column<'v> {
    Blobs(Vec<Option<&'v [u8]>>),
    Ints(Vec<Option<i64>>),
    Texts(Vec<Option<&'v str>>),
}

impl<'v> Column<'v> {
    /// The `nth` value of each row, for a parameter of type `ty`.
    pub(super) fn of(rows: &'v [Vec<Owned>], nth: usize, ty: &Type) -> Self {
        let values = rows.iter().map(|row| row.get(nth).unwrap_or(&Owned::Null));
        if *ty == Type::INT8 {
            let number = |value: &Owned| match value {
                Owned::Int(number) => Some(*number),
                Owned::Blob(_) | Owned::Null | Owned::Text(_) => None,
            };
            Self::Ints(values.map(number).collect())
        } else if *ty == Type::BYTEA {
            let bytes = |value: &'v Owned| match value {
                Owned::Blob(bytes) => Some(bytes.as_slice()),
                Owned::Int(_) | Owned::Null | Owned::Text(_) => None,
            };
            Self::Blobs(values.map(bytes).collect())
        } else {
            let text = |value: &'v Owned| match value {
                Owned::Text(text) => Some(text.as_str()),
                Owned::Blob(_) | Owned::Int(_) | Owned::Null => None,
            };
            Self::Texts(values.map(text).collect())
        }
    }

    pub(super) fn as_sql(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Blobs(values) => values,
            Self::Ints(values) => values,
            Self::Texts(values) => values,
        }
    }
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Blob(bytes) => bytes.to_sql(ty, out),
            Self::Int(number) if *ty == Type::INT4 => i32::try_from(*number)?.to_sql(ty, out),
            Self::Int(number) if *ty == Type::INT8 => number.to_sql(ty, out),
            Self::Int(number) => Err(format!("the number {number} for a {ty}").into()),
            Self::Null => Ok(IsNull::Yes),
            Self::Text(text) => holdable(text).as_ref().to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl ToSql for Owned {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.borrowed().to_sql(ty, out)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A text as PostgreSQL can hold it: without U+0000, which a far end may well send.
fn holdable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

/// What stands in the `nth` column.
pub(crate) fn cell(row: &Row, nth: usize) -> Result<Cell<'_>, StoreError> {
    row.try_get::<_, AnyCell<'_>>(nth).map(|cell| cell.0).map_err(unavailable)
}

struct AnyCell<'r>(Cell<'r>);

impl<'r> FromSql<'r> for AnyCell<'r> {
    fn from_sql(ty: &Type, raw: &'r [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let cell = match *ty {
            Type::BYTEA => Cell::Blob(raw),
            Type::INT4 => Cell::Int(i64::from(i32::from_sql(ty, raw)?)),
            Type::INT8 => Cell::Int(i64::from_sql(ty, raw)?),
            Type::TEXT => Cell::Text(<&str>::from_sql(ty, raw)?),
            _ => Cell::Other,
        };
        Ok(Self(cell))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Cell::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_far_end_can_always_be_held() {
        assert_eq!(holdable("a\0b"), "a\u{fffd}b");
        assert!(matches!(holdable("plain"), Cow::Borrowed("plain")));
    }

    #[test]
    fn column_of_many_rows_keeps_its_holes() {
        let rows = [vec![Owned::Int(1), Owned::Null], vec![Owned::Null, Owned::Text("x".into())]];
        let numbers = Column::of(&rows, 0, &Type::INT8);
        let texts = Column::of(&rows, 1, &Type::TEXT);
        assert!(matches!(numbers, Column::Ints(numbers) if numbers == [Some(1), None]));
        assert!(matches!(texts, Column::Texts(texts) if texts == [None, Some("x")]));
    }
}
