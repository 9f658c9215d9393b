//! Migrations: numbered without gaps, and the same numbers and names in every dialect that exists.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};

use super::Tree;

const FOLDER: &str = "crates/wharf-storage/migrations";

pub fn check(tree: &Tree) -> Result<Vec<String>> {
    let sqlite = names(&tree.root.join(FOLDER).join("sqlite"))?;
    let mut faults = numbering_faults(&sqlite);
    let postgres = tree.root.join(FOLDER).join("postgres");
    if postgres.exists() {
        let postgres = names(&postgres)?;
        faults.extend(
            sqlite
                .symmetric_difference(&postgres)
                .map(|name| format!("{name} exists in one dialect only")),
        );
    }
    Ok(faults)
}

fn names(folder: &Path) -> Result<BTreeSet<String>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("{} is unreadable", folder.display()))?;
    entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .filter(|name: &Result<String>| name.as_ref().is_ok_and(|name| name.ends_with(".sql")))
        .collect()
}

fn numbering_faults(names: &BTreeSet<String>) -> Vec<String> {
    let expected = 1..=names.len();
    names
        .iter()
        .zip(expected)
        .filter(|(name, number)| !name.starts_with(&format!("{number:04}_")))
        .map(|(name, number)| format!("migration {name} should be number {number:04}"))
        .collect()
}
