//! Takes in what visitors saw, in memory and on disk. Calls are written as they end, so that they are there however the run ends.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, anyhow};

use super::record::{About, Call, Kill, Record, Visit};
use crate::recording::lines;

/// See the module.
#[derive(Debug)]
pub(super) struct Book {
    folder: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    record: Record,
    calls: BufWriter<File>,
    /// The first call that could not be written.
    broken: Option<String>,
}

impl Book {
    /// A book in this folder.
    pub(super) fn new(folder: &Path, about: About) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let path = folder.join("calls.ndjson");
        let calls = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let record = Record {
            about,
            ..Record::default()
        };
        Ok(Self {
            folder: folder.to_owned(),
            inner: Mutex::new(Inner {
                record,
                calls: BufWriter::new(calls),
                broken: None,
            }),
        })
    }

    /// A call that is over.
    pub(super) fn call(&self, call: Call) {
        let line = serde_json::to_string(&call).map_err(anyhow::Error::from);
        let mut inner = self.lock();
        let written = line.and_then(|line| writeln!(inner.calls, "{line}").map_err(anyhow::Error::from));
        if let Err(error) = written {
            inner.broken.get_or_insert_with(|| format!("{error:#}"));
        }
        inner.record.calls.push(call);
    }

    /// A SIGKILL that comes now.
    pub(super) fn kill(&self, kill: Kill) {
        self.lock().record.kills.push(kill);
    }

    /// A visitor who left.
    pub(super) fn visit(&self, visit: Visit) {
        self.lock().record.visits.push(visit);
    }

    /// The visitors who left so far.
    pub(super) fn visits(&self) -> Vec<Visit> {
        self.lock().record.visits.clone()
    }

    /// The verifications that were accepted so far.
    pub(super) fn accepted(&self) -> Vec<String> {
        let inner = self.lock();
        let accepted = inner.record.calls.iter().filter_map(Call::accepted);
        accepted.map(str::to_owned).collect()
    }

    /// Ends the book: adds what is only known now, and writes everything.
    pub(super) fn finish(&self, complete: impl FnOnce(&mut Record)) -> Result<Record> {
        let mut inner = self.lock();
        if let Some(why) = &inner.broken {
            return Err(anyhow!("the record is not whole: {why}"));
        }
        inner.calls.flush().context("the record cannot be written")?;
        let mut record = std::mem::take(&mut inner.record);
        complete(&mut record);
        let about = serde_json::to_string_pretty(&record.about)?;
        fs::write(self.folder.join("about.json"), about).context("the record cannot be written")?;
        lines(&self.folder.join("kills.ndjson"), &record.kills)?;
        lines(&self.folder.join("visits.ndjson"), &record.visits)?;
        lines(&self.folder.join("arrivals.ndjson"), &record.arrivals)?;
        lines(&self.folder.join("bubbles.ndjson"), &record.bubbles)?;
        lines(&self.folder.join("verifications.ndjson"), &record.verifications)?;
        lines(&self.folder.join("events.ndjson"), &record.events)?;
        Ok(record)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
