//! Lists in JSON columns.

use std::fmt::Display;
use std::str::FromStr;

use serde_json::Value;

use crate::error::StorageError;

pub(crate) fn from_strings(list: &[String]) -> String {
    from_displayed(list)
}

pub(crate) fn from_displayed(list: &[impl Display]) -> String {
    Value::from_iter(list.iter().map(ToString::to_string)).to_string()
}

pub(crate) fn to_strings(text: &str) -> Result<Vec<String>, StorageError> {
    to_parsed(text)
}

pub(crate) fn to_parsed<T: FromStr>(text: &str) -> Result<Vec<T>, StorageError> {
    let unreadable = || StorageError::Unreadable("JSON list");
    let Ok(Value::Array(list)) = serde_json::from_str(text) else {
        return Err(unreadable());
    };
    list.iter()
        .map(|item| item.as_str().and_then(|text| text.parse().ok()).ok_or_else(unreadable))
        .collect()
}
