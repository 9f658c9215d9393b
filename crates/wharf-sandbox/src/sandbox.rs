//! The handle on a running sandbox: start it, drive its phones, look at what happened, stop it.

mod companions;
mod faults;
mod groups;
mod moving;
mod past;
pub(crate) mod phones;
mod scenario;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use wacore_binary::Jid;

use crate::config::{SandboxConfig, StoreConfig, Timing};
use crate::control;
use crate::error::SandboxError;
use crate::model::{Change, Changed, Chat, Message, NewFile, NewMessage, PhoneDetail, PhoneInfo, Typing, Unhandled};
use crate::network::Network;
use crate::network::account::Account;
use crate::network::restore;
use crate::observation::{Observation, StanzaExcerpt};
use crate::phone::chats::StoredMessage;
use crate::phone::outbox::Recipient;
use crate::phone::{self, files, outbox};
use crate::server::{self, Door, presence, tls};
use crate::store::{FileStore, Kind, MemoryStore, Store};
use crate::wire::certificate::ServerKeys;

pub use faults::FaultGuard;

/// Where the keys of the network are stored.
const SERVER_KEYS: &str = "server-keys";

/// A running sandbox. Clones are handles on the same one.
#[derive(Debug, Clone)]
pub struct Sandbox {
    network: Arc<Network>,
    chat: SocketAddr,
    tls: bool,
    /// The certificate of this start, as PEM.
    certificate: Arc<str>,
    control: Option<SocketAddr>,
    /// One phone is created at a time, so that two callers cannot make up the same number.
    creating: Arc<Mutex<()>>,
}

impl Sandbox {
    /// Starts the network and returns once clients can connect.
    pub async fn start(config: SandboxConfig) -> Result<Self, SandboxError> {
        let chat = listen(config.chat_listen).await?;
        let control = match config.control_listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let network = Arc::new(open_network(&config)?);
        let address_of = |listener: &TcpListener| {
            listener.local_addr().map_err(|source| SandboxError::Listen {
                address: config.chat_listen,
                source,
            })
        };
        let certified = tls::certify()?;
        let sandbox = Self {
            network: Arc::clone(&network),
            certificate: certified.pem.into(),
            chat: address_of(&chat)?,
            tls: config.tls,
            control: control.as_ref().map(address_of).transpose()?,
            creating: Arc::default(),
        };
        let scheme = if config.tls { "https" } else { "http" };
        network.listens_at(scheme, sandbox.chat.to_string());
        for account in network.directory.all() {
            sandbox.run_phone(account);
        }
        let door = Door {
            listener: chat,
            tls: certified.acceptor,
            plain: !config.tls,
            beside: control::beside_chat(sandbox.clone(), server::files(Arc::clone(&network))),
        };
        network.tasks.spawn(server::serve(Arc::clone(&network), door));
        if let Some(listener) = control {
            network
                .tasks
                .spawn(control::serve(sandbox.clone(), listener, network.stop.clone()));
        }
        Ok(sandbox)
    }

    /// The WebSocket address for clients.
    pub fn chat_url(&self) -> String {
        let scheme = if self.tls { "wss" } else { "ws" };
        format!("{scheme}://{}/ws/chat", self.chat)
    }

    /// The base address of the control API, if it runs.
    pub fn control_url(&self) -> Option<String> {
        self.control.map(|address| format!("http://{address}"))
    }

    /// The control API as a service, for a server that shows it under its own address.
    pub fn control_router(&self) -> axum::Router {
        control::router(self.clone())
    }

    /// The key certificates are signed with, for clients that can be told which root to trust.
    pub fn root_public_key(&self) -> [u8; 32] {
        self.network.keys.root_public()
    }

    /// The certificate of the clients' port as PEM, for clients that fetch media or speak TLS and want to be told whom to
    /// trust. Another one after every start.
    pub fn tls_certificate(&self) -> &str {
        &self.certificate
    }

    /// The delays this sandbox adds on purpose.
    pub fn timing(&self) -> Timing {
        self.network.timing
    }

    /// Every phone, by number.
    pub async fn phones(&self) -> Vec<PhoneInfo> {
        self.network
            .directory
            .all()
            .iter()
            .map(|account| account.info())
            .collect()
    }

    /// One phone with its linked devices.
    pub async fn phone(&self, phone: &str) -> Option<PhoneDetail> {
        self.account(phone).ok().map(|account| account.detail())
    }

    /// Every phone with its linked devices.
    pub async fn phone_details(&self) -> Vec<PhoneDetail> {
        self.network
            .directory
            .all()
            .iter()
            .map(|account| account.detail())
            .collect()
    }

    /// Says something to another account, or in a group; returns the message id.
    pub async fn send(&self, phone: &str, to: &str, message: NewMessage) -> Result<String, SandboxError> {
        let account = self.online_account(phone)?;
        let target = self.recipient(to)?;
        let id = outbox::send(&self.network, &account, &target, message).await?;
        self.flush().await?;
        Ok(id)
    }

    /// Sends a text from a phone to another account; returns the message id.
    pub async fn send_text(&self, phone: &str, to: &str, text: &str) -> Result<String, SandboxError> {
        self.send(phone, to, text.into()).await
    }

    /// Sends a file from a phone to another account; returns the message id.
    pub async fn send_file(&self, phone: &str, to: &str, file: NewFile) -> Result<String, SandboxError> {
        self.send(phone, to, NewMessage::File(file)).await
    }

    /// Shows the other side that the phone's owner writes, or speaks; until another word, or for the time given.
    pub fn type_in(&self, phone: &str, to: &str, typing: Typing, lasts: Option<Duration>) -> Result<(), SandboxError> {
        let account = self.online_account(phone)?;
        let to = self.recipient(to)?.jid();
        outbox::type_in(&self.network, &account, &to, typing);
        if let Some(lasts) = lasts {
            let network = Arc::clone(&self.network);
            self.network.tasks.spawn(async move {
                tokio::select! {
                    () = tokio::time::sleep(lasts) => outbox::type_in(&network, &account, &to, Typing::Paused),
                    () = network.stop.cancelled() => {}
                }
            });
        }
        Ok(())
    }

    /// The file of a message that the phone shows, fetched and decrypted with what the message says.
    pub async fn file(&self, phone: &str, message: &str) -> Result<Vec<u8>, SandboxError> {
        let account = self.account(phone)?;
        let stored = account
            .phone
            .lock()
            .await
            .chats
            .by_id(message)
            .map(StoredMessage::content);
        files::open(&self.network, &stored.ok_or(SandboxError::NoFile)?)
    }

    /// From now on files cannot be fetched at the addresses that were told: clients have to ask for others. How many
    /// addresses worked until now.
    pub fn expire_files(&self) -> usize {
        self.network.media.expire()
    }

    /// What the phone shows, chat by chat, messages in the order they came.
    pub async fn chats(&self, phone: &str) -> Result<Vec<Chat>, SandboxError> {
        let account = self.account(phone)?;
        let shown = account.phone.lock().await;
        let chats = shown.chats.list().map(|(chat, messages)| Chat {
            name: self.chat_name(chat),
            chat: chat.to_owned(),
            messages,
        });
        Ok(chats.collect())
    }

    /// Reads a chat on the phone; the authors get read receipts if the phone is online.
    pub async fn mark_read(&self, phone: &str, chat: &str) -> Result<(), SandboxError> {
        let account = self.account(phone)?;
        let chat = self.recipient(chat)?.chat();
        outbox::mark_read(&self.network, &account, &chat).await?;
        self.flush().await?;
        Ok(())
    }

    /// Takes a phone offline or back online. Offline it gets nothing, confirms nothing and cannot link a device.
    pub async fn set_online(&self, phone: &str, online: bool) -> Result<(), SandboxError> {
        let account = self.account(phone)?;
        {
            let mut state = account.state();
            state.online = online;
            let mut batch = self.network.store.batch();
            account.save(&state, &mut batch);
            self.network.store.submit(batch);
        }
        account.wake.notify_one();
        presence::availability_changed(&self.network, &account);
        self.network.announce(&account.number, Changed::Phone);
        self.flush().await?;
        Ok(())
    }

    /// Questions that were refused because they are not imitated.
    pub async fn unhandled(&self) -> Vec<Unhandled> {
        self.network.unhandled.list()
    }

    /// Observations after a number, oldest first, before any de-duplication. Needs `SandboxConfig::stanza_log`.
    pub fn stanza_log(&self, after: u64, limit: usize) -> Result<StanzaExcerpt, SandboxError> {
        self.network
            .observations
            .after(after, limit)
            .ok_or(SandboxError::StanzaLogOff)
    }

    /// Waits until the stanza log holds an observation that satisfies the test.
    pub async fn wait_for_observation(
        &self,
        wanted: impl Fn(&Observation) -> bool,
        timeout: Duration,
    ) -> Result<Arc<Observation>, SandboxError> {
        let found = async {
            let mut after = 0;
            loop {
                let grown = self.network.observations.grown.notified();
                let seen = self.stanza_log(after, usize::MAX)?.observations;
                after = seen.last().map_or(after, |last| last.seq);
                if let Some(found) = seen.into_iter().find(|observation| wanted(observation)) {
                    return Ok(found);
                }
                grown.await;
            }
        };
        let found = tokio::time::timeout(timeout, found).await;
        found.map_err(|_| SandboxError::WaitTimeout)?
    }

    /// Notices of changes from now on.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.network.changes()
    }

    /// Waits until the phone shows a message that satisfies the test.
    pub async fn wait_for_message(
        &self,
        phone: &str,
        wanted: impl Fn(&Message) -> bool,
        timeout: Duration,
    ) -> Result<Message, SandboxError> {
        let account = self.account(phone)?;
        let found = async {
            loop {
                let changed = account.shown.notified();
                if let Some(message) = account.phone.lock().await.chats.search(&wanted) {
                    return message;
                }
                changed.await;
            }
        };
        tokio::time::timeout(timeout, found)
            .await
            .map_err(|_| SandboxError::WaitTimeout)
    }

    /// Ends every connection, commits what is left and returns when all is still.
    pub async fn stop(&self) {
        self.network.stop.cancel();
        self.network.tasks.close();
        self.network.tasks.wait().await;
        let store = Arc::clone(&self.network.store);
        let closed = tokio::task::spawn_blocking(move || store.close()).await;
        if let Err(failure) = closed {
            tracing::error!(error = %failure, "the store could not be closed");
        }
    }

    /// Runs until `stop` was called.
    pub async fn stopped(&self) {
        self.network.stop.cancelled().await;
    }

    fn run_phone(&self, account: Arc<Account>) {
        self.network.tasks.spawn(phone::run(Arc::clone(&self.network), account));
    }

    fn account(&self, phone: &str) -> Result<Arc<Account>, SandboxError> {
        let number = phone.strip_prefix('+').unwrap_or(phone);
        self.network
            .directory
            .by_number(number)
            .ok_or_else(|| SandboxError::UnknownPhone(phone.to_owned()))
    }

    fn online_account(&self, phone: &str) -> Result<Arc<Account>, SandboxError> {
        let account = self.account(phone)?;
        if account.state().online {
            return Ok(account);
        }
        Err(SandboxError::PhoneOffline(account.number.clone()))
    }

    /// What a phone shows above a chat.
    fn chat_name(&self, chat: &str) -> String {
        if let Ok(group) = self.find_group(chat) {
            return group.state().subject.clone();
        }
        let other = self.network.directory.by_number(chat);
        other.map_or_else(String::new, |other| other.info().name)
    }

    /// A group by its JID, or whom [`Self::person`] finds.
    fn recipient(&self, name: &str) -> Result<Recipient, SandboxError> {
        match self.find_group(name) {
            Ok(group) => Ok(Recipient::Group(group)),
            Err(_) => self.person(name).map(Recipient::Person),
        }
    }

    /// An account by number, with or without a plus, or by either of its JIDs.
    fn person(&self, name: &str) -> Result<Arc<Account>, SandboxError> {
        let unknown = || SandboxError::UnknownRecipient(name.to_owned());
        if name.contains('@') {
            let jid: Jid = name.parse().map_err(|_| unknown())?;
            return self.network.directory.by_jid(&jid).ok_or_else(unknown);
        }
        self.account(name).map_err(|_| unknown())
    }

    /// Waits until everything submitted so far is durable: what the API confirms is kept as well.
    async fn flush(&self) -> Result<(), SandboxError> {
        let ticket = self.network.store.submit(self.network.store.batch());
        self.network.durable(ticket).await
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, SandboxError> {
    if !address.ip().is_loopback() {
        return Err(SandboxError::NotLoopback(address));
    }
    TcpListener::bind(address)
        .await
        .map_err(|source| SandboxError::Listen { address, source })
}

fn open_network(config: &SandboxConfig) -> Result<Network, SandboxError> {
    let mut rng = match config.seed {
        Some(seed) => StdRng::seed_from_u64(seed),
        None => StdRng::from_seed(rand::rng().random()),
    };
    let (store, records): (Arc<dyn Store>, _) = match &config.store {
        StoreConfig::Memory => (Arc::new(MemoryStore::new()), Vec::new()),
        StoreConfig::File(path) => {
            let (store, records) = FileStore::open(path)?;
            (Arc::new(store), records)
        }
    };
    let stored = records
        .iter()
        .find(|record| record.kind == Kind::Network && record.key == SERVER_KEYS);
    let keys = match stored {
        Some(record) => ServerKeys::from_bytes(&record.value, &mut rng),
        None => ServerKeys::generate(&mut rng),
    };
    let keys = keys.map_err(|failure| SandboxError::Crypto(failure.to_string()))?;
    let mut batch = store.batch();
    batch.put(Kind::Network, || SERVER_KEYS.to_owned(), || keys.to_bytes());
    store.submit(batch);
    let network = Network::new(keys, config, store, rng);
    restore::restore(&records, &network)?;
    Ok(network)
}
