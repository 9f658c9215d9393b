//! What a message with a code says: a text of the workspace's own, or a shipped one. The code stands alone on a line, where
//! phones offer to copy it.

use std::borrow::Cow;
use std::time::Duration;

use wharf_model::Timestamp;
use wharf_storage::messages::Wording;

use crate::locale;
use crate::wording::{Part, parts};

/// The only text that is shipped.
pub(crate) const DEFAULT: &str = "default";

/// Languages (BCP 47) and their texts. Minutes are abbreviated, so that no language needs forms of the plural.
const TEXTS: [(&str, &str); 10] = [
    (
        "en",
        "Your verification code:\n\n{{code}}\n\nValid for {{minutes}} min. Never share it with anyone.",
    ),
    (
        "es",
        "Tu código de verificación:\n\n{{code}}\n\nVálido durante {{minutes}} min. No lo compartas con nadie.",
    ),
    (
        "pt",
        "Seu código de verificação:\n\n{{code}}\n\nVálido por {{minutes}} min. Não o compartilhe com ninguém.",
    ),
    (
        "fr",
        "Votre code de vérification :\n\n{{code}}\n\nValable {{minutes}} min. Ne le communiquez à personne.",
    ),
    (
        "de",
        "Ihr Bestätigungscode:\n\n{{code}}\n\nGültig für {{minutes}} Min. Geben Sie ihn an niemanden weiter.",
    ),
    (
        "ar",
        "رمز التحقق الخاص بك:\n\n{{code}}\n\nصالح لمدة {{minutes}} دقيقة. لا تشاركه مع أي شخص.",
    ),
    (
        "hi",
        "आपका सत्यापन कोड:\n\n{{code}}\n\n{{minutes}} मिनट तक मान्य। इसे किसी के साथ साझा न करें।",
    ),
    (
        "id",
        "Kode verifikasi Anda:\n\n{{code}}\n\nBerlaku {{minutes}} menit. Jangan berikan kepada siapa pun.",
    ),
    (
        "tr",
        "Doğrulama kodunuz:\n\n{{code}}\n\n{{minutes}} dakika geçerlidir. Kimseyle paylaşmayın.",
    ),
    (
        "ru",
        "Ваш код подтверждения:\n\n{{code}}\n\nДействителен {{minutes}} мин. Никому его не сообщайте.",
    ),
];

/// Whether there are texts in a language.
pub(crate) fn is_known(locale: &str) -> bool {
    TEXTS.iter().any(|(known, _)| *known == locale)
}

/// The languages that are shipped, and what they say.
pub(crate) fn shipped() -> impl Iterator<Item = (&'static str, &'static str)> {
    TEXTS.into_iter()
}

/// A text that a workspace wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnText {
    pub template: String,
    pub locale: String,
    pub body: String,
    pub updated_at: Timestamp,
}

/// Why there is no text for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoText {
    /// Of the name that was asked for.
    OfName,
    /// There are some of this name, but in other languages.
    InLanguage,
}

/// A text in a language, ready for a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    name: String,
    locale: Cow<'static, str>,
    text: Cow<'static, str>,
}

impl Template {
    /// The workspace's own text of a name: in the language that is asked for, in its language without the region, or in
    /// `fallback`. Where it has none of these, a shipped text of the default name.
    pub(crate) fn choose(
        own: &[OwnText],
        name: Option<&str>,
        wanted: Option<&str>,
        fallback: &str,
    ) -> Result<Self, NoText> {
        let name = name.unwrap_or(DEFAULT);
        let of_name: Vec<_> = own.iter().filter(|text| text.template == name).collect();
        let in_language = |tag: &str| of_name.iter().find(|text| locale::is_same(&text.locale, tag));
        let found = wanted
            .and_then(|tag| in_language(tag).or_else(|| in_language(locale::language_of(tag))))
            .or_else(|| in_language(fallback));
        match found {
            Some(own) => Ok(Self {
                name: own.template.clone(),
                locale: own.locale.clone().into(),
                text: own.body.clone().into(),
            }),
            None if name == DEFAULT => Ok(Self::shipped(wanted, fallback)),
            None if of_name.is_empty() => Err(NoText::OfName),
            None => Err(NoText::InLanguage),
        }
    }

    /// The shipped text in the language that is asked for, in its language without the region, or in `fallback`.
    fn shipped(wanted: Option<&str>, fallback: &str) -> Self {
        let known = |tag: &str| shipped().find(|(known, _)| known.eq_ignore_ascii_case(tag));
        let or_without_region = |tag: &str| known(tag).or_else(|| known(locale::language_of(tag)));
        let (locale, text) = wanted
            .and_then(or_without_region)
            .or_else(|| or_without_region(fallback))
            .unwrap_or(TEXTS[0]);
        Self {
            name: DEFAULT.to_owned(),
            locale: locale.into(),
            text: text.into(),
        }
    }

    /// The message. A life that is no whole number of minutes is told shorter than it is.
    pub(crate) fn render(&self, code: &str, ttl: Duration) -> String {
        let minutes = (ttl.as_secs() / 60).max(1).to_string();
        // In one walk: what is filled in is not looked through again.
        let written = parts(&self.text).map(|part| match part {
            Part::Text(text) => text,
            Part::Placeholder("code") => code,
            Part::Placeholder("minutes") => minutes.as_str(),
            // None was saved.
            Part::Placeholder(_) | Part::Open => "",
        });
        written.collect()
    }

    /// What the message shows instead.
    pub(crate) fn wording(&self) -> Wording {
        Wording {
            template: self.name.clone(),
            locale: self.locale.clone().into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(template: &str, locale: &str) -> OwnText {
        OwnText {
            template: template.to_owned(),
            locale: locale.to_owned(),
            body: format!("{template} {locale}\n{{{{code}}}}"),
            updated_at: Timestamp::from_secs(1_700_000_000),
        }
    }

    /// Name and language of the text that is chosen.
    fn chosen(own: &[OwnText], name: &str, wanted: Option<&str>) -> Result<(String, String, bool), NoText> {
        let template = Template::choose(own, Some(name), wanted, "de")?;
        let is_own = own.iter().any(|text| text.body == template.text);
        Ok((template.name.clone(), template.locale.into_owned(), is_own))
    }

    #[test]
    fn every_shipped_text_could_be_a_workspaces_own() {
        for (locale, text) in TEXTS {
            assert_eq!(crate::wording::check(text), Ok(()), "{locale}");
            assert_eq!(locale::canonical(locale).as_deref(), Some(locale));
        }
    }

    #[test]
    fn the_code_is_alone_on_a_line_in_every_language() {
        for (locale, _) in TEXTS {
            let template = Template::choose(&[], None, Some(locale), "en").unwrap();
            let text = template.render("004217", Duration::from_secs(300));
            assert_eq!(text.lines().filter(|line| *line == "004217").count(), 1, "{text}");
            assert!(text.contains('5') && !text.contains("{{"), "{text}");
        }
    }

    #[test]
    fn a_region_falls_back_to_its_language_and_an_unknown_language_to_the_configured_one() {
        let chosen = |wanted| Template::choose(&[], None, wanted, "de").unwrap().locale;
        assert_eq!(
            [
                chosen(Some("es-MX")),
                chosen(Some("PT_br")),
                chosen(Some("xx")),
                chosen(None)
            ],
            ["es", "pt", "de", "de"]
        );
        let nowhere = Template::choose(&[], None, None, "xx").unwrap();
        assert_eq!(nowhere.locale, "en");
    }

    #[test]
    fn a_text_of_the_workspaces_own_comes_first() {
        let texts = ["pt-BR", "pt", "de"].map(|locale| own("default", locale));
        for (wanted, locale) in [
            (Some("pt-BR"), "pt-BR"),
            (Some("PT_br"), "pt-BR"),
            (Some("pt-PT"), "pt"),
            (Some("es"), "de"),
            (None, "de"),
        ] {
            let expected = ("default".to_owned(), locale.to_owned(), true);
            assert_eq!(chosen(&texts, "default", wanted), Ok(expected), "{wanted:?}");
        }
        // Without one in the configured language the shipped ones go on.
        for (wanted, locale, is_own) in [(Some("es"), "es", false), (Some("pt"), "pt", true), (None, "de", false)] {
            let expected = ("default".to_owned(), locale.to_owned(), is_own);
            assert_eq!(chosen(&texts[..2], "default", wanted), Ok(expected), "{wanted:?}");
        }
    }

    #[test]
    fn a_name_without_a_text_is_told_apart_from_one_without_the_language() {
        let texts = [own("login", "es")];
        let expected = ("login".to_owned(), "es".to_owned(), true);
        assert_eq!(chosen(&texts, "login", Some("es-MX")), Ok(expected));
        assert_eq!(chosen(&texts, "login", Some("fr")), Err(NoText::InLanguage));
        assert_eq!(chosen(&texts, "login", None), Err(NoText::InLanguage));
        assert_eq!(chosen(&texts, "logout", None), Err(NoText::OfName));
    }

    #[test]
    fn what_is_filled_in_is_not_looked_through_again() {
        let template = Template {
            name: "login".to_owned(),
            locale: "en".into(),
            text: "{{minutes}}\n{{code}}".into(),
        };
        let text = template.render("{{minutes}}", Duration::from_secs(90));
        assert_eq!(text, "1\n{{minutes}}");
    }
}
