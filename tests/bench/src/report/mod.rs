//! Owns what was measured and how it is shown: a table on the terminal, a page in `docs`.

pub mod figure;
mod page;
mod table;

use figure::{Figure, Target};

use crate::processor::Share;

pub use page::page;
pub use table::text;

/// One line of the result.
#[derive(Clone, Debug)]
pub struct Row {
    pub what: String,
    pub wharf: Option<Figure>,
    pub baileys: Option<Figure>,
    pub target: Option<Target>,
}

impl Row {
    pub fn wharf(what: impl Into<String>, figure: Figure) -> Self {
        Self {
            what: what.into(),
            wharf: Some(figure),
            baileys: None,
            target: None,
        }
    }

    /// A line without a number.
    pub fn note(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            wharf: None,
            baileys: None,
            target: None,
        }
    }

    #[must_use]
    pub fn beside(mut self, baileys: Option<Figure>) -> Self {
        self.baileys = baileys;
        self
    }

    #[must_use]
    pub fn target(mut self, target: Option<Target>) -> Self {
        self.target = target;
        self
    }

    /// What, Wharf, Baileys, Wharf's part of Baileys, target, verdict.
    fn cells(&self) -> [String; 6] {
        let shown = |figure: &Option<Figure>| figure.as_ref().map_or(String::new(), ToString::to_string);
        let ratio = match (&self.wharf, &self.baileys) {
            (Some(wharf), Some(baileys)) => wharf.ratio(baileys),
            _ => String::new(),
        };
        let verdict = match (&self.wharf, &self.target) {
            (Some(wharf), Some(target)) => target.verdict(wharf),
            _ => String::new(),
        };
        let target = self.target.as_ref().map_or(String::new(), ToString::to_string);
        [
            self.what.clone(),
            shown(&self.wharf),
            shown(&self.baileys),
            ratio,
            target,
            verdict,
        ]
    }
}

/// Who used the processor during one measurement.
#[derive(Clone, Debug)]
pub struct Use {
    pub what: String,
    /// How many messages it was.
    pub messages: usize,
    pub shares: Vec<Share>,
}

impl Use {
    /// Percent of one core, and microseconds for each message.
    fn of(&self, share: &Share) -> String {
        let micros = share.used.as_secs_f64() * 1e6 / self.messages.max(1) as f64;
        format!("{:.0} % ({micros:.0} µs)", share.percent)
    }
}

/// One of (a) to (f).
#[derive(Clone, Debug)]
pub struct Section {
    pub title: &'static str,
    /// How it was measured, for the page.
    pub method: String,
    pub rows: Vec<Row>,
    pub uses: Vec<Use>,
}

/// Everything of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// What it ran on: name and value.
    pub machine: Vec<(&'static str, String)>,
    pub sections: Vec<Section>,
}

const COLUMNS: [&str; 6] = ["", "Wharf", "Baileys", "Wharf ÷ Baileys", "target", ""];
