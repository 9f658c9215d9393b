//! The form that Baileys keeps: `creds.json`, and beside it a file for each key (protocol brief, section 13).

mod bytes;
pub(crate) mod creds;
