//! Owns verifications: a code is sent to a phone, checked, and forgotten; or a text is asked for, whose sender's number is
//! proved by it.
//!
//! Promises: the quota, the code, the message and the event of a send commit together or not at all; a check is counted
//! before it is known whether it was right, and a code is used once; the digits exist in the sealed message until the
//! verification's final state, and nowhere afterwards; a text proves one number, once; what is refused says why and until
//! when. Never talks to WhatsApp, never serves HTTP.
//!
//! The requirements `OTP-1` and so on that comments name are those of the services brief, section 1.

mod code;
mod config;
mod country;
mod error;
mod events;
mod follow;
mod locale;
mod once;
mod pool;
mod proof;
mod stats;
mod sweep;
mod telemetry;
mod template;
mod test_numbers;
mod texts;
mod verifications;
mod view;
mod wording;

pub use config::{OtpConfig, Rate};
pub use country::{Countries, Country, CountryError};
pub use error::{LimitPolicy, OtpError, Standing};
pub use follow::Deliveries;
pub use stats::{LatencyView, Quantiles, StatsQuery, StatsView};
pub use test_numbers::{TestNumbers, TestNumbersError};
pub use verifications::{
    Awaited, CheckCode, Found, OtpDeps, ReceiveCode, SendCode, Sent, TextSource, TextView, VerificationQuery,
    Verifications, Which,
};
pub use view::{CheckView, ReceptionView, SendView, VerificationView};
