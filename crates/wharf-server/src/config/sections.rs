//! Reads each crate's section and hands it over in that crate's own words.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use wharf_api::{AddressRange, ApiConfig, RatePolicy};
use wharf_model::{Browser, Device, PacingPolicy, Timestamp};
use wharf_otp::{OtpConfig, Rate, TestNumbers};
use wharf_session::SessionConfig;
use wharf_storage::Durability;
use wharf_vault::destination::mega::Account;
use wharf_vault::destination::{Bucket, VaultConfig};
use wharf_whatsapp::EngineConfig;

use super::reader::Reader;
use crate::generator::{GeneratorConfig, KeptAt};
use crate::server::NETWORK;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const SECOND: Duration = Duration::from_secs(1);

/// How to write the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Readable on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Section `log`.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// Level or directives.
    pub filter: String,
    /// How to write it.
    pub format: LogFormat,
}

impl LogSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let formats = [
            ("auto", LogFormat::Auto),
            ("json", LogFormat::Json),
            ("text", LogFormat::Text),
        ];
        let filter = reader.text("log.filter").to_owned();
        if filter.parse::<tracing_subscriber::EnvFilter>().is_err() {
            reader.faults.add(
                "log.filter",
                "expected a level (trace, debug, info, warn, error) or directives",
            );
        }
        Self {
            filter,
            format: reader.choice("log.format", &formats).unwrap_or(LogFormat::Auto),
        }
    }

    /// For commands whose words a log would drown: warnings only, unless more was asked for.
    pub fn quiet(&self) -> Self {
        let filter = if self.filter == "info" {
            "warn".to_owned()
        } else {
            self.filter.clone()
        };
        Self {
            filter,
            format: self.format,
        }
    }
}

/// Section `storage`, without the directory: that is the server's own.
#[derive(Clone, Debug)]
pub struct StorageSection {
    /// A database server instead of the file; there may be a password in it.
    pub url: Option<SecretString>,
    /// Connections to the server.
    pub connections: usize,
    /// The master key as text; storage reads it.
    pub master_key: Option<SecretString>,
    /// What a commit survives.
    pub durability: Durability,
    /// Reader threads.
    pub readers: usize,
    /// Length of the writer's queues.
    pub queue_capacity: usize,
    /// The age at which events are deleted.
    pub events_kept: Duration,
}

/// What the other crates were told.
#[derive(Clone, Debug)]
pub struct Sections {
    /// For `wharf-storage`.
    pub storage: StorageSection,
    /// For `wharf-session`, the pacing included.
    pub session: SessionConfig,
    /// For `wharf-api`.
    pub api: ApiConfig,
    /// For `wharf-whatsapp`.
    pub engine: EngineConfig,
    /// For the session generator.
    pub generator: GeneratorConfig,
    /// For `wharf-otp`.
    pub otp: OtpConfig,
    /// For `wharf-vault`; `None` after a fault.
    pub vault: Option<VaultConfig>,
}

impl Sections {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            storage: storage(reader),
            session: session(reader),
            api: api(reader),
            engine: engine(reader),
            generator: generator(reader),
            otp: otp(reader),
            vault: vault(reader),
        }
    }
}

fn storage(reader: &mut Reader<'_>) -> StorageSection {
    let durabilities = [("power", Durability::Power), ("process", Durability::Process)];
    StorageSection {
        url: reader.secret("storage.url"),
        connections: reader.number::<u16>("storage.connections", 2..=1000).into(),
        master_key: reader.secret("storage.master_key"),
        durability: reader.choice("storage.durability", &durabilities).unwrap_or_default(),
        readers: reader.number::<u16>("storage.readers", 1..=8).into(),
        queue_capacity: reader.number::<u32>("storage.queue_capacity", 16..=1_000_000) as usize,
        events_kept: reader.duration("storage.events_kept", HOUR..=3650 * DAY),
    }
}

fn session(reader: &mut Reader<'_>) -> SessionConfig {
    SessionConfig {
        start_concurrency: reader.number::<u16>("session.concurrent_dials", 1..=1000).into(),
        retain_after_unlink: reader.duration("session.retain_after_unlink", Duration::ZERO..=365 * DAY),
        ack_timeout: reader.duration("session.ack_timeout", SECOND..=DAY),
        in_flight: reader.number::<u16>("session.in_flight", 1..=256).into(),
        import_quiet: reader.duration("session.import_quiet", Duration::ZERO..=DAY),
        drain_timeout: reader.duration("session.drain_timeout", Duration::ZERO..=Duration::from_secs(600)),
        pacing: pacing(reader),
        ..SessionConfig::default()
    }
}

fn pacing(reader: &mut Reader<'_>) -> PacingPolicy {
    let policy = PacingPolicy {
        per_minute: reader.number("pacing.per_minute", 0..=60_000),
        gap_min: reader.duration("pacing.gap_min", Duration::ZERO..=DAY),
        gap_max: reader.duration("pacing.gap_max", Duration::ZERO..=DAY),
        per_recipient: reader.duration("pacing.per_recipient", Duration::ZERO..=DAY),
        new_chats_per_day: reader.number("pacing.new_chats_per_day", 0..=1_000_000),
        unsafe_open: reader.flag("pacing.unsafe_open"),
    };
    if let Err(error) = policy.check() {
        reader.faults.add("pacing", &error.to_string());
    }
    policy
}

fn api(reader: &mut Reader<'_>) -> ApiConfig {
    let a_minute = |requests| RatePolicy::new(requests, 60);
    ApiConfig {
        rate_per_key: a_minute(reader.number("api.rate_per_key", 0..=100_000_000)),
        rate_per_address: a_minute(reader.number("api.rate_per_address", 0..=100_000_000)),
        failed_auth_per_address: a_minute(reader.number("api.failed_sign_ins_per_address", 0..=100_000_000)),
        x_rate_limit_headers: reader.flag("api.x_rate_limit_headers"),
        max_body_bytes: reader.number::<u32>("api.max_body_bytes", 1024..=1_073_741_824) as usize,
        request_timeout_seconds: reader
            .duration("api.request_timeout", SECOND..=Duration::from_secs(3600))
            .as_secs(),
        stream_keep_alive_seconds: reader
            .duration("api.stream_keep_alive", SECOND..=Duration::from_secs(300))
            .as_secs(),
        trusted_proxies: trusted_proxies(reader),
    }
}

fn trusted_proxies(reader: &mut Reader<'_>) -> Vec<AddressRange> {
    let mut ranges = Vec::new();
    for text in reader.list("api.trusted_proxies") {
        match text.parse() {
            Ok(range) => ranges.push(range),
            Err(_) => reader.faults.add(
                "api.trusted_proxies",
                "expected addresses or networks such as 10.0.0.0/8",
            ),
        }
    }
    ranges
}

fn generator(reader: &mut Reader<'_>) -> GeneratorConfig {
    GeneratorConfig {
        enabled: reader.flag("generator.enabled"),
        prefix: reader.text("generator.prefix").to_owned(),
        attempts: reader.number::<u16>("generator.attempts", 1..=10_000).into(),
        per_address: reader.number("generator.attempts_per_address", 0..=100_000),
        per_phone: (
            reader.number("generator.codes_per_hour", 0..=1000),
            reader.number("generator.codes_per_day", 0..=1000),
        ),
        hosts: list(reader.list("generator.hosts")),
        origins: origins(reader),
        kept_at: kept_at(reader),
        kept_for: reader.duration("generator.kept_for", HOUR..=3650 * DAY),
        trusted_proxies: trusted_proxies(reader),
    }
}

fn otp(reader: &mut Reader<'_>) -> OtpConfig {
    let (shortest, longest) = OtpConfig::TTLS.into_inner();
    // Each send reads as many entries of an index as a limit allows.
    let mut most = |path| reader.number(path, 0..=10_000);
    let [per_phone, per_prefix, per_client, per_key, per_session] = [
        "otp.per_phone_hourly",
        "otp.per_prefix_hourly",
        "otp.per_client_hourly",
        "otp.per_key_hourly",
        "otp.per_session_hourly",
    ]
    .map(|path| Rate::hourly(most(path)));
    let per_phone_daily = Rate::daily(most("otp.per_phone_daily"));
    let config = OtpConfig {
        length: reader.number("otp.default_length", OtpConfig::LENGTHS),
        ttl: reader.duration("otp.ttl", shortest..=longest),
        max_attempts: reader.number("otp.attempts", 1..=10),
        max_sends: reader.number("otp.sends", 1..=20),
        cooldown: reader.duration("otp.cooldown", SECOND..=HOUR),
        // What was sent is what limits count: a day of it is needed.
        retention: reader.duration("otp.kept_for", DAY..=365 * DAY),
        undelivered_after: reader.duration("otp.undelivered_after", SECOND..=HOUR),
        per_phone,
        per_phone_daily,
        per_prefix,
        per_client,
        per_key,
        per_session,
        countries: reader
            .parsed("otp.countries", "codes of countries between commas, such as DE, or *")
            .unwrap_or_default(),
        guard_after: reader.number("otp.guard_after", 0..=10_000),
        guard_percent: reader.number("otp.guard_percent", 0..=100),
        max_failures: reader.number("otp.max_failures", 1..=1000),
        locale: reader.text("otp.locale").to_owned(),
        test_numbers: test_numbers(reader),
    };
    for (setting, fault) in config.contradictions(NETWORK) {
        reader.faults.add(&format!("otp.{setting}"), fault);
    }
    config
}

fn test_numbers(reader: &mut Reader<'_>) -> TestNumbers {
    let wanted =
        "numbers and their codes of 6 to 10 digits between commas, each number once, such as +15550100001=123456";
    let numbers: TestNumbers = reader.parsed("otp.test_numbers", wanted).unwrap_or_default();
    let until = reader
        .optional("otp.test_numbers_until")
        .map(Timestamp::parse_rfc3339)
        .transpose();
    if until.is_err() {
        let wanted = "expected a time such as 2027-01-01T00:00:00Z, or nothing";
        reader.faults.add("otp.test_numbers_until", wanted);
    }
    numbers.until(until.ok().flatten())
}

/// A fault is noted.
fn vault(reader: &mut Reader<'_>) -> Option<VaultConfig> {
    let mega_api = reader.parsed("vault.mega_api", "an address such as https://g.api.mega.co.nz/")?;
    Some(VaultConfig {
        folder: reader.optional("vault.folder").map(PathBuf::from),
        bucket: bucket(reader)?,
        mega: mega(reader)?,
        mega_api,
    })
}

/// `None`: a fault was noted.
#[expect(clippy::option_option, reason = "a bucket is optional, and reading one can fail")]
fn bucket(reader: &mut Reader<'_>) -> Option<Option<Bucket>> {
    let Some(name) = reader.optional("vault.s3_bucket") else {
        return Some(None);
    };
    let endpoint = match reader.optional("vault.s3_endpoint") {
        Some(_) => Some(reader.parsed("vault.s3_endpoint", "an address such as https://s3.g.s4.mega.io")?),
        None => None,
    };
    Some(Some(Bucket {
        endpoint,
        region: reader.text("vault.s3_region").to_owned(),
        name: name.to_owned(),
        prefix: reader.text("vault.s3_prefix").to_owned(),
        access_key_id: reader.required("vault.s3_access_key_id")?.to_owned(),
        secret_access_key: reader.required_secret("vault.s3_secret_access_key")?,
    }))
}

/// `None`: a fault was noted.
#[expect(clippy::option_option, reason = "an account is optional, and reading one can fail")]
fn mega(reader: &mut Reader<'_>) -> Option<Option<Account>> {
    let Some(email) = reader.optional("vault.mega_email") else {
        return Some(None);
    };
    Some(Some(Account {
        email: email.to_owned(),
        password: reader.required_secret("vault.mega_password")?,
    }))
}

/// Where the generator's strings go. A fault is noted.
fn kept_at(reader: &mut Reader<'_>) -> Option<KeptAt> {
    let choices = [
        ("none", None),
        ("database", Some(KeptAt::Database)),
        ("mega", Some(KeptAt::Mega)),
        ("s3", Some(KeptAt::S3)),
        ("folder", Some(KeptAt::Folder)),
    ];
    let chosen = reader.choice("generator.destination", &choices).flatten();
    let setting = match chosen {
        Some(KeptAt::Mega) => "vault.mega_email",
        Some(KeptAt::S3) => "vault.s3_bucket",
        Some(KeptAt::Folder) => "vault.folder",
        Some(KeptAt::Database) | None => return chosen,
    };
    if reader.optional(setting).is_none() {
        reader.faults.add("generator.destination", &format!("needs {setting}"));
    }
    chosen
}

fn list(texts: Vec<&str>) -> Vec<String> {
    texts.into_iter().map(str::to_owned).collect()
}

/// As browsers write them: scheme and name, and nothing behind.
fn origins(reader: &mut Reader<'_>) -> Vec<String> {
    let mut origins = Vec::new();
    for origin in reader.list("generator.origins") {
        let name = origin
            .strip_prefix("https://")
            .or_else(|| origin.strip_prefix("http://"));
        let is_one = name
            .is_some_and(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/'));
        if is_one {
            origins.push(origin.to_owned());
        } else {
            let wanted = "expected origins such as https://bots.example, without a path";
            reader.faults.add("generator.origins", wanted);
        }
    }
    origins
}

/// What sessions call themselves. A fault is noted.
fn device(reader: &mut Reader<'_>) -> Option<Device> {
    let browser = reader.choice(
        "whatsapp.browser",
        &Browser::ALL.map(|browser| (browser.as_str(), browser)),
    )?;
    let device = Device::new(reader.text("whatsapp.os"), browser);
    if let Err(error) = &device {
        reader.faults.add("whatsapp.os", &error.to_string());
    }
    device.ok()
}

fn engine(reader: &mut Reader<'_>) -> EngineConfig {
    let default = EngineConfig::default();
    EngineConfig {
        chat_url: reader
            .optional("whatsapp.chat_url")
            .map_or(default.chat_url, str::to_owned),
        version_page: reader.optional("whatsapp.version_page").map(str::to_owned),
        device: device(reader).unwrap_or(default.device),
        proxy_hosts: list(reader.list("whatsapp.proxy_hosts")),
        connect_timeout: reader.duration("whatsapp.connect_timeout", SECOND..=Duration::from_secs(300)),
        ..EngineConfig::default()
    }
}
