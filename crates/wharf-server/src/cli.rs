//! The command line: what can be asked, and the words that explain it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed; one sentence on stderr says why
  2    the command line was not understood
  3    no server answered
  4    the server refused; its code stands in the sentence
  5    waiting took too long, or the link failed
  130  stopped by a second signal";

/// A self-hosted WhatsApp gateway.
#[derive(Debug, Parser)]
#[command(name = "wharf", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Cli {
    /// Configuration file; `wharf config --default` prints the manual
    #[arg(long, global = true, value_name = "FILE", env = "WHARF_CONFIG")]
    pub config: Option<PathBuf>,
    /// Data directory (setting storage.dir)
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server
    Serve(Serve),
    /// Run the session generator alone: pages on which anybody links his account and gets a session string
    Generator(Serve),
    /// Run the server, a simulated WhatsApp network and a page to try both
    #[cfg(feature = "sandbox")]
    Demo(Serve),
    /// Link a WhatsApp account: draws the QR here and waits until the session is ready
    Link(Link),
    /// Send a text
    Send(Send),
    /// List sessions
    Sessions(Remote),
    /// Make, list, rotate and revoke API keys
    Keys {
        /// What to do with them
        #[command(subcommand)]
        command: Keys,
    },
    /// Make, list and delete plans: how much the API keys that carry them may use
    Plans {
        /// What to do with them
        #[command(subcommand)]
        command: Plans,
    },
    /// Show what an API key has used today, and how much it may use
    Usage(Usage),
    /// Back the whole database up into one file, also while the server runs
    Backup(Backup),
    /// Make the database in the data directory from a backup; needs its master key
    Restore(Restore),
    /// Print the effective configuration, secrets hidden
    Config {
        /// Print the defaults with their explanations instead
        #[arg(long)]
        default: bool,
    },
}

/// Options of a server.
#[derive(Debug, Args)]
pub struct Serve {
    /// Print one line of JSON to stdout when ready: url, api_key (when made now), sandbox_url, chat_url
    #[arg(long)]
    pub json: bool,
    /// Port to listen on; 0 takes a free one
    #[arg(long)]
    pub port: Option<u16>,
}

/// How to reach a running server. Not given: what `DIR/cli.json` says.
#[derive(Clone, Debug, Args)]
pub struct Remote {
    /// Address of the server, such as http://127.0.0.1:8000
    #[arg(long, env = "WHARF_URL")]
    pub url: Option<String>,
    /// API key
    #[arg(long, env = "WHARF_KEY", hide_env_values = true)]
    pub key: Option<String>,
}

/// Options of `link`.
#[derive(Debug, Args)]
pub struct Link {
    /// Name of the session; made when there is none
    #[arg(long, default_value = "main")]
    pub name: String,
    /// Link by a code to type into the phone with this number, instead of a QR to scan
    #[arg(long, value_name = "NUMBER")]
    pub phone: Option<String>,
    /// Give up after this many seconds
    #[arg(long, default_value_t = 300)]
    pub timeout: u64,
    /// Where
    #[command(flatten)]
    pub remote: Remote,
}

/// Options of `send`.
#[derive(Debug, Args)]
pub struct Send {
    /// Name or id of the session that sends
    #[arg(long)]
    pub session: String,
    /// Phone number with country code, such as +15551234567, or a jid
    #[arg(long)]
    pub to: String,
    /// The text
    pub text: String,
    /// Where
    #[command(flatten)]
    pub remote: Remote,
}

/// Options of `backup`.
#[derive(Debug, Args)]
pub struct Backup {
    /// The file to make
    pub file: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    pub force: bool,
}

/// Options of `restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// The backup
    pub file: PathBuf,
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a key; it is shown once
    Create(CreateKey),
    /// List keys
    List {
        /// Only those that work and were not used in so many days
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
        unused_for_days: Option<u32>,
        /// Where
        #[command(flatten)]
        remote: Remote,
    },
    /// Give a key a new text; it is shown once
    Rotate {
        /// Its id, such as key_…
        id: String,
        /// For how long the text works on that it has now; 0 ends it at once
        #[arg(long, value_name = "SECONDS", default_value_t = 86_400,
            value_parser = clap::value_parser!(u32).range(0..=604_800))]
        overlap: u32,
        /// Replace the text of the last rotation, which nobody received; the one before it works on as long as it would have
        #[arg(long, conflicts_with = "overlap")]
        replace_latest: bool,
        /// Where
        #[command(flatten)]
        remote: Remote,
    },
    /// Revoke a key for good
    Revoke(RevokeKey),
}

/// Options of `keys create`.
#[derive(Debug, Args)]
pub struct CreateKey {
    /// What it is for
    pub label: String,
    /// What it may do, such as messages:send; repeat for more
    #[arg(long = "scope", default_values_t = [String::from("admin")])]
    pub scopes: Vec<String>,
    /// When it stops working, such as 2030-01-31T00:00:00Z; without it never
    #[arg(long, value_name = "TIME")]
    pub expires_at: Option<String>,
    /// Address or CIDR range that it works from, such as 198.51.100.0/24; repeat for more; without it everywhere
    #[arg(long = "ip", value_name = "RANGE")]
    pub ips: Vec<String>,
    /// Id of a session that it may touch; repeat for more; without it all
    #[arg(long = "session", value_name = "ID")]
    pub sessions: Vec<String>,
    /// The plan that it carries, such as pln_…; without one it may use as much as it likes
    #[arg(long, value_name = "ID")]
    pub plan: Option<String>,
    /// Where
    #[command(flatten)]
    pub remote: Remote,
}

/// Options of `keys revoke`.
#[derive(Debug, Args)]
pub struct RevokeKey {
    /// Its id, such as key_…
    #[arg(required_unless_present = "leaked")]
    pub id: Option<String>,
    /// Read the key itself from standard input, where it was found somewhere; needs no other key
    #[arg(long, conflicts_with = "id")]
    pub leaked: bool,
    /// Where
    #[command(flatten)]
    pub remote: Remote,
}

/// What to do with plans.
#[derive(Debug, Subcommand)]
pub enum Plans {
    /// Make a plan; what is left out does not limit
    Create {
        /// What you call it
        name: String,
        /// Its limits
        #[command(flatten)]
        limits: Limits,
        /// Where
        #[command(flatten)]
        remote: Remote,
    },
    /// List plans
    List {
        /// Where
        #[command(flatten)]
        remote: Remote,
    },
    /// Delete a plan that no key carries
    Delete {
        /// Its id, such as pln_…
        id: String,
        /// Where
        #[command(flatten)]
        remote: Remote,
    },
}

/// How much each key of a plan may use.
#[derive(Clone, Copy, Debug, Args)]
pub struct Limits {
    /// Calls in a second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub requests_per_second: Option<u32>,
    /// Messages in a day of UTC
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000_000_000))]
    pub messages_per_day: Option<u32>,
    /// One-time passwords in a day of UTC
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000_000_000))]
    pub otps_per_day: Option<u32>,
    /// Sessions that the key made and that exist
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub sessions: Option<u32>,
}

/// Options of `usage`.
#[derive(Debug, Args)]
pub struct Usage {
    /// Id of a key, such as key_…; without it the key that asks
    #[arg(value_name = "KEY_ID")]
    pub id: Option<String>,
    /// Where
    #[command(flatten)]
    pub remote: Remote,
}
