//! Counts commits from outside: SQLite marks the last page of each transaction in its write-ahead log.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context, Result};

const HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;

/// A log that is looked at again and again. It is overwritten from its start after a checkpoint, so that it has to be
/// looked at more often than that happens; what one look between two overwritings misses is not counted.
pub struct CommitCount {
    path: PathBuf,
    salts: [u8; 8],
    frames: u64,
    commits: u64,
}

impl CommitCount {
    /// Starts with what the log of the database in this folder holds now.
    pub fn from_now(folder: &std::path::Path) -> Result<Self> {
        let mut count = Self {
            path: folder.join("wharf.db-wal"),
            salts: [0; 8],
            frames: 0,
            commits: 0,
        };
        count.look()?;
        count.commits = 0;
        Ok(count)
    }

    pub fn commits(&self) -> u64 {
        self.commits
    }

    /// Counts what is new.
    pub fn look(&mut self) -> Result<()> {
        let mut log = File::open(&self.path).with_context(|| format!("no log {}", self.path.display()))?;
        let Some(header) = read::<{ HEADER as usize }>(&mut log)? else {
            return Ok(());
        };
        let page = u64::from(number(&header[8..12]));
        if header[16..24] != self.salts {
            self.salts.copy_from_slice(&header[16..24]);
            self.frames = 0;
        }
        loop {
            log.seek(SeekFrom::Start(HEADER + self.frames * (FRAME_HEADER + page)))?;
            let Some(frame) = read::<{ FRAME_HEADER as usize }>(&mut log)? else {
                return Ok(());
            };
            // What an earlier pass left behind has other salts.
            if frame[8..16] != self.salts {
                return Ok(());
            }
            self.frames += 1;
            self.commits += u64::from(number(&frame[4..8]) != 0);
        }
    }
}

fn read<const LENGTH: usize>(log: &mut File) -> Result<Option<[u8; LENGTH]>> {
    let mut bytes = [0; LENGTH];
    match log.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;

    use super::*;

    const PAGE: usize = 512;

    fn write(folder: &Path, salt: u8, frames: &[(u8, u32)]) {
        let mut bytes = vec![0; 8];
        bytes.extend((PAGE as u32).to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend([salt; 8]);
        bytes.extend([0; 8]);
        for (salt, pages) in frames {
            bytes.extend(1_u32.to_be_bytes());
            bytes.extend(pages.to_be_bytes());
            bytes.extend([*salt; 8]);
            bytes.extend([0; 8 + PAGE]);
        }
        File::create(folder.join("wharf.db-wal"))
            .unwrap()
            .write_all(&bytes)
            .unwrap();
    }

    #[test]
    fn every_commit_is_counted_once_also_behind_a_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 1, &[(1, 0), (1, 3)]);
        let mut count = CommitCount::from_now(folder.path()).unwrap();
        write(folder.path(), 1, &[(1, 0), (1, 3), (1, 3), (1, 0), (1, 4)]);
        count.look().unwrap();
        assert_eq!(count.commits(), 2);
        // Written anew from the start; the third frame is of the earlier pass.
        write(folder.path(), 2, &[(2, 0), (2, 5), (1, 3)]);
        count.look().unwrap();
        count.look().unwrap();
        assert_eq!(count.commits(), 3);
    }
}
