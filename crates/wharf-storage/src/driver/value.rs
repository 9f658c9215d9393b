//! Plain values: what goes into a statement and what comes out of a row. Both dialects speak these four kinds.

use wharf_model::{
    ApiKeyId, ContentKind, Day, Direction, EventId, EventKind, Lane, MessageId, MessageStatus, Network, PlanId,
    SessionId, SessionStatus, Timestamp, VerificationId, VerificationStatus, WorkspaceId,
};

use crate::error::StorageError;
use crate::seal::{Blind, Sealed};

/// A value that a statement takes; borrowed, so that bodies are not copied on their way in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Param<'a> {
    Null,
    Integer(i64),
    Text(&'a str),
    Blob(&'a [u8]),
}

/// A value out of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

/// One row, read from left to right in the order of the `select` list.
#[derive(Debug)]
pub(crate) struct Row(std::vec::IntoIter<Value>);

impl Row {
    pub(crate) fn new(values: Vec<Value>) -> Self {
        Self(values.into_iter())
    }

    /// The next column.
    pub(crate) fn take<T: FromValue>(&mut self) -> Result<T, StorageError> {
        T::from_value(self.0.next().ok_or(StorageError::Unreadable("row"))?)
    }
}

/// A type that a column can be read as.
pub(crate) trait FromValue: Sized {
    fn from_value(value: Value) -> Result<Self, StorageError>;
}

impl FromValue for i64 {
    fn from_value(value: Value) -> Result<Self, StorageError> {
        match value {
            Value::Integer(number) => Ok(number),
            Value::Null | Value::Text(_) | Value::Blob(_) => Err(StorageError::Unreadable("integer")),
        }
    }
}

impl FromValue for u64 {
    fn from_value(value: Value) -> Result<Self, StorageError> {
        Self::try_from(i64::from_value(value)?).map_err(|_| StorageError::Unreadable("count"))
    }
}

impl FromValue for u32 {
    fn from_value(value: Value) -> Result<Self, StorageError> {
        Self::try_from(i64::from_value(value)?).map_err(|_| StorageError::Unreadable("count"))
    }
}

impl FromValue for bool {
    fn from_value(value: Value) -> Result<Self, StorageError> {
        Ok(i64::from_value(value)? != 0)
    }
}

impl FromValue for String {
    fn from_value(value: Value) -> Result<Self, StorageError> {
        match value {
            Value::Text(text) => Ok(text),
            Value::Null | Value::Integer(_) | Value::Blob(_) => Err(StorageError::Unreadable("text")),
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value) -> Result<Self, StorageError> {
        match value {
            Value::Blob(bytes) => Ok(bytes),
            Value::Null | Value::Integer(_) | Value::Text(_) => Err(StorageError::Unreadable("bytes")),
        }
    }
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: Value) -> Result<Self, StorageError> {
        Self::try_from(Vec::from_value(value)?.as_slice()).map_err(|_| StorageError::Unreadable("bytes"))
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Result<Self, StorageError> {
        match value {
            Value::Null => Ok(None),
            value => T::from_value(value).map(Some),
        }
    }
}

impl FromValue for Timestamp {
    fn from_value(value: Value) -> Result<Self, StorageError> {
        i64::from_value(value).map(Self::from_millis)
    }
}

impl FromValue for Day {
    fn from_value(value: Value) -> Result<Self, StorageError> {
        i64::from_value(value).map(Self::from_number)
    }
}

impl FromValue for Lane {
    fn from_value(value: Value) -> Result<Self, StorageError> {
        let rank = i64::from_value(value)?;
        Self::ALL
            .into_iter()
            .find(|lane| lane.rank() == rank)
            .ok_or(StorageError::Unreadable("lane"))
    }
}

/// A value that a statement can take.
pub(crate) trait ToParam {
    fn to_param(&self) -> Param<'_>;
}

impl<T: ToParam + ?Sized> ToParam for &T {
    fn to_param(&self) -> Param<'_> {
        (**self).to_param()
    }
}

impl<T: ToParam> ToParam for Option<T> {
    fn to_param(&self) -> Param<'_> {
        self.as_ref().map_or(Param::Null, ToParam::to_param)
    }
}

impl ToParam for i64 {
    fn to_param(&self) -> Param<'_> {
        Param::Integer(*self)
    }
}

impl ToParam for u32 {
    fn to_param(&self) -> Param<'_> {
        Param::Integer(i64::from(*self))
    }
}

impl ToParam for Timestamp {
    fn to_param(&self) -> Param<'_> {
        Param::Integer(self.as_millis())
    }
}

impl ToParam for Day {
    fn to_param(&self) -> Param<'_> {
        Param::Integer(self.number())
    }
}

impl ToParam for Lane {
    fn to_param(&self) -> Param<'_> {
        Param::Integer(self.rank())
    }
}

impl ToParam for str {
    fn to_param(&self) -> Param<'_> {
        Param::Text(self)
    }
}

impl ToParam for String {
    fn to_param(&self) -> Param<'_> {
        Param::Text(self)
    }
}

impl ToParam for [u8] {
    fn to_param(&self) -> Param<'_> {
        Param::Blob(self)
    }
}

impl ToParam for Vec<u8> {
    fn to_param(&self) -> Param<'_> {
        Param::Blob(self)
    }
}

impl<const N: usize> ToParam for [u8; N] {
    fn to_param(&self) -> Param<'_> {
        Param::Blob(self)
    }
}

impl ToParam for Sealed {
    fn to_param(&self) -> Param<'_> {
        Param::Blob(self.as_bytes())
    }
}

impl FromValue for Sealed {
    fn from_value(value: Value) -> Result<Self, StorageError> {
        Vec::from_value(value).map(Self::from_bytes)
    }
}

impl ToParam for Blind {
    fn to_param(&self) -> Param<'_> {
        Param::Blob(self.as_bytes())
    }
}

impl FromValue for Blind {
    fn from_value(value: Value) -> Result<Self, StorageError> {
        <[u8; 16]>::from_value(value).map(Self::from_bytes)
    }
}

macro_rules! ids {
    ($($id:ty),+) => {$(
        impl ToParam for $id {
            fn to_param(&self) -> Param<'_> {
                Param::Blob(self.as_bytes())
            }
        }

        impl FromValue for $id {
            fn from_value(value: Value) -> Result<Self, StorageError> {
                <[u8; 16]>::from_value(value).map(Self::from_bytes)
            }
        }
    )+};
}

ids!(
    ApiKeyId,
    EventId,
    MessageId,
    PlanId,
    SessionId,
    VerificationId,
    WorkspaceId
);

macro_rules! names {
    ($($name:ty => $what:literal),+) => {$(
        impl ToParam for $name {
            fn to_param(&self) -> Param<'_> {
                Param::Text(self.as_str())
            }
        }

        impl FromValue for $name {
            fn from_value(value: Value) -> Result<Self, StorageError> {
                String::from_value(value)?.parse().map_err(|_| StorageError::Unreadable($what))
            }
        }
    )+};
}

names!(
    ContentKind => "content type",
    Direction => "direction",
    EventKind => "event type",
    MessageStatus => "message status",
    Network => "network",
    SessionStatus => "session status",
    VerificationStatus => "verification status"
);

/// The parameters of a statement, in the order of their `$n`.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$($crate::driver::value::ToParam::to_param(&$value)),*]
    };
}
pub(crate) use params;
