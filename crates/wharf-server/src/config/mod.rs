//! Owns configuration: the embedded manual, a file, the environment, options. Promises that unknown keys are refused,
//! that all faults are told at once, and that no other crate reads a file or a variable of configuration.

mod duration;
mod fault;
mod layers;
mod reader;
mod sections;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::{Table, Value};

use fault::Faults;
use layers::Layers;
use reader::Reader;

pub use sections::{LogFormat, LogSettings, Sections};

/// Every setting with its default: the list of known keys, and the manual.
pub const MANUAL: &str = include_str!("../../config.default.toml");

/// Keys whose values are never shown.
const SECRETS: [&str; 5] = [
    "storage.master_key",
    "storage.url",
    "otp.test_numbers",
    "vault.s3_secret_access_key",
    "vault.mega_password",
];

/// Where configuration comes from, besides the embedded defaults.
#[derive(Debug, Default)]
pub struct Sources {
    /// Option `--config`, or `WHARF_CONFIG`.
    pub file: Option<PathBuf>,
    /// The environment, as far as it is text.
    pub environment: BTreeMap<String, String>,
    /// Option `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// Option `--port`.
    pub port: Option<u16>,
    /// Defaults that a command changes; given values win over them.
    pub defaults: Vec<(&'static str, Value)>,
}

/// Everything that this process was told.
#[derive(Debug)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// How long a stop may take.
    pub drain_deadline: Duration,
    /// Where data lies.
    pub dir: PathBuf,
    /// A file that holds the first API key.
    pub bootstrap_key_file: Option<PathBuf>,
    /// How to log.
    pub log: LogSettings,
    /// What the other crates were told, each in its own words.
    pub sections: Sections,
    effective: Table,
}

/// The environment as text; what is not text cannot be a setting.
pub fn environment(variables: impl Iterator<Item = (OsString, OsString)>) -> BTreeMap<String, String> {
    variables
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

impl Settings {
    /// Lays the sources over the defaults and reads everything.
    ///
    /// # Errors
    /// All faults at once.
    pub fn load(sources: &Sources) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let layers = lay(sources, &mut faults);
        let mut reader = Reader::new(&layers, faults);
        let listen = listen(&mut reader, &layers, sources);
        let settings = Self {
            listen,
            drain_deadline: reader.duration(
                "server.drain_deadline",
                Duration::from_millis(100)..=Duration::from_secs(600),
            ),
            dir: reader.path("storage.dir"),
            bootstrap_key_file: sources.environment.get("WHARF_BOOTSTRAP_KEY_FILE").map(PathBuf::from),
            log: LogSettings::read(&mut reader),
            sections: Sections::read(&mut reader),
            effective: layers.table().clone(),
        };
        reader.faults.finish(settings)
    }

    /// The effective configuration as TOML, secrets hidden.
    pub fn redacted(&self) -> String {
        let mut table = self.effective.clone();
        for path in SECRETS {
            hide(&mut table, path);
        }
        table.to_string()
    }
}

fn lay(sources: &Sources, faults: &mut Faults) -> Layers {
    let mut layers = Layers::new(manual());
    if cfg!(feature = "sandbox") {
        // This build reaches loopback only: WhatsApp's version page is out of its reach.
        layers.set_default("whatsapp.version_page", Value::String(String::new()));
    }
    for (path, value) in &sources.defaults {
        layers.set_default(path, value.clone());
    }
    if let Some(file) = &sources.file {
        add_file(&mut layers, file, faults);
    }
    layers.add_environment(&sources.environment, faults);
    if let Some(dir) = &sources.data_dir {
        layers.set("storage.dir", Value::String(dir.display().to_string()));
    }
    layers
}

/// The embedded defaults. A test proves that they parse.
fn manual() -> Table {
    MANUAL.parse().unwrap_or_default()
}

fn add_file(layers: &mut Layers, file: &Path, faults: &mut Faults) {
    match std::fs::read_to_string(file) {
        Ok(text) => layers.add_file(&text, faults),
        Err(error) => faults.add("--config", &format!("cannot read {}: {error}", file.display())),
    }
}

fn listen(reader: &mut Reader<'_>, layers: &Layers, sources: &Sources) -> SocketAddr {
    let fallback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let wanted = "an address and a port, such as 127.0.0.1:8000";
    let mut listen = reader.parsed("server.listen", wanted).unwrap_or(fallback);
    match sources.environment.get("PORT").map(|text| text.parse()) {
        Some(Ok(port)) if !layers.is_given("server.listen") && sources.port.is_none() => {
            listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
        }
        Some(Err(_)) => reader.faults.add("PORT", "expected a port number"),
        _ => {}
    }
    if let Some(port) = sources.port {
        listen.set_port(port);
    }
    listen
}

fn hide(table: &mut Table, path: &str) {
    if let Some((section, key)) = path.split_once('.')
        && let Some(Value::String(text)) = table.get_mut(section).and_then(|found| found.get_mut(key))
        && !text.is_empty()
    {
        *text = "***".to_owned();
    }
}

#[cfg(test)]
mod tests;
