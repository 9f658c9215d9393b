//! What the numbers were measured on: without the cores and the disk's flush time they cannot be compared.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use crate::Failure;

/// Cores and the median time of a 4 KiB write that is flushed to disk.
pub fn describe(folder: &Path) -> Result<String, Failure> {
    let cores = std::thread::available_parallelism()?;
    Ok(format!(
        "{cores} cores, fdatasync of 4 KiB {:.2} ms",
        flush_millis(folder)?
    ))
}

fn flush_millis(folder: &Path) -> Result<f64, Failure> {
    let mut file = File::create(folder.join("flush"))?;
    let mut times = Vec::new();
    for _ in 0..200 {
        let started = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(started.elapsed());
    }
    times.sort();
    Ok(times[times.len() / 2].as_secs_f64() * 1000.0)
}
