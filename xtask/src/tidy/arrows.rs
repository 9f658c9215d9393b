//! Which crate may depend on which. An arrow that is not in this table is an architecture change: it changes this
//! table and ARCHITECTURE.md in a commit of its own.

use cargo_metadata::{DependencyKind, Package};

use super::Tree;

/// For each crate, the crates of the project that its code (not its tests) may use.
const ARROWS: [(&str, &[&str]); 16] = [
    ("wharf-model", &[]),
    ("wharf-net", &["wharf-model"]),
    ("wharf-storage", &["wharf-model"]),
    ("wharf-session", &["wharf-model", "wharf-storage"]),
    ("wharf-vault", &["wharf-model", "wharf-net", "wharf-storage"]),
    ("wharf-otp", &["wharf-model", "wharf-storage", "wharf-session"]),
    (
        "wharf-api",
        &[
            "wharf-model",
            "wharf-storage",
            "wharf-session",
            "wharf-vault",
            "wharf-otp",
        ],
    ),
    (
        "wharf-whatsapp",
        &[
            "wharf-model",
            "wharf-net",
            "wharf-storage",
            "wharf-session",
            "wharf-vault",
        ],
    ),
    (
        "wharf-server",
        &[
            "wharf-model",
            "wharf-net",
            "wharf-storage",
            "wharf-session",
            "wharf-vault",
            "wharf-otp",
            "wharf-api",
            "wharf-whatsapp",
            "wharf-sandbox",
        ],
    ),
    ("wharf-sandbox", &[]),
    ("wharf-testkit", &[]),
    ("wharf-proof", &["wharf-testkit"]),
    (
        "wharf-bench",
        &[
            "wharf-model",
            "wharf-storage",
            "wharf-session",
            "wharf-api",
            "wharf-testkit",
        ],
    ),
    ("wharf-fuzz", &["wharf-sandbox", "wharf-vault"]),
    ("wharf-interop-engine", &[]),
    ("xtask", &[]),
];

/// Crates that only the composition root and tests may name.
const IMPLEMENTATIONS: [&str; 1] = ["wharf-whatsapp"];

pub fn check(tree: &Tree) -> Vec<String> {
    tree.metadata
        .workspace_packages()
        .into_iter()
        .flat_map(check_package)
        .collect()
}

fn check_package(package: &Package) -> Vec<String> {
    let name = package.name.as_str();
    let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| *from == name) else {
        return vec![format!(
            "{name} is not in the table of arrows (xtask/src/tidy/arrows.rs)"
        )];
    };
    let mut faults: Vec<String> = Vec::new();
    for dependency in package
        .dependencies
        .iter()
        .filter(|dependency| dependency.name.starts_with("wharf-"))
    {
        let to = dependency.name.as_str();
        let in_tests = dependency.kind == DependencyKind::Development;
        if !in_tests && !allowed.contains(&to) {
            faults.push(format!("{name} -> {to} is not an arrow of the architecture"));
        }
        if in_tests && name == "wharf-sandbox" {
            faults.push(format!(
                "wharf-sandbox never imports another crate of the project, {to} included"
            ));
        }
        if !in_tests && IMPLEMENTATIONS.contains(&to) && name != "wharf-server" {
            faults.push(format!("{to} is named by wharf-server and tests only, not by {name}"));
        }
    }
    faults.extend(folder_fault(package));
    faults
}

/// Folder name = crate name; in `tests/` and the folders in it without the `wharf-`.
fn folder_fault(package: &Package) -> Option<String> {
    let path = package.manifest_path.parent()?;
    let folder = path.file_name()?;
    let name = package.name.as_str();
    let in_tests = path
        .ancestors()
        .skip(1)
        .take(2)
        .any(|above| above.file_name() == Some("tests"));
    let wanted = if in_tests { name.strip_prefix("wharf-")? } else { name };
    (folder != wanted).then(|| format!("crate {} lives in a folder named {folder}", package.name))
}
