//! One file per command. A command reads its options, does one thing and says how it went.

mod backup;
mod copying;
#[cfg(feature = "sandbox")]
mod demo;
mod generator;
mod keys;
mod link;
mod plans;
mod restore;
mod send;
mod serve;
mod sessions;
mod table;
mod usage;
mod wire;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use secrecy::SecretString;

use crate::cli::{Cli, Command, Remote};
use crate::cli_file::CliFile;
use crate::client::Client;
use crate::config::{self, Settings, Sources};
use crate::outcome::{Outcome, Stop};
use crate::output;

/// What a command is given beside its own options.
#[derive(Debug)]
pub struct Context {
    config: Option<PathBuf>,
    data_dir: Option<PathBuf>,
    environment: BTreeMap<String, String>,
}

impl Context {
    fn sources(&self) -> Sources {
        Sources {
            file: self.config.clone(),
            environment: self.environment.clone(),
            data_dir: self.data_dir.clone(),
            ..Sources::default()
        }
    }

    fn settings(&self) -> Result<Settings> {
        Ok(Settings::load(&self.sources())?)
    }
}

/// Does what the command line asks for.
///
/// # Errors
/// One sentence for the person, with an exit code where it is not 1.
pub async fn run(cli: Cli, environment: BTreeMap<String, String>) -> Result<Outcome> {
    let context = Context {
        config: cli.config,
        data_dir: cli.data_dir,
        environment,
    };
    match cli.command {
        Command::Serve(options) => serve::run(&context, &options).await,
        Command::Generator(options) => generator::run(&context, &options).await,
        #[cfg(feature = "sandbox")]
        Command::Demo(options) => demo::run(&context, &options).await,
        Command::Link(options) => link::run(&context, &options).await,
        Command::Send(options) => send::run(&context, &options).await,
        Command::Sessions(remote) => sessions::run(&context, &remote).await,
        Command::Backup(options) => backup::run(&context, &options).await,
        Command::Restore(options) => restore::run(&context, &options).await,
        Command::Keys { command } => keys::run(&context, &command).await,
        Command::Plans { command } => plans::run(&context, &command).await,
        Command::Usage(options) => usage::run(&context, &options).await,
        Command::Config { default } => show_config(&context, default),
    }
}

fn show_config(context: &Context, default: bool) -> Result<Outcome> {
    let text = if default {
        config::MANUAL.to_owned()
    } else {
        context.settings()?.redacted()
    };
    output::answer(text.trim_end());
    Ok(Outcome::Done)
}

/// A client of the server that the options or `DIR/cli.json` name.
fn connect(context: &Context, remote: &Remote) -> Result<Client> {
    let dir = context.settings()?.dir;
    let file = CliFile::read(&dir)?;
    let url = url_of(remote, &file, &dir)?;
    Client::new(&url, Some(key_for(remote, file, &dir)?))
}

/// The same with this key, and none of those that the options or the file name.
fn connect_with(context: &Context, remote: &Remote, key: SecretString) -> Result<Client> {
    let dir = context.settings()?.dir;
    let url = url_of(remote, &CliFile::read(&dir)?, &dir)?;
    Client::new(&url, Some(key))
}

fn url_of(remote: &Remote, file: &CliFile, dir: &Path) -> Result<String> {
    let url = remote.url.clone().or_else(|| file.url.clone());
    Ok(url.ok_or_else(|| unknown_server(dir))?)
}

/// The remembered key belongs to the remembered server: it is never sent to another address.
fn key_for(remote: &Remote, file: CliFile, dir: &Path) -> Result<SecretString> {
    let same_server = remote.url.is_none() || remote.url == file.url;
    let remembered = file.api_key.filter(|_| same_server);
    let key = remote.key.clone().map(SecretString::from).or(remembered);
    Ok(key.ok_or_else(|| unknown_key(dir))?)
}

fn unknown_server(dir: &Path) -> Stop {
    let file = CliFile::path(dir);
    let sentence = format!(
        "no server is known: give --url, or start `wharf serve` (there is no {})",
        file.display()
    );
    Stop::new(Outcome::Unreachable, sentence)
}

fn unknown_key(dir: &Path) -> Stop {
    let file = CliFile::path(dir);
    let sentence = format!(
        "no API key is known for this server: give --key or WHARF_KEY ({} has none)",
        file.display()
    );
    Stop::new(Outcome::Failed, sentence)
}
