//! The text that a person sends to prove his number: `WHARF-7K3F-9QXM`.

use wharf_model::Random;

/// What every text starts with.
const PREFIX: &str = "WHARF";

/// 32 characters of which no two look alike: neither 0 nor O, neither 1 nor I.
const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

/// How many of them: 40 bits.
const LENGTH: usize = 8;

/// The characters of a text, each drawn evenly and for itself. By these it is known.
pub(crate) fn generate(random: &dyn Random) -> String {
    let places = (0..LENGTH).map(|_| usize::try_from(random.below(32)).unwrap_or(0));
    places.map(|place| char::from(ALPHABET[place])).collect()
}

/// The text as it is to be sent. It needs no escape in a URL.
pub(crate) fn text_of(characters: &str) -> String {
    let (first, second) = characters.split_at(LENGTH / 2);
    format!("{PREFIX}-{first}-{second}")
}

/// The characters of the first text that stands in what somebody wrote, whatever stands around it: in any case, with or
/// without dashes and blanks.
pub(crate) fn find(said: &str) -> Option<String> {
    let windows = said.as_bytes().windows(PREFIX.len()).enumerate();
    let mut starts = windows.filter(|(_, window)| window.eq_ignore_ascii_case(PREFIX.as_bytes()));
    starts.find_map(|(start, _)| read(said.get(start + PREFIX.len()..)?))
}

fn read(behind: &str) -> Option<String> {
    let mut found = String::with_capacity(LENGTH);
    let mut rest = behind.chars();
    while found.len() < LENGTH {
        let next = rest.next()?.to_ascii_uppercase();
        if u8::try_from(next).is_ok_and(|byte| ALPHABET.contains(&byte)) {
            found.push(next);
        } else if !is_gap(next) {
            return None;
        }
    }
    let goes_on = rest.next().is_some_and(|next| next.is_ascii_alphanumeric());
    (!goes_on).then_some(found)
}

/// A blank, or one of the dashes that keyboards put in a hyphen's place.
fn is_gap(next: char) -> bool {
    next.is_whitespace() || matches!(next, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

#[cfg(test)]
mod tests {
    use wharf_model::SystemEdges;

    use super::*;

    #[test]
    fn a_text_is_found_however_it_is_written() {
        let characters = generate(&SystemEdges);
        let text = text_of(&characters);
        assert_eq!((text.len(), find(&text)), (15, Some(characters)));
        for said in [
            "WHARF-7K3F-9QXM",
            "wharf7k3f9qxm",
            " Wharf 7k3f – 9qxm.",
            "¡Hola! My wharf: no. WHARF-7K3F-9QXM, please",
            "🙂WHARF\u{a0}7K3F 9QXM\n",
        ] {
            assert_eq!(find(said).as_deref(), Some("7K3F9QXM"), "{said}");
        }
    }

    #[test]
    fn what_is_no_text_is_passed_over() {
        for said in [
            "",
            "WHARF",
            "7K3F-9QXM",
            "WHARF-7K3F-9QX",
            "WHARF-7K3F-9QXMA",
            "WHARF-7K3F-9QX0",
            "WHARF-7K3F/9QXM",
            "HARF-7K3F-9QXM",
            "Wharf Ä",
        ] {
            assert_eq!(find(said), None, "{said}");
        }
    }
}
