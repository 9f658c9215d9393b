//! A text as answers show it.

use serde::Serialize;
use utoipa::ToSchema;
use wharf_otp::{TextSource, TextView};

use crate::wire::Time;

/// A text of messages with codes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OtpTemplate)]
pub(crate) struct TextBody {
    /// Its name, as `template` of a send.
    #[schema(example = "default")]
    template: String,
    /// Its language.
    #[schema(example = "pt-BR")]
    locale: String,
    /// `shipped`, or `workspace`: one of your own.
    #[schema(pattern = "^(shipped|workspace)$", example = "workspace")]
    source: &'static str,
    /// What it says; `{{code}}` and `{{minutes}}` are filled in.
    #[schema(example = "Your code for Example:\n{{code}}\nGood for {{minutes}} minutes.")]
    body: String,
    /// When it was saved last; null for those that are shipped.
    #[schema(required)]
    updated_at: Option<Time>,
}

impl From<TextView> for TextBody {
    fn from(view: TextView) -> Self {
        Self {
            template: view.template,
            locale: view.locale,
            source: TextSource::as_str(view.source),
            body: view.body,
            updated_at: view.updated_at.map(Time),
        }
    }
}
