//! Entry points for fuzzing (`make prove-fuzz`): decoders that no input reaches by chance, because a seal stands before
//! them. A panic is a fault, and so are memory that grows and a call that does not end.

use crate::{Portable, VaultError, bundle, check, export};

/// What a bundle holds, and every form that it can go on in.
pub fn contents(bytes: &[u8]) {
    let Ok(portable) = bundle::read(bytes, 0) else { return };
    drop(check::mathematics(&portable.credentials));
    drop(export::baileys_folder(&portable));
    drop(export::session_string(&portable, "BRAND~"));
    drop(bundle::written(&portable));
}

/// Such contents, to start from.
///
/// # Errors
/// Never in practice: they are written to memory.
pub fn written(portable: &Portable) -> Result<Vec<u8>, VaultError> {
    bundle::written(portable).map(|content| content.to_vec())
}
