//! What happens to an account's companions: linked by a scan or a code, unlinked on the phone, locked out by the network.

use std::time::Duration;

use tokio::sync::oneshot;

use super::{Sandbox, scenario};
use crate::clock::unix_seconds;
use crate::error::SandboxError;
use crate::model::{Ban, Changed, DeviceId, NewPhone, PasskeyAssertion, PhoneInfo};
use crate::network::account::AccountState;
use crate::network::links::{CodeRequest, LinkRequest, ScanRequest};
use crate::network::session::Ending;
use crate::phone::pair_code;
use crate::qr::LinkingCode;
use crate::server::{dirty, removal};

/// The code of a ban for a time, and the only one that has an end.
const FOR_A_TIME: u16 = 402;
/// The code of an account that is locked.
const LOCKED: u16 = 403;

impl Sandbox {
    /// Scans a QR code with a phone; returns once the client has signed and is about to log in.
    pub async fn scan(&self, phone: &str, qr: &str) -> Result<DeviceId, SandboxError> {
        let account = self.account(phone)?;
        let code = LinkingCode::parse(qr)?;
        if !account.state().online {
            return Err(SandboxError::PhoneOffline(account.number.clone()));
        }
        let offer = self
            .network
            .links
            .find(&code.reference)
            .ok_or(SandboxError::UnknownQr)?;
        if offer.noise != code.noise || offer.identity != code.identity {
            return Err(SandboxError::ForeignQr);
        }
        // Whoever takes the references out has the client; a second scan comes too late.
        if !self.network.links.withdraw(offer.serial) {
            return Err(SandboxError::UnknownQr);
        }
        let (done, linked) = oneshot::channel();
        let request = LinkRequest::Scanned(ScanRequest {
            account,
            adv_secret: code.adv_secret,
            done,
        });
        let asked = offer.requests.send(request).await.is_ok();
        self.linked(asked, linked).await.unwrap_or(Err(SandboxError::UnknownQr))
    }

    /// Scans a QR code with the phone of whoever the client says it belongs to: a phone of that name, made when there is
    /// none; without a name a new phone. So clients of equal names are companions of one account.
    ///
    /// # Errors
    /// As [`Sandbox::scan`].
    pub async fn scan_anew(&self, qr: &str) -> Result<(PhoneInfo, DeviceId), SandboxError> {
        let code = LinkingCode::parse(qr)?;
        let offer = self.network.links.find(&code.reference);
        let offer = offer.ok_or(SandboxError::UnknownQr)?;
        let phone = match offer.push_name.filter(|name| !name.is_empty()) {
            Some(name) => self.phone_named(&name).await?,
            None => {
                let silent = NewPhone {
                    silent: true,
                    rules: scenario::rules(""),
                    ..NewPhone::default()
                };
                self.create_phone(silent).await?
            }
        };
        let device = self.scan(&phone.phone, qr).await?;
        Ok((phone, device))
    }

    /// Types the eight characters that a client shows for this phone's number; returns once the client has signed and is
    /// about to log in.
    ///
    /// # Errors
    /// [`SandboxError::WrongLinkingCode`] for another client's code. After three of them the client has to make a new one.
    pub async fn enter_code(&self, phone: &str, code: &str) -> Result<DeviceId, SandboxError> {
        let account = self.account(phone)?;
        let code = pair_code::tidy_code(code).ok_or(SandboxError::InvalidLinkingCode)?;
        if !account.state().online {
            return Err(SandboxError::PhoneOffline(account.number.clone()));
        }
        let nobody = || SandboxError::NoLinkingCode(account.number.clone());
        let offer = self.network.links.find_code(&account.number).ok_or_else(nobody)?;
        let (done, linked) = oneshot::channel();
        let request = LinkRequest::Typed(CodeRequest { code, done });
        let asked = offer.requests.send(request).await.is_ok();
        self.linked(asked, linked).await.unwrap_or_else(|| Err(nobody()))
    }

    /// Signs with the passkey of the phone's account what a companion was asked for, as the owner would with his finger.
    ///
    /// # Errors
    /// [`SandboxError::NotSigned`] for options that are not for such accounts.
    pub fn sign_with_passkey(&self, phone: &str, options: &str) -> Result<PasskeyAssertion, SandboxError> {
        let account = self.account(phone)?;
        let passkey = account.state().passkey.clone();
        let passkey = passkey.ok_or_else(|| SandboxError::NoPasskey(account.number.clone()))?;
        let signed = passkey.sign(options);
        let signed = signed.map_err(|failure| SandboxError::NotSigned(failure.to_string()))?;
        Ok(PasskeyAssertion {
            credential_id: signed.credential,
            json: signed.json,
        })
    }

    /// How a link that was asked for ended; `None` when the client is gone.
    async fn linked(
        &self,
        asked: bool,
        linked: oneshot::Receiver<Result<DeviceId, SandboxError>>,
    ) -> Option<Result<DeviceId, SandboxError>> {
        if !asked {
            return None;
        }
        match tokio::time::timeout(self.network.timing.scan, linked).await {
            Ok(outcome) => outcome.ok(),
            Err(_elapsed) => Some(Err(SandboxError::LinkTimeout)),
        }
    }

    /// Removes a linked device, as its owner does on the phone.
    pub async fn unlink(&self, phone: &str, device: DeviceId) -> Result<(), SandboxError> {
        let account = self.account(phone)?;
        let unknown = || SandboxError::UnknownDevice {
            phone: account.number.clone(),
            device,
        };
        removal::unlink(&self.network, &account, device).ok_or_else(unknown)?;
        self.flush().await?;
        Ok(())
    }

    /// Tells the phone's companions to fetch something anew, now and at every login until they did: `account_sync`, `groups`,
    /// `syncd_app_state`, `newsletter_metadata`.
    pub async fn mark_dirty(&self, phone: &str, what: &str) -> Result<(), SandboxError> {
        if !dirty::KINDS.contains(&what) {
            return Err(SandboxError::InvalidDirt);
        }
        let account = self.account(phone)?;
        dirty::mark(&self.network, &account, what);
        self.flush().await
    }

    /// Locks an account out, as the network does with those who break its rules: its companions lose their connections
    /// and cannot log in. 402 is for a time, 403 for good; both end with [`Sandbox::lift_ban`].
    ///
    /// # Errors
    /// [`SandboxError::InvalidBan`] for another code, for a 402 without an end or a 403 with one.
    pub async fn ban(&self, phone: &str, code: u16, lasts: Option<Duration>) -> Result<(), SandboxError> {
        let until = match (code, lasts) {
            (FOR_A_TIME, Some(lasts)) => Some(unix_seconds().saturating_add(lasts.as_secs())),
            (LOCKED, None) => None,
            _ => return Err(SandboxError::InvalidBan),
        };
        let sessions = self.set_ban(phone, Some(Ban { code, until }), |state| {
            let devices = state.devices.values();
            devices.filter_map(|device| device.session.clone()).collect::<Vec<_>>()
        })?;
        for session in sessions {
            session.end(Ending::Dropped);
        }
        self.flush().await
    }

    /// The network forgives.
    pub async fn lift_ban(&self, phone: &str) -> Result<(), SandboxError> {
        self.set_ban(phone, None, |_| ())?;
        self.flush().await
    }

    fn set_ban<T>(
        &self,
        phone: &str,
        ban: Option<Ban>,
        look: impl FnOnce(&AccountState) -> T,
    ) -> Result<T, SandboxError> {
        let account = self.account(phone)?;
        let mut state = account.state();
        state.ban = ban;
        let mut batch = self.network.store.batch();
        account.save(&state, &mut batch);
        self.network.store.submit(batch);
        let seen = look(&state);
        drop(state);
        self.network.announce(&account.number, Changed::Phone);
        Ok(seen)
    }
}
