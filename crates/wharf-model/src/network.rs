//! Which WhatsApp a build talks to.

use std::fmt;
use std::str::FromStr;

/// The network that a build, its keys and its sessions belong to. A build refuses a database that holds sessions of
/// the other one, because keys of a simulated account mean nothing to the real network and the reverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// The real WhatsApp network; API keys start with `wharf_live_`.
    Live,
    /// The simulated network; API keys start with `wharf_test_`.
    Sandbox,
}

impl Network {
    /// The stable name that storage keeps.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Sandbox => "sandbox",
        }
    }

    /// What every API key of this network starts with.
    pub const fn api_key_prefix(self) -> &'static str {
        match self {
            Self::Live => "wharf_live_",
            Self::Sandbox => "wharf_test_",
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Network {
    type Err = UnknownNetwork;

    fn from_str(text: &str) -> Result<Self, UnknownNetwork> {
        match text {
            "live" => Ok(Self::Live),
            "sandbox" => Ok(Self::Sandbox),
            _ => Err(UnknownNetwork),
        }
    }
}

/// A network name that is neither `live` nor `sandbox`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown network: expected `live` or `sandbox`")]
pub struct UnknownNetwork;
