//! Checks: each has a stable name and a sentence for people.

mod mathematics;

pub(crate) use mathematics::mathematics;

/// One thing that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// Stable.
    pub name: &'static str,
    /// Whether it is as it must be.
    pub ok: bool,
    /// What was seen, in a sentence.
    pub detail: &'static str,
}

impl Check {
    pub(crate) const fn of(name: &'static str, ok: bool, [right, wrong]: [&'static str; 2]) -> Self {
        let detail = if ok { right } else { wrong };
        Self { name, ok, detail }
    }
}
