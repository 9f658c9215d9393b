//! The recording on disk: a folder with one file of JSON lines for each part, written as things happen, so that it is
//! there however the run ends.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Recording;

/// The open files of a recording.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    requests: BufWriter<File>,
    inbound: BufWriter<File>,
    followed: BufWriter<File>,
    stanzas: BufWriter<File>,
    peer: BufWriter<File>,
    lives: BufWriter<File>,
    faults: BufWriter<File>,
}

/// A part that grows during the run.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// Calls and their ends.
    Requests,
    /// What phones sent.
    Inbound,
    /// The feed as it was followed.
    Followed,
    /// The sandbox's raw log.
    Stanzas,
    /// The Baileys companion.
    Peer,
    /// Processes of Wharf.
    Lives,
    /// What was broken.
    Faults,
}

impl Files {
    /// Makes the folder and its files; whatever was in them is gone.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn create(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let file = |name: &str| {
            let path = folder.join(format!("{name}.ndjson"));
            let made = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
            anyhow::Ok(BufWriter::new(made))
        };
        Ok(Self {
            folder: folder.to_owned(),
            requests: file("requests")?,
            inbound: file("inbound")?,
            followed: file("events")?,
            stanzas: file("stanzas")?,
            peer: file("peer")?,
            lives: file("kills")?,
            faults: file("faults")?,
        })
    }

    /// Where they are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// One more line; already JSON.
    ///
    /// # Errors
    /// The disk is full.
    pub fn line(&mut self, part: Part, line: &str) -> Result<()> {
        let file = self.of(part);
        file.write_all(line.as_bytes())
            .and_then(|()| file.write_all(b"\n"))
            .context("the recording cannot be written")
    }

    /// Everything that has no file of its own yet, and the rest of those that have.
    ///
    /// # Errors
    /// The disk is full.
    pub fn finish(mut self, recording: &Recording) -> Result<PathBuf> {
        for part in [
            Part::Requests,
            Part::Inbound,
            Part::Followed,
            Part::Stanzas,
            Part::Peer,
            Part::Lives,
            Part::Faults,
        ] {
            self.of(part).flush().context("the recording cannot be written")?;
        }
        let about = serde_json::to_string_pretty(&recording.about)?;
        fs::write(self.folder.join("about.json"), about).context("the recording cannot be written")?;
        lines(&self.folder.join("log.ndjson"), &recording.log)?;
        lines(&self.folder.join("messages.ndjson"), &recording.messages)?;
        lines(&self.folder.join("history.ndjson"), &recording.history)?;
        Ok(self.folder)
    }

    const fn of(&mut self, part: Part) -> &mut BufWriter<File> {
        match part {
            Part::Requests => &mut self.requests,
            Part::Inbound => &mut self.inbound,
            Part::Followed => &mut self.followed,
            Part::Stanzas => &mut self.stanzas,
            Part::Peer => &mut self.peer,
            Part::Lives => &mut self.lives,
            Part::Faults => &mut self.faults,
        }
    }
}

/// Writes a part that is known whole.
pub(crate) fn lines<T: Serialize>(path: &Path, values: &[T]) -> Result<()> {
    let mut text = String::new();
    for value in values {
        text.push_str(&serde_json::to_string(value)?);
        text.push('\n');
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Reads a recording that was kept.
///
/// # Errors
/// A file is missing or is none of a recording.
pub fn read(folder: &Path) -> Result<Recording> {
    let about = folder.join("about.json");
    let text = fs::read_to_string(&about).with_context(|| format!("cannot read {}", about.display()))?;
    Ok(Recording {
        about: serde_json::from_str(&text).with_context(|| format!("{} is damaged", about.display()))?,
        requests: part(folder, "requests")?,
        inbound: part(folder, "inbound")?,
        followed: part(folder, "events")?,
        log: part(folder, "log")?,
        observations: part(folder, "stanzas")?,
        peer: part(folder, "peer")?,
        lives: part(folder, "kills")?,
        faults: part(folder, "faults")?,
        messages: part(folder, "messages")?,
        history: part(folder, "history")?,
    })
}

fn part<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Vec<T>> {
    let path = folder.join(format!("{name}.ndjson"));
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    text.lines()
        .enumerate()
        .map(|(at, line)| {
            serde_json::from_str(line).with_context(|| format!("{} line {}: {line}", path.display(), at + 1))
        })
        .collect()
}
