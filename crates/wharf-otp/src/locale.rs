//! Languages as BCP 47 names them. All that a text's language is made of: language, script, region, variants.

/// The longest tag, in characters.
const MAX: usize = 16;

/// A tag as it is stored: `pt-BR`, however its letters were written. `None`: it is no tag, or too long.
pub(crate) fn canonical(tag: &str) -> Option<String> {
    let mut parts = tag.split('-');
    let language = parts.next()?;
    if tag.len() > MAX || !is_language(language) {
        return None;
    }
    let mut written = vec![language.to_ascii_lowercase()];
    let mut last = Kind::Language;
    for part in parts {
        let kind = Kind::of(part).filter(|kind| *kind > last || (*kind, last) == (Kind::Variant, Kind::Variant))?;
        written.push(kind.write(part));
        last = kind;
    }
    Some(written.join("-"))
}

/// The language of a tag, without what follows it.
pub(crate) fn language_of(tag: &str) -> &str {
    tag.split(['-', '_']).next().unwrap_or(tag)
}

/// Whether two tags mean the same; people write `pt_BR`, too.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    one.len() == other.len() && one.bytes().map(plain).eq(other.bytes().map(plain))
}

/// What a part of a tag says, in the order in which parts stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Language,
    Script,
    Region,
    Variant,
}

impl Kind {
    /// What a part behind the language is.
    fn of(part: &str) -> Option<Self> {
        let letters = part.bytes().all(|byte| byte.is_ascii_alphabetic());
        let digits = part.bytes().all(|byte| byte.is_ascii_digit());
        let begins_with_digit = part.starts_with(|first: char| first.is_ascii_digit());
        match part.len() {
            4 if letters => Some(Self::Script),
            2 if letters => Some(Self::Region),
            3 if digits => Some(Self::Region),
            5..=8 if is_alphanumeric(part) => Some(Self::Variant),
            4 if begins_with_digit && is_alphanumeric(part) => Some(Self::Variant),
            _ => None,
        }
    }

    /// How it is written.
    fn write(self, part: &str) -> String {
        let lower = part.to_ascii_lowercase();
        match self {
            Self::Script => part.get(..1).unwrap_or_default().to_ascii_uppercase() + lower.get(1..).unwrap_or_default(),
            Self::Region => part.to_ascii_uppercase(),
            Self::Language | Self::Variant => lower,
        }
    }
}

fn is_language(part: &str) -> bool {
    (2..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphabetic())
}

fn is_alphanumeric(part: &str) -> bool {
    part.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_stored_in_one_spelling() {
        for (tag, stored) in [
            ("es", "es"),
            ("PT-br", "pt-BR"),
            ("fil", "fil"),
            ("ZH-HANT-tw", "zh-Hant-TW"),
            ("es-419", "es-419"),
            ("de-ch-1901", "de-CH-1901"),
            ("sl-rozaj-nedis", "sl-rozaj-nedis"),
        ] {
            assert_eq!(canonical(tag).as_deref(), Some(stored), "{tag}");
        }
    }

    #[test]
    fn what_is_no_tag_is_not_stored() {
        for wrong in [
            "",
            "e",
            "engl",
            "pt_BR",
            "pt-",
            "-BR",
            "pt--BR",
            "pt-B",
            "pt-BR-Latn",
            "pt-BR-PT",
            "e1",
            "эс",
            "en-é",
            "en-x-mine",
            "sl-rozaj-biske-nedis",
        ] {
            assert_eq!(canonical(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn tags_are_the_same_however_they_are_written() {
        assert!(is_same("PT_br", "pt-BR"));
        assert!(!is_same("pt", "pt-BR") && !is_same("pt-BR", "pt-PT"));
        assert_eq!(
            (language_of("zh-Hant-TW"), language_of("PT_br"), language_of("es")),
            ("zh", "PT", "es")
        );
    }
}
