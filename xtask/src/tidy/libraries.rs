//! Where a library may be named: each heavy dependency has one room. Tests may name more.

use cargo_metadata::DependencyKind;

use super::{Source, Tree};

/// A library prefix and the crates whose code may depend on it.
const ROOMS: [(&str, &[&str]); 9] = [
    // The interop suite drives the engine as anybody's client, beside Wharf.
    ("whatsapp-rust", &["wharf-whatsapp", "wharf-interop-engine"]),
    (
        "wacore",
        &["wharf-whatsapp", "wharf-sandbox", "wharf-vault", "wharf-interop-engine"],
    ),
    (
        "waproto",
        &["wharf-whatsapp", "wharf-sandbox", "wharf-vault", "wharf-interop-engine"],
    ),
    ("axum", &["wharf-api", "wharf-server", "wharf-sandbox"]),
    ("rusqlite", &["wharf-storage", "wharf-sandbox"]),
    ("tokio-postgres", &["wharf-storage"]),
    ("deadpool-postgres", &["wharf-storage"]),
    ("config", &["wharf-server"]),
    (
        "clap",
        &[
            "wharf-server",
            "wharf-sandbox",
            "wharf-proof",
            "wharf-bench",
            "wharf-interop-engine",
            "xtask",
        ],
    ),
];

/// The crates whose code reads the process environment: the binaries, and what tests ask which dialect they run on.
const READS_ENVIRONMENT: [&str; 2] = ["wharf-server", "wharf-testkit"];

pub fn check(tree: &Tree) -> Vec<String> {
    let mut faults = misplaced_dependencies(tree);
    faults.extend(dangerous_features(tree));
    faults.extend(tree.sources.iter().filter_map(environment_fault));
    faults
}

fn misplaced_dependencies(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for package in tree.metadata.workspace_packages() {
        for dependency in package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal) {
            let room = ROOMS.iter().find(|(library, _)| is_of(&dependency.name, library));
            if let Some((library, crates)) = room
                && !crates.contains(&package.name.as_str())
            {
                faults.push(format!(
                    "{} depends on {}; {library} lives in {crates:?}",
                    package.name, dependency.name
                ));
            }
        }
    }
    faults
}

/// Cargo unites the features that the crates of one build ask for: asked for here, the engine's switches that turn checks
/// off would be on in every build of the whole workspace. Our own feature `sandbox` is the one way to them.
fn dangerous_features(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for package in tree.metadata.workspace_packages() {
        for dependency in &package.dependencies {
            let dangerous = dependency.features.iter().filter(|name| name.starts_with("danger-"));
            faults.extend(dangerous.map(|name| format!("{} switches on {name} of {}", package.name, dependency.name)));
        }
    }
    faults
}

/// Whether `name` is `library` or one of its parts (`wacore`, `wacore-noise`).
fn is_of(name: &str, library: &str) -> bool {
    name == library || name.strip_prefix(library).is_some_and(|rest| rest.starts_with('-'))
}

/// Configuration is read in one crate; everybody else is given it.
fn environment_fault(source: &Source) -> Option<String> {
    let krate = source.krate()?;
    let reads = source.text.contains("std::env::var") || source.text.contains("env::var(");
    let allowed = READS_ENVIRONMENT.contains(&krate) || source.is_test() || source.path.ends_with("build.rs");
    (reads && !allowed).then(|| format!("{} reads the environment; only wharf-server does", source.path))
}

#[cfg(test)]
mod tests {
    use super::is_of;

    #[test]
    fn a_library_is_known_by_its_parts() {
        assert!(is_of("wacore", "wacore") && is_of("wacore-noise", "wacore"));
        assert!(!is_of("axumatic", "axum") && !is_of("configure", "config"));
    }
}
