//! Where session strings are kept, so that what a bot is configured with is short; and how what lies there, or elsewhere, is
//! read again.

mod database;
pub mod mega;
mod objects;
mod places;

use data_encoding::BASE64URL_NOPAD;
use wharf_model::Random;

pub use database::{Database, KeptString, Ticket};
pub use objects::{Bucket, Objects, ObjectsError};
pub use places::{Origin, Place, PlaceError, Places, Reaches, Receipt, VaultConfig};

/// Random bytes of an id, and of a link's token.
const RANDOM: usize = 16;

/// 22 characters of base64url that nobody guesses.
fn random_id(random: &dyn Random) -> String {
    let mut bytes = [0; RANDOM];
    random.fill(&mut bytes);
    BASE64URL_NOPAD.encode(&bytes)
}
