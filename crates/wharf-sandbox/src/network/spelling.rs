//! Numbers that are dialled in two ways and belong to one account (protocol brief, section 8): Brazil put a 9 in front of
//! mobile numbers, Mexico used to put a 1 in front of them when called from abroad.

/// How else the number is written, if it is one of those. Digits only.
pub(crate) fn other_spelling(number: &str) -> Option<String> {
    if let Some(national) = number.strip_prefix("55") {
        return brazilian(national);
    }
    let national = number.strip_prefix("52")?;
    match (national.len(), national.strip_prefix('1')) {
        (11, Some(without)) => Some(format!("52{without}")),
        (10, _) => Some(format!("521{national}")),
        _ => None,
    }
}

/// Two digits for the area, then eight, or nine that start with a 9.
fn brazilian(national: &str) -> Option<String> {
    let (area, local) = national.split_at_checked(2)?;
    match (local.len(), local.strip_prefix('9')) {
        (9, Some(without)) => Some(format!("55{area}{without}")),
        (8, _) => Some(format!("55{area}9{local}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_lead_to_each_other() {
        for (one, other) in [("5511987654321", "551187654321"), ("5215512345678", "525512345678")] {
            assert_eq!(other_spelling(one).as_deref(), Some(other));
            assert_eq!(other_spelling(other).as_deref(), Some(one));
        }
        for only in [
            "15550100001",
            "4915112345678",
            "55",
            "551",
            "55119876543210",
            "52551234567",
        ] {
            assert_eq!(other_spelling(only), None, "{only}");
        }
    }
}
