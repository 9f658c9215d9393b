//! What a text may consist of: words, the code alone on a line of its own, and how many minutes it lives.

/// The longest text, in characters.
const MAX: usize = 1024;

/// Where the code goes.
const CODE: &str = "{{code}}";

/// Why a text cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The stable code.
    pub code: &'static str,
    /// One sentence.
    pub detail: &'static str,
}

const INVALID_LENGTH: Fault = Fault {
    code: "invalid_length",
    detail: "Must have 1 to 1024 characters.",
};

const INVALID_CHARACTER: Fault = Fault {
    code: "invalid_character",
    detail: "Must hold no control characters but tabs and the ends of lines.",
};

const UNKNOWN_PLACEHOLDER: Fault = Fault {
    code: "unknown_placeholder",
    detail: "What stands between `{{` and `}}` must be `code` or `minutes`.",
};

const MISSING_CODE: Fault = Fault {
    code: "missing_code",
    detail: "Must hold `{{code}}`, where the code goes.",
};

const REPEATED_CODE: Fault = Fault {
    code: "repeated_code",
    detail: "Must hold `{{code}}` once.",
};

const NOT_ON_ITS_OWN_LINE: Fault = Fault {
    code: "code_not_on_its_own_line",
    detail: "`{{code}}` must be alone on a line, where phones offer to copy it.",
};

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// Words.
    Text(&'a str),
    /// What stands between `{{` and `}}`.
    Placeholder(&'a str),
    /// A `{{` that nothing closes, at the end.
    Open,
}

/// The parts of a text, one after the other.
pub(crate) fn parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    let mut chunks = text.split("{{");
    let words = chunks.next().map(Part::Text);
    let others = chunks.flat_map(|chunk| match chunk.split_once("}}") {
        Some((name, words)) => [Part::Placeholder(name), Part::Text(words)],
        None => [Part::Open, Part::Text(chunk)],
    });
    words.into_iter().chain(others)
}

/// A text with the ends of lines that phones know.
pub(crate) fn with_plain_lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// Whether a text can be used.
pub(crate) fn check(text: &str) -> Result<(), Fault> {
    if !(1..=MAX).contains(&text.chars().count()) {
        return Err(INVALID_LENGTH);
    }
    if text.contains(|char: char| char.is_control() && !matches!(char, '\n' | '\t')) {
        return Err(INVALID_CHARACTER);
    }
    let is_known = |part: Part<'_>| match part {
        Part::Text(_) => true,
        Part::Placeholder(name) => matches!(name, "code" | "minutes"),
        Part::Open => false,
    };
    if !parts(text).all(is_known) {
        return Err(UNKNOWN_PLACEHOLDER);
    }
    match text.matches(CODE).count() {
        0 => Err(MISSING_CODE),
        1 if text.lines().any(|line| line == CODE) => Ok(()),
        1 => Err(NOT_ON_ITS_OWN_LINE),
        _ => Err(REPEATED_CODE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_can_be_used_is_taken() {
        let longest = format!("{}\n{{{{code}}}}", "é".repeat(1015));
        for text in [
            "{{code}}",
            "Your code:\n{{code}}\nGood for {{minutes}} min, {{minutes}}!",
            "{ } } {\n{{code}}\n}}",
            &*longest,
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        assert_eq!(longest.chars().count(), MAX);
    }

    #[test]
    fn each_fault_has_its_code() {
        let too_long = format!("{}\n{{{{code}}}}", "e".repeat(1016));
        for (text, fault) in [
            ("", INVALID_LENGTH),
            (&*too_long, INVALID_LENGTH),
            ("\0\n{{code}}", INVALID_CHARACTER),
            ("a\r{{code}}", INVALID_CHARACTER),
            ("Your code", MISSING_CODE),
            ("{code}", MISSING_CODE),
            ("{{minutes}}", MISSING_CODE),
            ("{{code}}\n{{code}}", REPEATED_CODE),
            ("Code: {{code}}", NOT_ON_ITS_OWN_LINE),
            ("{{code}}.", NOT_ON_ITS_OWN_LINE),
            (" {{code}}", NOT_ON_ITS_OWN_LINE),
            ("{{code}}}", NOT_ON_ITS_OWN_LINE),
            ("{{code}}\n{{name}}", UNKNOWN_PLACEHOLDER),
            ("{{ code }}", UNKNOWN_PLACEHOLDER),
            ("{{CODE}}", UNKNOWN_PLACEHOLDER),
            ("{{code}}\n{{", UNKNOWN_PLACEHOLDER),
            ("{{{code}}}", UNKNOWN_PLACEHOLDER),
            ("{{co{{minutes}}de}}\n{{code}}", UNKNOWN_PLACEHOLDER),
            ("{{}}\n{{code}}", UNKNOWN_PLACEHOLDER),
        ] {
            assert_eq!(check(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn ends_of_lines_are_those_that_phones_know() {
        let text = with_plain_lines("Your code:\r\n{{code}}\r\n");
        assert_eq!(check(&text), Ok(()));
        assert!(!text.contains('\r'));
    }
}
