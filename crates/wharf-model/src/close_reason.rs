//! Why a connection ended, as a closed list with stable codes. What the engine reports is mapped to it in one place,
//! `wharf-whatsapp`. Codes in parentheses are WhatsApp's own (protocol brief, sections 4 and 9).

use std::fmt;
use std::str::FromStr;

use crate::message::UnknownName;

/// Why a session is not connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The network failed, or the server closed without a word.
    ConnectionLost,
    /// The server recycles its connections now and then.
    ServerRecycle,
    /// The ordinary restart after linking (515).
    RestartRequired,
    /// The server is unavailable for now (503, 500).
    ServiceUnavailable,
    /// The server asks for a slower pace (429).
    RateLimited,
    /// Frames stopped coming although the socket was open.
    KeepaliveTimeout,
    /// Another client logged in with the same keys (440).
    Replaced,
    /// The account refused the login, or logged this device out (401).
    LoggedOut,
    /// The person removed this device on the phone (401, `device_removed`).
    DeviceRemoved,
    /// The server took the device away (516).
    DeviceDeregistered,
    /// The account is banned for a time (402).
    TemporaryBan,
    /// The account is locked; the operator may appeal (403).
    AccountLocked,
    /// Logged out for a reason that WhatsApp does not give (406).
    LoggedOutUnknown,
    /// WhatsApp wants a newer client version (405).
    ClientOutdated,
    /// The server's certificate chain did not verify: this is not WhatsApp.
    CertificateRejected,
    /// The address is not one this build may dial.
    AddressRefused,
    /// The session's proxy did not answer, or opened no way to WhatsApp.
    ProxyFailed,
    /// Nobody scanned the QR or typed the code in time.
    LinkTimedOut,
    /// The phone or this side refused the link.
    LinkFailed,
    /// The store refused a write that the protocol state depends on; a new client continues from what is stored.
    StorageFailed,
    /// An operator disconnected the session.
    Requested,
    /// An operator logged the session out.
    LogoutRequested,
    /// The server process is stopping.
    Shutdown,
    /// The server refused the connection for another reason.
    ConnectFailed,
    /// The engine stopped in a way that it did not explain.
    EngineStopped,
}

impl CloseReason {
    /// Every reason.
    pub const ALL: [Self; 25] = [
        Self::ConnectionLost,
        Self::ServerRecycle,
        Self::RestartRequired,
        Self::ServiceUnavailable,
        Self::RateLimited,
        Self::KeepaliveTimeout,
        Self::Replaced,
        Self::LoggedOut,
        Self::DeviceRemoved,
        Self::DeviceDeregistered,
        Self::TemporaryBan,
        Self::AccountLocked,
        Self::LoggedOutUnknown,
        Self::ClientOutdated,
        Self::CertificateRejected,
        Self::AddressRefused,
        Self::ProxyFailed,
        Self::LinkTimedOut,
        Self::LinkFailed,
        Self::StorageFailed,
        Self::Requested,
        Self::LogoutRequested,
        Self::Shutdown,
        Self::ConnectFailed,
        Self::EngineStopped,
    ];

    /// The stable code on the wire and in storage.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ConnectionLost => "connection_lost",
            Self::ServerRecycle => "server_recycle",
            Self::RestartRequired => "restart_required",
            Self::ServiceUnavailable => "service_unavailable",
            Self::RateLimited => "rate_limited",
            Self::KeepaliveTimeout => "keepalive_timeout",
            Self::Replaced => "replaced",
            Self::LoggedOut => "logged_out",
            Self::DeviceRemoved => "device_removed",
            Self::DeviceDeregistered => "device_deregistered",
            Self::TemporaryBan => "temporary_ban",
            Self::AccountLocked => "account_locked",
            Self::LoggedOutUnknown => "logged_out_unknown",
            Self::ClientOutdated => "client_outdated",
            Self::CertificateRejected => "certificate_rejected",
            Self::AddressRefused => "address_refused",
            Self::ProxyFailed => "proxy_failed",
            Self::LinkTimedOut => "link_timed_out",
            Self::LinkFailed => "link_failed",
            Self::StorageFailed => "storage_failed",
            Self::Requested => "requested",
            Self::LogoutRequested => "logout_requested",
            Self::Shutdown => "shutdown",
            Self::ConnectFailed => "connect_failed",
            Self::EngineStopped => "engine_stopped",
        }
    }

    /// Whether dialling again on our own would be wrong: the person or WhatsApp has to act first.
    pub const fn is_permanent(self) -> bool {
        match self {
            Self::ConnectionLost
            | Self::ServerRecycle
            | Self::RestartRequired
            | Self::ServiceUnavailable
            | Self::RateLimited
            | Self::KeepaliveTimeout
            | Self::StorageFailed
            | Self::ProxyFailed
            | Self::ConnectFailed
            | Self::EngineStopped
            | Self::Shutdown => false,
            Self::Replaced
            | Self::LoggedOut
            | Self::DeviceRemoved
            | Self::DeviceDeregistered
            | Self::TemporaryBan
            | Self::AccountLocked
            | Self::LoggedOutUnknown
            | Self::ClientOutdated
            | Self::CertificateRejected
            | Self::AddressRefused
            | Self::LinkTimedOut
            | Self::LinkFailed
            | Self::Requested
            | Self::LogoutRequested => true,
        }
    }

    /// Whether the account no longer knows this device, so that its keys are worth nothing. Keys are shredded only
    /// after one of these, and not at once (see `retain_after_unlink`).
    pub const fn is_unlink(self) -> bool {
        matches!(
            self,
            Self::LoggedOut | Self::DeviceRemoved | Self::DeviceDeregistered | Self::LogoutRequested
        )
    }

    /// Whether the account itself refused us: the state becomes `auth_failed` rather than `disconnected`.
    pub const fn is_auth_failure(self) -> bool {
        matches!(
            self,
            Self::LoggedOut
                | Self::DeviceRemoved
                | Self::DeviceDeregistered
                | Self::AccountLocked
                | Self::LoggedOutUnknown
                | Self::TemporaryBan
        )
    }

    /// One sentence for the person who runs the gateway.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::ConnectionLost => "The connection to WhatsApp was lost; it is tried again.",
            Self::ServerRecycle => "WhatsApp closed the connection in the ordinary way; it is opened again.",
            Self::RestartRequired => "WhatsApp asked for the restart that follows linking.",
            Self::ServiceUnavailable => "WhatsApp is unavailable for now; it is tried again.",
            Self::RateLimited => "WhatsApp asked for a slower pace; the next try waits longer.",
            Self::KeepaliveTimeout => "WhatsApp stopped answering; the connection is opened again.",
            Self::Replaced => {
                "Another client connected with the same keys. Wharf does not fight it; connect again when it is gone."
            }
            Self::LoggedOut => "WhatsApp does not accept this device any more. Link the account again.",
            Self::DeviceRemoved => "The device was removed on the phone. Link the account again.",
            Self::DeviceDeregistered => "WhatsApp removed the device. Link the account again.",
            Self::TemporaryBan => {
                "WhatsApp banned the account for a time. Wait until it ends before you connect again."
            }
            Self::AccountLocked => "WhatsApp locked the account. Appeal on the phone; the keys are kept.",
            Self::LoggedOutUnknown => "WhatsApp refused the login without a reason. The keys are kept.",
            Self::ClientOutdated => "WhatsApp wants a newer client version. Update Wharf.",
            Self::CertificateRejected => "The server that answered could not prove that it is WhatsApp.",
            Self::AddressRefused => "This build may not dial that address.",
            Self::ProxyFailed => "The session's proxy opened no way to WhatsApp; it is tried again.",
            Self::LinkTimedOut => "Nobody linked the account in time. Connect again for a new QR.",
            Self::LinkFailed => "Linking failed. Connect again for a new QR.",
            Self::StorageFailed => "A write of protocol state failed; the session starts again from what is stored.",
            Self::Requested => "Disconnected on request.",
            Self::LogoutRequested => "Logged out on request.",
            Self::Shutdown => "Wharf is stopping.",
            Self::ConnectFailed => "WhatsApp refused the connection; it is tried again.",
            Self::EngineStopped => "The protocol engine stopped; it is started again.",
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for CloseReason {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.code() == text)
            .ok_or(UnknownName("close reason"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_read_back_and_are_unique() {
        for reason in CloseReason::ALL {
            assert_eq!(reason.code().parse(), Ok(reason));
        }
    }

    #[test]
    fn an_unlink_is_never_retried() {
        for reason in CloseReason::ALL {
            assert!(!reason.is_unlink() || reason.is_permanent(), "{reason}");
            assert!(!reason.is_auth_failure() || reason.is_permanent(), "{reason}");
        }
    }
}
