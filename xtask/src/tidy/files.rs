//! Files: their length, their names, their first line, and the lints that every crate takes from the workspace.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{Source, Tree};

const LONGEST: usize = 600;
const LONGEST_TEST: usize = 1000;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 8] = [
    "utils", "util", "common", "helpers", "helper", "manager", "service", "misc",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exceptions {
    long_files: BTreeMap<String, String>,
}

pub fn check(tree: &Tree) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(tree.root.join("xtask/tidy.toml")).context("xtask/tidy.toml is unreadable")?;
    let exceptions: Exceptions = toml::from_str(&text).context("xtask/tidy.toml is not what it should be")?;
    let mut faults = Vec::new();
    for source in &tree.sources {
        faults.extend(length_fault(source, &exceptions));
        faults.extend(name_fault(source));
        faults.extend(opening_fault(source));
    }
    faults.extend(stale_exceptions(tree, &exceptions));
    faults.extend(lints_faults(tree)?);
    Ok(faults)
}

fn length_fault(source: &Source, exceptions: &Exceptions) -> Option<String> {
    let lines = source.text.lines().count();
    let longest = if source.is_test() { LONGEST_TEST } else { LONGEST };
    let excused = exceptions.long_files.contains_key(&source.path);
    (lines > longest && !excused).then(|| format!("{} has {lines} lines, more than {longest}", source.path))
}

fn name_fault(source: &Source) -> Option<String> {
    let empty = source
        .path
        .split('/')
        .find(|part| EMPTY_NAMES.contains(&part.trim_end_matches(".rs")))?;
    Some(format!("{}: `{empty}` says nothing about what is inside", source.path))
}

/// Each crate opens with what it owns, promises and never does.
fn opening_fault(source: &Source) -> Option<String> {
    let is_root = source.path.ends_with("src/lib.rs") || source.path.ends_with("src/main.rs");
    (is_root && !source.text.starts_with("//!")).then(|| format!("{} does not open with `//!`", source.path))
}

fn stale_exceptions(tree: &Tree, exceptions: &Exceptions) -> Vec<String> {
    exceptions
        .long_files
        .keys()
        .filter(|path| {
            let found = tree.sources.iter().find(|source| source.path == **path);
            found.is_none_or(|source| source.text.lines().count() <= LONGEST)
        })
        .map(|path| format!("xtask/tidy.toml excuses {path}, which needs no excuse"))
        .collect()
}

fn lints_faults(tree: &Tree) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for package in tree.metadata.workspace_packages() {
        let manifest: toml::Table = std::fs::read_to_string(&package.manifest_path)
            .with_context(|| format!("{} is unreadable", package.manifest_path))?
            .parse()
            .with_context(|| format!("{} is not TOML", package.manifest_path))?;
        let takes = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"))
            .and_then(toml::Value::as_bool);
        if takes != Some(true) {
            faults.push(format!("{} does not take the workspace's lints", package.name));
        }
    }
    Ok(faults)
}
