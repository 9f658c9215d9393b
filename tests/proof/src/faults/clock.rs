//! A wall clock that jumps: libfaketime, told by a file. Timers go on as they did.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::scene::Scene;

/// Where Debian's package puts it, on whatever processor.
const PLACES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// What gives a program a clock of its own: its variables, and the file that sets it.
pub(super) struct FakeClock {
    pub environment: Vec<(String, String)>,
    pub file: PathBuf,
}

/// Starts with this offset in seconds.
///
/// # Errors
/// libfaketime is not installed.
pub(super) fn fake_clock(folder: &Path, offset: i64) -> Result<FakeClock> {
    let Some(library) = PLACES.iter().find(|place| Path::new(place).exists()) else {
        bail!(
            "a clock that jumps cannot be had here: libfaketime is not installed (Debian: `apt-get install libfaketime`)"
        );
    };
    let file = folder.join("clock");
    set(&file, offset)?;
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Ok(FakeClock {
        environment: vec![
            set("LD_PRELOAD", library),
            set(
                "FAKETIME_TIMESTAMP_FILE",
                file.to_str().context("the folder's name is not text")?,
            ),
            set("FAKETIME_CACHE_DURATION", "1"),
            set("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            set("FAKETIME_DONT_RESET", "1"),
        ],
        file,
    })
}

fn set(file: &Path, offset: i64) -> Result<()> {
    let next = file.with_extension("next");
    // Whole or not at all: the clock is read at any moment.
    fs::write(&next, format!("{offset:+}\n")).context("the clock cannot be set")?;
    fs::rename(&next, file).context("the clock cannot be set")
}

impl Scene {
    pub(super) async fn move_the_clock(&mut self, to: i64) -> Result<()> {
        let file = self.clock.clone().context("there is no clock to set")?;
        let began = self.begin("the clock jumps a day");
        set(&file, to)?;
        self.work_for(self.window).await?;
        self.end(began).await
    }
}
