//! Owns the words of Wharf: ids, times, addresses, the session state machine, message status and the policies that
//! other crates obey. Promises to be pure: every function's answer depends on its arguments alone. Never touches a
//! socket, a file, a database or a wire format; the two impure edges (clock, randomness) are traits here and are
//! injected from outside.

pub mod address;
pub mod close_reason;
pub mod device;
pub mod edges;
pub mod event;
pub mod id;
pub mod lane;
pub mod message;
pub mod network;
pub mod pacing;
pub mod proxy;
pub mod session;
pub mod time;
pub mod verification;

pub use address::{AddressError, Jid, JidServer, Phone, Recipient};
pub use close_reason::CloseReason;
pub use device::{Browser, Device, DeviceError};
pub use edges::{Clock, Random, SystemEdges};
pub use event::EventKind;
pub use id::{ApiKeyId, EventId, IdError, MessageId, PlanId, SessionId, VerificationId, WorkspaceId};
pub use lane::Lane;
pub use message::{Content, ContentKind, Direction, MessageStatus, TextContent};
pub use network::Network;
pub use pacing::{PacingError, PacingPolicy};
pub use proxy::{Proxy, ProxyCredentials, ProxyError, ProxyKind};
pub use session::{Effect, Input, PendingStep, SessionState, SessionStatus};
pub use time::{Day, DayError, Timestamp};
pub use verification::VerificationStatus;
