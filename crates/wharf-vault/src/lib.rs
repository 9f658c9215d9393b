//! Owns portable credentials: what a linked WhatsApp account logs in with, in whatever form people carry it around.
//!
//! Promises: a form is recognised by what it holds and never by the brand in front of it; bad input gets a named error
//! in bounded time and memory; what reads and writes credentials touches neither the network nor a file nor the database:
//! that is the affair of [`destination`] alone.
//!
//! ```
//! # fn main() -> Result<(), wharf_vault::VaultError> {
//! # let creds = r#"{"noiseKey": 1}"#;
//! let report = wharf_vault::examine(creds.as_bytes(), None)?;
//! for check in report.checks() {
//!     println!("{}: {}", check.name, check.detail);
//! }
//! assert!(!report.valid());
//! # Ok(())
//! # }
//! ```

mod baileys;
mod base64;
mod bundle;
mod check;
mod credentials;
pub mod destination;
mod error;
pub mod export;
mod format;
#[cfg(feature = "fuzzing")]
pub mod fuzz;
mod keys;
mod live;
mod ordered;
mod report;
mod source;

pub use check::Check;
pub use credentials::{Credentials, DeviceIdentity, KeyPair, Owner, SignedPreKey};
pub use error::{Fetch, VaultError};
pub use format::StateFormat;
pub use keys::{Address, ContactToken, Identity, Keys, LidMapping, PreKey, SenderKey, SignalSession, SyncKey};
pub use live::{LiveLogin, LoginError, Verdict};
pub use report::{Level, Portable, Report, fingerprint};
pub use source::{Format, Layer, MAX_INPUT};
use source::{Found, Source};

/// Recognises credentials and checks them as far as that is possible without a connection: first that everything is
/// there, then that the keys and signatures belong together. A bundle opens with its passphrase; nothing else needs one.
///
/// Takes up to some hundred milliseconds for the largest inputs; call it where that blocks nobody.
///
/// # Errors
/// [`VaultError`] when the input holds no credentials that can be looked at. Credentials with faults are no error: the
/// report tells of them.
pub fn examine(data: &[u8], passphrase: Option<&str>) -> Result<Report, VaultError> {
    let Source { layers, found } = source::unpack(data)?;
    let (format, folder) = match found {
        Found::Baileys(format, folder) => (format, folder),
        Found::Bundle(bundle) => {
            let opened = bundle::open(&bundle, passphrase)?;
            let mathematics = check::mathematics(&opened.credentials);
            return Ok(Report::of_bundle(layers, opened, mathematics));
        }
    };
    let (structure, credentials) = baileys::creds::read(&folder.creds)?;
    let mathematics = credentials.as_ref().map(check::mathematics).unwrap_or_default();
    let keys = credentials
        .as_ref()
        .map(|credentials| baileys::keys::read(&folder.keys, credentials));
    Ok(Report::new(
        format,
        layers,
        structure,
        mathematics,
        credentials,
        keys.unwrap_or_default(),
    ))
}
