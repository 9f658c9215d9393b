//! The port to WhatsApp: what a session needs from a protocol client, in Wharf's own words. `wharf-whatsapp`
//! implements it on the engine; nothing else in the project knows which engine that is.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use wharf_model::{CloseReason, Content, Device, Jid, Phone, Proxy, SessionId, Timestamp, WorkspaceId};

/// Which session a client is for, and the epoch under which it may write signal state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLease {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The session.
    pub session: SessionId,
    /// The fencing number of this ownership: a write of signal state under an older one is refused.
    pub epoch: i64,
}

/// How a client connects, and what it calls itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientSetup {
    /// What its connections go through, those for media too.
    pub proxy: Option<Proxy>,
    /// What the phone's list of linked devices shows; `None` follows the configuration.
    pub device: Option<Device>,
}

/// Makes clients. One per process.
#[async_trait]
pub trait WhatsAppNetwork: Send + Sync + fmt::Debug {
    /// Builds a client on what is stored for the session. Opens no connection.
    ///
    /// `events` receives what happens, in order; the sender side never blocks, so the queue is unbounded and its
    /// length is a metric. `inbound` commits messages before WhatsApp is told that they arrived.
    ///
    /// # Errors
    /// [`ClientError`] when stored state cannot be read.
    async fn client(
        &self,
        lease: SessionLease,
        setup: ClientSetup,
        events: mpsc::UnboundedSender<ClientEvent>,
        inbound: Arc<dyn InboundSink>,
    ) -> Result<Arc<dyn WhatsAppClient>, ClientError>;

    /// Whether stored credentials name an account that this device is linked to.
    ///
    /// # Errors
    /// [`ClientError`] when stored state cannot be read.
    async fn is_linked(&self, lease: SessionLease) -> Result<bool, ClientError>;
}

/// One connection to WhatsApp, for one session. Never reconnects on its own: that is the actor's decision.
#[async_trait]
pub trait WhatsAppClient: Send + Sync + fmt::Debug {
    /// Connects and serves until the connection ends; the reason arrives as [`ClientEvent::Closed`] before this
    /// returns. May be called again after it returned, until [`WhatsAppClient::shutdown`].
    async fn run(&self);

    /// Encrypts and writes one message. Returns when the frame is written, not when the server has it: that is
    /// [`ClientEvent::Ack`].
    ///
    /// # Errors
    /// [`SendError`], which tells whether trying again can help.
    async fn send(&self, message: OutboundMessage) -> Result<(), SendError>;

    /// Asks WhatsApp for a code that the owner of the number types into his phone instead of scanning a QR. Takes back a
    /// code that was asked for before. Returns once WhatsApp has accepted the new one, which also arrives as
    /// [`ClientEvent::PairingCode`]. Needs a connection that waits to be linked.
    ///
    /// # Errors
    /// [`PairingError`], which tells whether trying again can help.
    async fn request_pairing_code(&self, phone: &Phone) -> Result<(), PairingError>;

    /// Gives WhatsApp what the account's passkey signed, after [`ClientEvent::PasskeyAsked`]. The code to compare follows
    /// as [`ClientEvent::PasskeyShown`].
    ///
    /// # Errors
    /// [`PasskeyError`].
    async fn answer_passkey(&self, assertion: PasskeyAssertion) -> Result<(), PasskeyError>;

    /// Goes on with the link, after a person saw that both codes are the same.
    ///
    /// # Errors
    /// [`PasskeyError`].
    async fn confirm_passkey(&self) -> Result<(), PasskeyError>;

    /// Asks WhatsApp what the account shows of itself; the answer arrives as [`ClientEvent::Shown`], and nothing does when
    /// there is none. Returns at once.
    fn ask_profile(&self);

    /// Unlinks this companion device at WhatsApp, as far as the connection allows.
    async fn logout(&self);

    /// Ends for good: flushes signal state, closes the socket. `run` returns and refuses to start again.
    async fn shutdown(&self);

    /// Age of the last frame that came from the server, `None` before the first.
    fn last_frame_age(&self) -> Option<Duration>;
}

/// Commits inbound messages. Called before WhatsApp is told that they arrived: an error means redelivery.
#[async_trait]
pub trait InboundSink: Send + Sync + fmt::Debug {
    /// Stores the whole batch durably, all or nothing; a message that is stored already is passed over.
    ///
    /// # Errors
    /// [`InboundError`]; nothing of the batch is stored then.
    async fn commit(&self, batch: Vec<InboundMessage>) -> Result<(), InboundError>;
}

/// The batch could not be stored; it will come again.
#[derive(Debug, thiserror::Error)]
#[error("inbound messages could not be stored")]
pub struct InboundError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// A message that goes out.
#[derive(Clone)]
pub struct OutboundMessage {
    /// The id under which WhatsApp knows it; chosen at acceptance, the same in every try.
    pub whatsapp_id: String,
    /// The message secret (`messageContextInfo.messageSecret`); chosen at acceptance, the same in every try.
    pub secret: [u8; 32],
    /// The chat.
    pub to: Jid,
    /// What it says.
    pub content: Content,
}

/// Logs are written with `Debug`: neither the secret nor the recipient must reach them.
impl fmt::Debug for OutboundMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboundMessage")
            .field("whatsapp_id", &self.whatsapp_id)
            .finish_non_exhaustive()
    }
}

/// A message that came in, decrypted.
#[derive(Clone, Debug)]
pub struct InboundMessage {
    /// The id that the sender chose; unique only within chat and sender.
    pub whatsapp_id: String,
    /// Where it was said.
    pub chat: Jid,
    /// Who said it.
    pub sender: Jid,
    /// The sender's phone number jid where WhatsApp told it beside a LID.
    pub sender_phone: Option<Jid>,
    /// Whether our own account sent it from another device.
    pub from_me: bool,
    /// The name the sender gives himself.
    pub push_name: Option<String>,
    /// When it was sent.
    pub at: Timestamp,
    /// What it says.
    pub content: Content,
    /// The protobuf bytes as decrypted, for kinds that later versions understand.
    pub raw: Vec<u8>,
}

/// What a receipt says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptKind {
    /// The device has it.
    Delivered,
    /// The person saw it.
    Read,
    /// The person played it.
    Played,
}

/// What a passkey signed.
#[derive(Clone, PartialEq, Eq)]
pub struct PasskeyAssertion {
    /// The credential's id, as bytes.
    pub credential_id: Vec<u8>,
    /// WebAuthn's `PublicKeyCredential` as JSON, binary fields in base64url without padding.
    pub json: String,
}

/// Logs are written with `Debug`: signatures must not reach them.
impl fmt::Debug for PasskeyAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasskeyAssertion").finish_non_exhaustive()
    }
}

/// The account that was linked.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountProfile {
    /// Jid by phone number, without device.
    pub phone: Jid,
    /// Jid by hidden id, without device.
    pub lid: Option<Jid>,
    /// The name that the account gives itself.
    pub push_name: Option<String>,
    /// The kind of phone, such as `android`.
    pub platform: Option<String>,
    /// Which linked device this is: stays the same while the link lasts, and no other device has it. `None` before the
    /// first login.
    pub fingerprint: Option<String>,
}

/// What an account shows of itself.
#[derive(Clone, PartialEq, Eq)]
pub struct ShownProfile {
    /// Where its picture is; the address works for some days. `None`: it has none.
    pub picture_url: Option<String>,
    /// Its "about" text. `None`: it has none.
    pub about: Option<String>,
}

/// Logs are written with `Debug`: what a person says of himself must not reach them.
impl fmt::Debug for ShownProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShownProfile").finish_non_exhaustive()
    }
}

/// Logs are written with `Debug`: names and numbers must not reach them.
impl fmt::Debug for AccountProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountProfile").finish_non_exhaustive()
    }
}

/// What happens on a connection, in order.
#[derive(Clone)]
pub enum ClientEvent {
    /// A QR is to be shown; its text contains the link's secret.
    Qr {
        /// What the QR holds.
        text: String,
        /// How long it works.
        valid_for: Duration,
    },
    /// A pairing code is to be shown; it contains the link's secret.
    PairingCode {
        /// Eight characters.
        code: String,
        /// How long it works.
        valid_for: Duration,
    },
    /// The pairing code does not work any more: WhatsApp wants another one, or the phone did not answer.
    PairingCodeLapsed,
    /// The account has a passkey, which is to sign.
    PasskeyAsked {
        /// WebAuthn's `PublicKeyCredentialRequestOptions` as JSON.
        options: String,
    },
    /// The passkey signed; phone and companion show a code each.
    PasskeyShown {
        /// Ours.
        code: String,
        /// WhatsApp knows this companion from an earlier link: there is nothing to compare.
        is_known: bool,
    },
    /// The link by passkey came to nothing.
    PasskeyFailed,
    /// The account linked us; a restart of the connection (515) follows.
    Linked(AccountProfile),
    /// The server accepted the login.
    LoggedIn,
    /// Messages can flow.
    Opened(Option<AccountProfile>),
    /// The account's own name changed.
    Renamed(String),
    /// What the account shows of itself, as it was asked for.
    Shown(ShownProfile),
    /// The account's picture or its "about" text changed.
    ShownChanged,
    /// The server acknowledged a message, or refused it with a code.
    Ack {
        /// The id it was sent under.
        whatsapp_id: String,
        /// The server's time.
        at: Option<Timestamp>,
        /// WhatsApp's error code, such as 463 for a time lock; `None` means accepted.
        error: Option<u16>,
    },
    /// Recipients' devices report.
    Receipt {
        /// The chat of the messages.
        chat: Jid,
        /// The messages.
        whatsapp_ids: Vec<String>,
        /// What is reported.
        kind: ReceiptKind,
        /// When.
        at: Timestamp,
    },
    /// A message arrived that could not be decrypted (a retry was asked for).
    Undecryptable,
    /// The connection ended. `run` returns after this.
    Closed {
        /// Why.
        reason: CloseReason,
        /// More for the log and the history; never an address or a key.
        detail: Option<String>,
    },
}

/// Logs are written with `Debug`: QR texts and pairing codes must not reach them.
impl fmt::Debug for ClientEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Qr { valid_for, .. } => write!(f, "Qr({valid_for:?})"),
            Self::PairingCode { valid_for, .. } => write!(f, "PairingCode({valid_for:?})"),
            Self::PairingCodeLapsed => f.write_str("PairingCodeLapsed"),
            Self::PasskeyAsked { .. } => f.write_str("PasskeyAsked"),
            Self::PasskeyShown { is_known, .. } => write!(f, "PasskeyShown(known: {is_known})"),
            Self::PasskeyFailed => f.write_str("PasskeyFailed"),
            Self::Linked(_) => f.write_str("Linked"),
            Self::LoggedIn => f.write_str("LoggedIn"),
            Self::Opened(_) => f.write_str("Opened"),
            Self::Renamed(_) => f.write_str("Renamed"),
            Self::Shown(_) => f.write_str("Shown"),
            Self::ShownChanged => f.write_str("ShownChanged"),
            Self::Ack { whatsapp_id, error, .. } => write!(f, "Ack({whatsapp_id}, {error:?})"),
            Self::Receipt { whatsapp_ids, kind, .. } => write!(f, "Receipt({kind:?}, {whatsapp_ids:?})"),
            Self::Undecryptable => f.write_str("Undecryptable"),
            Self::Closed { reason, detail } => match detail {
                Some(detail) => write!(f, "Closed({reason}: {detail})"),
                None => write!(f, "Closed({reason})"),
            },
        }
    }
}

/// A client could not be built.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Stored state could not be read.
    #[error("stored protocol state could not be read")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The engine refused its configuration.
    #[error("the protocol engine could not be built")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// There is no pairing code.
#[derive(Debug, thiserror::Error)]
pub enum PairingError {
    /// Not connected, or not to be linked.
    #[error("the session has no connection that waits to be linked")]
    NotConnected,
    /// WhatsApp refuses the number, or codes were asked for too often: it does not tell which.
    #[error("WhatsApp gives no code for this number: it has no account, or codes were asked for too often")]
    Refused,
    /// Codes were asked for too often.
    #[error("WhatsApp gives no more codes for a while")]
    Throttled {
        /// How long WhatsApp wants us to wait, where it says so.
        retry_after: Option<Duration>,
    },
    /// Another code was asked for meanwhile.
    #[error("another code was asked for meanwhile")]
    Superseded,
    /// This account can only be linked by QR.
    #[error("WhatsApp does not let this account be linked by code; use a QR")]
    Unavailable,
    /// Anything else; trying again may help.
    #[error("the pairing code could not be asked for")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A passkey's answer was of no use.
#[derive(Debug, thiserror::Error)]
pub enum PasskeyError {
    /// Not connected, or nothing was asked of a passkey.
    #[error("nothing is asked of a passkey now")]
    NotAsked,
    /// WhatsApp, or the exchange with the phone, refused it.
    #[error("WhatsApp did not accept the passkey's answer")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A message could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Not connected; the message waits for the next connection.
    #[error("not connected")]
    NotConnected,
    /// The number has no WhatsApp account.
    #[error("the recipient is not on WhatsApp")]
    NotOnWhatsApp,
    /// The engine cannot send this to that address; trying again cannot help.
    #[error("WhatsApp cannot carry this message: {0}")]
    Unsendable(String),
    /// Anything else; trying again may help.
    #[error("the message could not be sent")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}
