//! What a message with a code says. The code stands alone on a line, where phones offer to copy it.

use std::time::Duration;

use wharf_storage::messages::Wording;

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

/// A text in a language, ready for a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    locale: &'static str,
    text: &'static str,
}

impl Template {
    /// The text in the language that is asked for, in its language without the region, or in `fallback`.
    pub(crate) fn choose(locale: Option<&str>, fallback: &str) -> Self {
        let known = |wanted: &str| {
            let found = TEXTS.iter().find(|(locale, _)| locale.eq_ignore_ascii_case(wanted));
            found.map(|(locale, text)| Self { locale, text })
        };
        let or_without_region = |wanted: &str| {
            let language = wanted.split(['-', '_']).next().unwrap_or(wanted);
            known(wanted).or_else(|| known(language))
        };
        locale
            .and_then(or_without_region)
            .or_else(|| or_without_region(fallback))
            .unwrap_or(Self {
                locale: TEXTS[0].0,
                text: TEXTS[0].1,
            })
    }

    /// The message. A life that is no whole number of minutes is told shorter than it is.
    pub(crate) fn render(self, code: &str, ttl: Duration) -> String {
        let minutes = (ttl.as_secs() / 60).max(1).to_string();
        self.text.replace("{{minutes}}", &minutes).replace("{{code}}", code)
    }

    /// What the message shows instead.
    pub(crate) fn wording(self) -> Wording {
        Wording {
            template: DEFAULT.to_owned(),
            locale: self.locale.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_alone_on_a_line_in_every_language() {
        for (locale, _) in TEXTS {
            let text = Template::choose(Some(locale), "en").render("004217", Duration::from_secs(300));
            assert_eq!(text.lines().filter(|line| *line == "004217").count(), 1, "{text}");
            assert!(text.contains('5') && !text.contains("{{"), "{text}");
        }
    }

    #[test]
    fn a_region_falls_back_to_its_language_and_an_unknown_language_to_the_configured_one() {
        let chosen = |locale| Template::choose(locale, "de").locale;
        assert_eq!(
            [
                chosen(Some("es-MX")),
                chosen(Some("PT_br")),
                chosen(Some("xx")),
                chosen(None)
            ],
            ["es", "pt", "de", "de"]
        );
        assert_eq!(Template::choose(None, "xx").locale, "en");
    }
}
