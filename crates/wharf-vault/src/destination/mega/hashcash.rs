//! The work that MEGA asks for before a log-in, since 2025: a prefix for which the hash of twelve mebibytes is small.

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest as _, Sha256};

use super::MegaError;

/// Bytes of a challenge.
const TOKEN: usize = 48;
/// How often it is repeated.
const REPEATS: usize = 262_144;
/// No server asks for more: eight times what is usual (an easiness of 192 takes 256 tries on average).
const MOST_TRIES: u32 = 2048;

/// Answers a challenge (`1:easiness:time:token`). Seconds of work: call it where that is allowed.
///
/// # Errors
/// [`MegaError::Unexpected`] for a challenge of another kind, [`MegaError::TooMuchWork`] for one that is too hard.
pub(super) fn solve(challenge: &str) -> Result<String, MegaError> {
    let unexpected = || MegaError::Unexpected("a challenge");
    let mut parts = challenge.split(':');
    let [Some("1"), Some(easiness), Some(_), Some(token), None] = std::array::from_fn(|_| parts.next()) else {
        return Err(unexpected());
    };
    let easiness: u8 = easiness.parse().map_err(|_| unexpected())?;
    let decoded = BASE64URL_NOPAD.decode(token.as_bytes()).map_err(|_| unexpected())?;
    if decoded.len() != TOKEN {
        return Err(unexpected());
    }
    let prefix = search(&decoded, threshold(easiness))?;
    Ok(format!("1:{token}:{}", BASE64URL_NOPAD.encode(&prefix)))
}

/// The largest first word of a hash that will do.
const fn threshold(easiness: u8) -> u32 {
    let base = ((easiness as u32 & 63) << 1) + 1;
    base << ((easiness as u32 >> 6) * 7 + 3)
}

fn search(token: &[u8], threshold: u32) -> Result<[u8; 4], MegaError> {
    let repeated = token.repeat(REPEATS);
    for tried in 0..MOST_TRIES {
        let prefix = tried.to_le_bytes();
        let hash = Sha256::new().chain_update(prefix).chain_update(&repeated).finalize();
        if u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]) <= threshold {
            return Ok(prefix);
        }
    }
    Err(MegaError::TooMuchWork)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_grows_with_the_easiness() {
        assert_eq!(
            [0, 63, 64, 192, 255].map(threshold),
            [8, 1016, 1024, 1 << 24, 127 << 24]
        );
    }

    #[test]
    fn an_answer_hashes_to_less_than_was_asked_for() {
        let token = BASE64URL_NOPAD.encode(&[5; TOKEN]);
        let answer = solve(&format!("1:255:1700000000:{token}")).unwrap();
        let prefix = BASE64URL_NOPAD
            .decode(answer.rsplit(':').next().unwrap().as_bytes())
            .unwrap();
        let hash = Sha256::new()
            .chain_update(prefix)
            .chain_update([5; TOKEN].repeat(REPEATS))
            .finalize();
        assert!(u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]) <= threshold(255));
        assert!(answer.starts_with(&format!("1:{token}:")));
    }

    #[test]
    fn other_challenges_are_refused() {
        let token = BASE64URL_NOPAD.encode(&[5; TOKEN]);
        for challenge in [
            String::new(),
            "1:255:1".to_owned(),
            format!("2:255:1:{token}"),
            format!("1:256:1:{token}"),
            format!("1:255:1:{token}:more"),
            "1:255:1:c2hvcnQ".to_owned(),
        ] {
            assert!(
                matches!(solve(&challenge), Err(MegaError::Unexpected(_))),
                "{challenge}"
            );
        }
    }
}
