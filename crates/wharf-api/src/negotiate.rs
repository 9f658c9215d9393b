//! Chooses among the media types that an answer exists in (RFC 9110, section 12.5.1).

use http::HeaderMap;
use http::header::ACCEPT;

use crate::error::ApiError;

/// The offer that the caller likes best. Without an `Accept` header the first; among equals the first.
pub(crate) fn choose(headers: &HeaderMap, offers: &'static [&'static str]) -> Result<&'static str, ApiError> {
    let accepted = wishes(headers);
    let first = offers.first().copied().ok_or(ApiError::NotAcceptable(offers))?;
    if accepted.is_empty() {
        return Ok(first);
    }
    let mut best = (0, first);
    for offer in offers {
        let quality = quality_of(offer, &accepted);
        if quality > best.0 {
            best = (quality, offer);
        }
    }
    if best.0 == 0 {
        return Err(ApiError::NotAcceptable(offers));
    }
    Ok(best.1)
}

/// One entry of `Accept`: a media range and its quality in thousandths.
struct Wish {
    range: String,
    quality: u16,
}

fn wishes(headers: &HeaderMap) -> Vec<Wish> {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(wish)
        .collect()
}

fn wish(entry: &str) -> Option<Wish> {
    let mut parts = entry.split(';').map(str::trim);
    let range = parts.next().filter(|range| !range.is_empty())?.to_ascii_lowercase();
    let quality = parts
        .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
        .map_or(1000, thousandths);
    Some(Wish { range, quality })
}

/// A quality that is no number counts as none: the caller named the type, after all.
fn thousandths(text: &str) -> u16 {
    let quality: f32 = text.trim().parse().unwrap_or(1.0);
    // In range after the clamp, so the cast keeps the value.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 0..=1000"
    )]
    let thousandths = (quality.clamp(0.0, 1.0) * 1000.0) as u16;
    thousandths
}

/// The most specific range that fits decides.
fn quality_of(offer: &str, wishes: &[Wish]) -> u16 {
    let group = offer.split('/').next().unwrap_or(offer);
    let specificity = |range: &str| match range.strip_suffix("/*") {
        _ if range == offer => Some(3),
        Some("*") => Some(1),
        Some(of) if of == group => Some(2),
        _ => None,
    };
    wishes
        .iter()
        .filter_map(|wish| specificity(&wish.range).map(|rank| (rank, wish.quality)))
        .max_by_key(|(rank, quality)| (*rank, *quality))
        .map_or(0, |(_, quality)| quality)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    const OFFERS: &[&str] = &["application/json", "image/png", "image/svg+xml"];

    fn chosen(accept: &str) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_bytes(accept.as_bytes()).ok()?);
        choose(&headers, OFFERS).ok()
    }

    #[test]
    fn the_best_liked_offer_wins() {
        assert_eq!(choose(&HeaderMap::new(), OFFERS).unwrap(), "application/json");
        assert_eq!(chosen("*/*"), Some("application/json"));
        assert_eq!(chosen("image/*"), Some("image/png"));
        assert_eq!(chosen("image/png;q=0.1, image/svg+xml"), Some("image/svg+xml"));
        assert_eq!(chosen("application/json;q=0, */*;q=0.5"), Some("image/png"));
        assert_eq!(
            chosen("image/avif,image/webp,image/svg+xml,image/*,*/*;q=0.8"),
            Some("image/png")
        );
    }

    #[test]
    fn nothing_acceptable_is_said() {
        assert_eq!(chosen("text/html"), None);
        assert_eq!(chosen("application/json;q=0"), None);
    }

    proptest! {
        #[test]
        fn no_header_makes_the_reader_panic(accept in "\\PC*") {
            let _ = chosen(&accept);
        }
    }
}
