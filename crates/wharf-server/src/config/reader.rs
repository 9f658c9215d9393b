//! Reads typed values out of the layers; a fault is noted and reading goes on, so that all faults are told at once.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;
use toml::Value;

use super::duration;
use super::fault::Faults;
use super::layers::Layers;

/// A cursor over the layers that notes faults.
#[derive(Debug)]
pub struct Reader<'a> {
    layers: &'a Layers,
    /// What was wrong so far.
    pub faults: Faults,
}

impl<'a> Reader<'a> {
    /// Starts reading; `faults` are those of the layers.
    pub fn new(layers: &'a Layers, faults: Faults) -> Self {
        Self { layers, faults }
    }

    /// A text; empty when not set.
    pub fn text(&self, path: &str) -> &'a str {
        self.layers.get(path).and_then(Value::as_str).unwrap_or_default()
    }

    /// A text, `None` when empty.
    pub fn optional(&self, path: &str) -> Option<&'a str> {
        Some(self.text(path)).filter(|text| !text.is_empty())
    }

    /// A yes or no.
    pub fn flag(&self, path: &str) -> bool {
        self.layers.get(path).and_then(Value::as_bool).unwrap_or_default()
    }

    /// A whole number within `range`.
    pub fn number<T: TryFrom<i64> + Default + Display + PartialOrd>(
        &mut self,
        path: &str,
        range: RangeInclusive<T>,
    ) -> T {
        let found = self.layers.get(path).and_then(Value::as_integer).unwrap_or_default();
        match T::try_from(found) {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let what = format!("must be from {} to {}, not {found}", range.start(), range.end());
                self.faults.add(path, &what);
                T::default()
            }
        }
    }

    /// A duration within `range`.
    pub fn duration(&mut self, path: &str, range: RangeInclusive<Duration>) -> Duration {
        match duration::parse(self.text(path)) {
            Some(found) if range.contains(&found) => found,
            Some(_) => {
                let what = format!("must be from {:?} to {:?}", range.start(), range.end());
                self.faults.add(path, &what);
                Duration::ZERO
            }
            None => {
                self.faults
                    .add(path, "expected a duration such as 500ms, 15s, 10m, 24h or 30d");
                Duration::ZERO
            }
        }
    }

    /// Anything that reads itself from text; `wanted` says what it should have been.
    pub fn parsed<T: FromStr>(&mut self, path: &str, wanted: &str) -> Option<T> {
        let read = self.text(path).parse().ok();
        if read.is_none() {
            self.faults.add(path, &format!("expected {wanted}"));
        }
        read
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&mut self, path: &str, choices: &[(&str, T)]) -> Option<T> {
        let found = choices.iter().find(|(name, _)| *name == self.text(path));
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            self.faults.add(path, &format!("must be one of {}", names.join(", ")));
        }
        found.map(|(_, choice)| *choice)
    }

    /// Parts between commas, without blanks.
    pub fn list(&self, path: &str) -> Vec<&'a str> {
        self.text(path)
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .collect()
    }

    /// A secret: the value itself, or the content of the file that `PATH_file` names; both together are a fault.
    pub fn secret(&mut self, path: &str) -> Option<SecretString> {
        let file_path = format!("{path}_file");
        match (self.optional(path), self.optional(&file_path)) {
            (Some(_), Some(_)) => {
                self.faults
                    .add(&file_path, &format!("give either this or {path}, not both"));
                None
            }
            (Some(value), None) => Some(SecretString::from(value)),
            (None, Some(file)) => self.secret_from(&file_path, Path::new(file)),
            (None, None) => None,
        }
    }

    /// A text that must be there.
    pub fn required(&mut self, path: &str) -> Option<&'a str> {
        let found = self.optional(path);
        if found.is_none() {
            self.faults.add(path, "must not be empty");
        }
        found
    }

    /// A secret that must be there, as in [`Self::secret`].
    pub fn required_secret(&mut self, path: &str) -> Option<SecretString> {
        let found = self.secret(path);
        if found.is_none() {
            self.faults.add(path, "must not be empty, or its file must be given");
        }
        found
    }

    fn secret_from(&mut self, path: &str, file: &Path) -> Option<SecretString> {
        match std::fs::read_to_string(file) {
            Ok(text) => Some(SecretString::from(text.trim())),
            Err(error) => {
                self.faults
                    .add(path, &format!("cannot read {}: {error}", file.display()));
                None
            }
        }
    }

    /// A folder or file.
    pub fn path(&mut self, path: &str) -> PathBuf {
        if self.text(path).is_empty() {
            self.faults.add(path, "must not be empty");
        }
        PathBuf::from(self.text(path))
    }
}
