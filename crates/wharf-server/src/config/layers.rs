//! Lays the file and the environment over the defaults. The embedded default file is the list of known keys and of
//! their types, so that what is not in the manual cannot be set.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::fault::Faults;

/// What every environment override starts with.
const PREFIX: &str = "WHARF_";

/// What separates section and key in a variable's name. A name without it is not meant as a setting.
const SEPARATOR: &str = "__";

/// Effective values, and which of them somebody set.
#[derive(Debug)]
pub struct Layers {
    values: Table,
    given: BTreeMap<String, &'static str>,
}

impl Layers {
    /// The defaults alone.
    pub fn new(defaults: Table) -> Self {
        Self {
            values: defaults,
            given: BTreeMap::new(),
        }
    }

    /// The value at `section.key`.
    pub fn get(&self, path: &str) -> Option<&Value> {
        let (section, key) = path.split_once('.')?;
        self.values.get(section)?.as_table()?.get(key)
    }

    /// Whether the file, the environment or the command line gave this key.
    pub fn is_given(&self, path: &str) -> bool {
        self.given.contains_key(path)
    }

    /// All values, section by section.
    pub fn table(&self) -> &Table {
        &self.values
    }

    /// Lays a configuration file over what is there.
    pub fn add_file(&mut self, text: &str, faults: &mut Faults) {
        match text.parse::<Table>() {
            Ok(file) => self.add_sections(file, faults),
            Err(error) => faults.add("file", error.message()),
        }
    }

    /// Lays environment variables over what is there; those without our prefix are passed over.
    pub fn add_environment(&mut self, variables: &BTreeMap<String, String>, faults: &mut Faults) {
        for (name, text) in variables {
            if let Some(rest) = name.strip_prefix(PREFIX)
                && rest.contains(SEPARATOR)
            {
                self.add_variable(name, rest, text, faults);
            }
        }
    }

    /// Sets one value from the command line.
    pub fn set(&mut self, path: &str, value: Value) {
        if let Some(slot) = self.slot(path) {
            *slot = value;
            self.given.insert(path.to_owned(), "option");
        }
    }

    /// Changes a default; anything given wins over it.
    pub fn set_default(&mut self, path: &str, value: Value) {
        if let Some(slot) = self.slot(path) {
            *slot = value;
        }
    }

    fn add_sections(&mut self, file: Table, faults: &mut Faults) {
        for (section, content) in file {
            match (self.values.contains_key(&section), content) {
                (true, Value::Table(keys)) => self.add_keys(&section, keys, faults),
                (true, _) => faults.add(&section, "is a section: write its keys under a line [section]"),
                (false, _) => faults.add(&section, "unknown section"),
            }
        }
    }

    fn add_keys(&mut self, section: &str, keys: Table, faults: &mut Faults) {
        for (key, value) in keys {
            let path = format!("{section}.{key}");
            match self.slot(&path) {
                None => faults.add(&path, "unknown key"),
                Some(slot) if slot.type_str() != value.type_str() => {
                    let wanted = wanted(slot);
                    faults.add(&path, &format!("expected {wanted}, found {}", wanted_by(&value)));
                }
                Some(slot) => {
                    *slot = value;
                    self.given.insert(path, "file");
                }
            }
        }
    }

    fn add_variable(&mut self, name: &str, rest: &str, text: &str, faults: &mut Faults) {
        let path = rest.to_ascii_lowercase().replacen(SEPARATOR, ".", 1);
        let Some(slot) = self.slot(&path) else {
            return faults.add(name, "no setting has this name (WHARF_<SECTION>__<KEY>)");
        };
        match read_as(slot, text) {
            Some(value) => {
                *slot = value;
                self.given.insert(path, "environment");
            }
            None => {
                let wanted = wanted(slot);
                faults.add(&format!("{path} (from {name})"), &format!("expected {wanted}"));
            }
        }
    }

    fn slot(&mut self, path: &str) -> Option<&mut Value> {
        let (section, key) = path.split_once('.')?;
        self.values.get_mut(section)?.as_table_mut()?.get_mut(key)
    }
}

/// Reads text as the type of the default.
fn read_as(default: &Value, text: &str) -> Option<Value> {
    match default {
        Value::Integer(_) => text.trim().parse().ok().map(Value::Integer),
        Value::Boolean(_) => text.trim().parse().ok().map(Value::Boolean),
        _ => Some(Value::String(text.to_owned())),
    }
}

fn wanted(value: &Value) -> &'static str {
    match value {
        Value::Integer(_) => "a whole number",
        Value::Boolean(_) => "true or false",
        _ => "a text in quotes",
    }
}

fn wanted_by(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a broken number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a section",
    }
}
