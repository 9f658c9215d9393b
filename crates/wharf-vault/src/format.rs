//! The port to the protocol engine: how its signal state is written. `wharf-whatsapp` implements it.

use std::fmt;

use wharf_model::Random;
use wharf_storage::SessionKeys;
use wharf_storage::wa_state::StateRow;

use crate::report::Portable;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The form in which an engine keeps what it knows.
pub trait StateFormat: Send + Sync + fmt::Debug {
    /// The rows of a session that starts with these credentials, sealed with its keys. The next login uploads one-time
    /// pre-keys under ids that these credentials cannot have given out.
    ///
    /// # Errors
    /// A key that is none. Credentials that passed every check have only keys that are.
    fn rows(&self, keys: &SessionKeys, portable: &Portable, random: &dyn Random) -> Result<Vec<StateRow>, BoxError>;

    /// The kinds of rows that [`StateFormat::portable`] reads.
    fn kinds(&self) -> &'static [&'static str];

    /// What can be taken along of a session's rows; `None` of one that is not linked.
    ///
    /// # Errors
    /// A row that does not open or cannot be read.
    fn portable(&self, keys: &SessionKeys, rows: &[StateRow]) -> Result<Option<Portable>, BoxError>;
}
