//! Plain values on their way to PostgreSQL and back, in its binary form. No value shows itself in a log: tokio-postgres
//! prints parameters when its log level is `debug`.

use std::error::Error;
use std::fmt;

use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSqlOwned, IsNull, ToSql, Type, to_sql_checked};

use super::value::{Param, Row, Value};
use crate::error::StorageError;

/// A parameter of one statement.
pub(super) struct Bound<'a>(pub(super) Param<'a>);

/// A parameter that outlives its call.
pub(super) enum Owned {
    Null,
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl From<Param<'_>> for Owned {
    fn from(param: Param<'_>) -> Self {
        match param {
            Param::Null => Self::Null,
            Param::Integer(number) => Self::Integer(number),
            Param::Text(text) => Self::Text(text.to_owned()),
            Param::Blob(bytes) => Self::Blob(bytes.to_owned()),
        }
    }
}

impl Owned {
    pub(super) fn bound(&self) -> Bound<'_> {
        Bound(match self {
            Self::Null => Param::Null,
            Self::Integer(number) => Param::Integer(*number),
            Self::Text(text) => Param::Text(text),
            Self::Blob(bytes) => Param::Blob(bytes),
        })
    }
}

impl fmt::Debug for Bound<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl ToSql for Bound<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self.0 {
            Param::Null => Ok(IsNull::Yes),
            Param::Integer(number) if *ty == Type::INT8 => number.to_sql(ty, out),
            Param::Integer(number) if *ty == Type::INT4 => i32::try_from(number)?.to_sql(ty, out),
            // A text of PostgreSQL cannot hold the character 0, which strangers may send: it stands as "unknown".
            Param::Text(text) if <&str as ToSql>::accepts(ty) && text.contains('\0') => {
                text.replace('\0', "\u{fffd}").to_sql(ty, out)
            }
            Param::Text(text) if <&str as ToSql>::accepts(ty) => text.to_sql(ty, out),
            Param::Blob(bytes) if *ty == Type::BYTEA => bytes.to_sql(ty, out),
            Param::Integer(_) | Param::Text(_) | Param::Blob(_) => Err(format!("the statement wants a {ty}").into()),
        }
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

pub(super) fn read_row(row: &tokio_postgres::Row) -> Result<Row, StorageError> {
    let columns = row.columns().iter().enumerate();
    let values = columns.map(|(index, column)| read_column(row, index, column.type_()));
    Ok(Row::new(values.collect::<Result<_, _>>()?))
}

fn read_column(row: &tokio_postgres::Row, index: usize, ty: &Type) -> Result<Value, StorageError> {
    match *ty {
        Type::INT8 => get::<i64>(row, index).map(|value| value.map(Value::Integer)),
        Type::INT4 => get::<i32>(row, index).map(|value| value.map(|number| Value::Integer(number.into()))),
        Type::BOOL => get::<bool>(row, index).map(|value| value.map(|truth| Value::Integer(truth.into()))),
        Type::TEXT | Type::VARCHAR | Type::NAME => get::<String>(row, index).map(|value| value.map(Value::Text)),
        Type::BYTEA => get::<Vec<u8>>(row, index).map(|value| value.map(Value::Blob)),
        Type::VOID => Ok(None),
        _ => Err(StorageError::Unreadable("value")),
    }
    .map(|value| value.unwrap_or(Value::Null))
}

fn get<T: FromSqlOwned>(row: &tokio_postgres::Row, index: usize) -> Result<Option<T>, StorageError> {
    row.try_get(index).map_err(|_| StorageError::Unreadable("value"))
}
