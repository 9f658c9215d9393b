//! Rules in the names of clients. Test suites that drive such a server by its one call (`scan-qr`) have no other place to say
//! what they want: a client that calls itself `restricted:…` or `scenario:FLAGS:…` gets an account with those rules.

use crate::network::contacts::ContactRules;

const RESTRICTED: &str = "restricted:";
const SCENARIO: &str = "scenario:";
/// Chats are addressed by hidden identifier, and who was given a token shows it with messages and when it asks for a
/// picture. On for all of them, as on the real network.
const ALWAYS_ON: [u32; 3] = [9435, 10518, 9666];
/// The client makes tokens for strangers.
const MAKES_TOKENS: u32 = 24941;
/// The client takes the salt for them from its history, or from app state.
const SALT_FROM_HISTORY: u32 = 25189;
const SALT_FROM_APP_STATE: u32 = 25253;

/// The rules for the account of a client that calls itself so. Flags that are unknown change nothing.
pub(super) fn rules(name: &str) -> ContactRules {
    let mut rules = ContactRules {
        experiments: ALWAYS_ON.map(|number| (number, ON.to_owned())).into(),
        ..ContactRules::default()
    };
    rules.restricted = name.starts_with(RESTRICTED);
    let flags = name
        .strip_prefix(SCENARIO)
        .and_then(|rest| Some(rest.split_once(':')?.0));
    for flag in flags.unwrap_or_default().split(',') {
        let (flag, value) = flag.split_once('=').unwrap_or((flag, ON));
        set(&mut rules, flag, value == ON);
    }
    rules
}

const ON: &str = "1";

fn set(rules: &mut ContactRules, flag: &str, on: bool) {
    let mut experiment = |number| {
        if on {
            rules.experiments.insert(number, ON.to_owned());
        }
    };
    match flag {
        "restricted" => rules.restricted = on,
        "tc_enabled" => rules.trusted_tokens = on,
        "cs_enabled" => rules.salted_tokens = on,
        "nct_history_delivery" => rules.salt_in_history = on,
        "nct_syncd_delivery" => rules.salt_in_app_state = on,
        "nct_send_ab" => experiment(MAKES_TOKENS),
        "nct_history_ab" => experiment(SALT_FROM_HISTORY),
        "nct_syncd_ab" => experiment(SALT_FROM_APP_STATE),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_its_account_is_like() {
        assert!(!rules("ann_1").restricted);
        assert!(rules("restricted:ann_1").restricted);
        let told = rules("scenario:restricted,cs_enabled=0,nct_send_ab=1,nct_syncd_delivery=1:ann_1");
        assert!(told.restricted && told.trusted_tokens && !told.salted_tokens);
        assert!(told.salt_in_app_state && !told.salt_in_history);
        assert!(told.experiments.contains_key(&MAKES_TOKENS));
        assert_eq!(told.experiments.len(), ALWAYS_ON.len() + 1);
        assert_eq!(rules("scenario:"), rules(""));
    }
}
