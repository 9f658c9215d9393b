//! Texts of a workspace's own: saved, listed, deleted, and chosen for a message.

use std::sync::Arc;

use wharf_model::{Timestamp, WorkspaceId};
use wharf_storage::audit::{self, Action, AuditEntry, Requester};
use wharf_storage::otp_texts::{self as rows, NewOtpText, OtpText};
use wharf_storage::{Queue, StorageError, WorkspaceKeys};

use super::Verifications;
use super::send::{SendCode, invalid, is_name};
use crate::error::OtpError;
use crate::template::{self, NoText, OwnText, Template};
use crate::{locale, wording};

/// How many texts a workspace has at most: each send may look through all of them.
const MOST_TEXTS: u32 = 200;

/// Where a text comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextSource {
    /// It is a part of Wharf.
    Shipped,
    /// The workspace wrote it.
    Workspace,
}

impl TextSource {
    /// Its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shipped => "shipped",
            Self::Workspace => "workspace",
        }
    }
}

/// A text that messages may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextView {
    /// Its name.
    pub template: String,
    /// Its language.
    pub locale: String,
    /// Where it comes from.
    pub source: TextSource,
    /// What it says, with its placeholders.
    pub body: String,
    /// When it was written last; `None` for those that are shipped.
    pub updated_at: Option<Timestamp>,
}

impl From<OwnText> for TextView {
    fn from(own: OwnText) -> Self {
        Self {
            template: own.template,
            locale: own.locale,
            source: TextSource::Workspace,
            body: own.body,
            updated_at: Some(own.updated_at),
        }
    }
}

impl TextView {
    fn shipped((locale, body): (&str, &str)) -> Self {
        Self {
            template: template::DEFAULT.to_owned(),
            locale: locale.to_owned(),
            source: TextSource::Shipped,
            body: body.to_owned(),
            updated_at: None,
        }
    }
}

impl Verifications {
    /// The workspace's own texts by name and language, then those that are shipped, also where one takes their place.
    ///
    /// # Errors
    /// Storage failed.
    pub async fn texts(&self, workspace: WorkspaceId) -> Result<Vec<TextView>, OtpError> {
        let cx = &self.cx;
        let keys = cx.storage.workspace_keys(workspace).await.map_err(OtpError::Storage)?;
        let found = cx.storage.read(move |tx| Box::pin(rows::list(tx, workspace)));
        let own = open(&keys, found.await.map_err(OtpError::Storage)?).map_err(OtpError::Storage)?;
        let shipped = template::shipped().map(TextView::shipped);
        Ok(own.into_iter().map(TextView::from).chain(shipped).collect())
    }

    /// Saves a text, in the place of the workspace's own one of the same name and language. Sends of this process have it at
    /// once.
    ///
    /// # Errors
    /// [`OtpError::Invalid`] says what is wrong with it; [`OtpError::TooManyTexts`].
    pub async fn save_text(
        &self,
        workspace: WorkspaceId,
        (template, locale): (&str, &str),
        body: &str,
        by: Requester,
    ) -> Result<TextView, OtpError> {
        if !is_name(template) {
            let wanted = "Must be 1 to 40 of a to z, 0 to 9, `_` and `-`.";
            return Err(invalid("template", "invalid_value", wanted));
        }
        let Some(locale) = locale::canonical(locale) else {
            let wanted = "Must be a language tag of at most 16 characters, such as `es` or `pt-BR`.";
            return Err(invalid("locale", "invalid_value", wanted));
        };
        let body = wording::with_plain_lines(body);
        wording::check(&body).map_err(|fault| invalid("body", fault.code, fault.detail))?;
        let own = OwnText {
            template: template.to_owned(),
            locale,
            body,
            updated_at: self.cx.clock.now(),
        };
        self.store_text(workspace, &own, by).await?;
        Ok(own.into())
    }

    async fn store_text(&self, workspace: WorkspaceId, own: &OwnText, by: Requester) -> Result<(), OtpError> {
        let cx = &self.cx;
        let keys = cx.storage.workspace_keys(workspace).await.map_err(OtpError::Storage)?;
        let body = rows::seal(&keys, &own.template, &own.locale, &own.body).map_err(OtpError::Storage)?;
        let new = NewOtpText {
            workspace_id: workspace,
            template: own.template.clone(),
            locale: own.locale.clone(),
            body,
            at: own.updated_at,
        };
        let entry = entry(workspace, own.updated_at, by, Action::OtpTextSaved);
        let saved = cx.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                let saved = rows::save(tx, &new, MOST_TEXTS).await?;
                audit::append(tx, Some(&entry).filter(|_| saved)).await?;
                Ok(saved)
            })
        });
        let saved = saved.await;
        cx.texts.forget(workspace);
        match saved.map_err(OtpError::Storage)? {
            true => Ok(()),
            false => Err(OtpError::TooManyTexts),
        }
    }

    /// Deletes a text of the workspace's own.
    ///
    /// # Errors
    /// [`OtpError::NoText`]: it has none of this name and language.
    pub async fn delete_text(
        &self,
        workspace: WorkspaceId,
        (template, locale): (&str, &str),
        by: Requester,
    ) -> Result<(), OtpError> {
        let cx = &self.cx;
        // What cannot be saved is not there.
        let locale = locale::canonical(locale).filter(|_| is_name(template));
        let (template, locale) = (template.to_owned(), locale.ok_or(OtpError::NoText)?);
        let entry = entry(workspace, cx.clock.now(), by, Action::OtpTextDeleted);
        let deleted = cx.storage.write(Queue::Normal, move |tx| {
            Box::pin(async move {
                let deleted = rows::delete(tx, workspace, &template, &locale).await?;
                audit::append(tx, Some(&entry).filter(|_| deleted)).await?;
                Ok(deleted)
            })
        });
        let deleted = deleted.await;
        cx.texts.forget(workspace);
        match deleted.map_err(OtpError::Storage)? {
            true => Ok(()),
            false => Err(OtpError::NoText),
        }
    }

    /// The text that a message is to have.
    pub(super) async fn template(&self, keys: &WorkspaceKeys, new: &SendCode) -> Result<Template, OtpError> {
        let own = self.own_texts(keys).await.map_err(OtpError::Storage)?;
        let (name, locale) = (new.template.as_deref(), new.locale.as_deref());
        Template::choose(&own, name, locale, &self.cx.config.locale).map_err(|none| match none {
            NoText::OfName => {
                let wanted = "There is no text of this name; `default` is one.";
                invalid("template", "unknown_value", wanted)
            }
            NoText::InLanguage => {
                let wanted = "The text of this name is neither in this language nor in the configured one.";
                invalid("locale", "unknown_value", wanted)
            }
        })
    }

    async fn own_texts(&self, keys: &WorkspaceKeys) -> Result<Arc<[OwnText]>, StorageError> {
        let (cx, workspace) = (&self.cx, keys.workspace());
        let look = match cx.texts.of(workspace, cx.clock.now()) {
            Ok(texts) => return Ok(texts),
            Err(look) => look,
        };
        let found = cx.storage.read(move |tx| Box::pin(rows::list(tx, workspace)));
        let texts: Arc<[OwnText]> = open(keys, found.await?)?.into();
        cx.texts.note(workspace, Arc::clone(&texts), look);
        Ok(texts)
    }
}

/// Who changed what strangers are told.
fn entry(workspace: WorkspaceId, at: Timestamp, by: Requester, action: Action) -> AuditEntry {
    AuditEntry {
        workspace,
        at,
        by,
        action,
        session: None,
        api_key: None,
        plan: None,
    }
}

fn open(keys: &WorkspaceKeys, texts: Vec<OtpText>) -> Result<Vec<OwnText>, StorageError> {
    let opened = texts.into_iter().map(|text| {
        let body = text.open(keys)?;
        Ok(OwnText {
            template: text.template,
            locale: text.locale,
            body,
            updated_at: text.updated_at,
        })
    });
    opened.collect()
}
