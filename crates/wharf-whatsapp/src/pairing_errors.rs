//! Why WhatsApp gives no pairing code.

use wharf_session::port::PairingError;
use whatsapp_rust::pair_code::{PairCodeRejection, PairError};

/// The engine's words for it, in Wharf's.
pub(crate) fn pairing_error(error: PairError) -> PairingError {
    if error.lost_the_flow_to_another_request() {
        return PairingError::Superseded;
    }
    match error.rejection() {
        // The server answers a number that has no account, and one that asks too often, in the same way.
        Some(PairCodeRejection::BadRequest | PairCodeRejection::Forbidden) => PairingError::Refused,
        Some(PairCodeRejection::RateOverlimit) => PairingError::Throttled {
            retry_after: error.backoff(),
        },
        Some(PairCodeRejection::FeatureNotAvailable) => PairingError::Unavailable,
        Some(PairCodeRejection::InternalServerError | PairCodeRejection::Unknown(_)) | None => {
            PairingError::Engine(Box::new(error))
        }
    }
}
