//! What other crates' errors mean to a client.

use wharf_storage::StorageError;

use super::ApiError;
use crate::idempotency::Used;

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        if let Some(used) = error.rejection::<Used>() {
            return used.error();
        }
        match error {
            StorageError::BadCursor => Self::InvalidCursor,
            StorageError::CursorExpired => Self::CursorExpired,
            StorageError::Conflict { .. } => Self::Conflict,
            StorageError::Full(_) => Self::StorageFull(Box::new(error)),
            StorageError::ReadOnly(_)
            | StorageError::Closed
            | StorageError::Unavailable(_)
            | StorageError::Contended(_) => Self::StorageUnavailable(Box::new(error)),
            StorageError::NotFound(_)
            | StorageError::Corrupt(_)
            | StorageError::UnitPanicked
            | StorageError::AwaitedOutside
            | StorageError::StaleEpoch
            | StorageError::WrongParameterCount { .. }
            | StorageError::Unreadable(_)
            | StorageError::Seal(_)
            | StorageError::Rejected(_)
            | StorageError::Internal(_) => Self::internal(error),
        }
    }
}
