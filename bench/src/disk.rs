//! The disk's own ceiling, measured beside everything else: overwriting 64 KiB and syncing it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

const BLOCK: usize = 64 << 10;
const LENGTH: Duration = Duration::from_secs(2);

/// Measures the number of `fdatasync`s per second on this folder's disk.
pub fn syncs_per_second(folder: &Path) -> anyhow::Result<f64> {
    let file = File::create(folder.join("syncs"))?;
    let block = vec![7; BLOCK];
    file.write_all_at(&block, 0)?;
    file.sync_all()?;
    let began = Instant::now();
    let mut syncs = 0_u32;
    while began.elapsed() < LENGTH {
        file.write_all_at(&block, 0)?;
        file.sync_data()?;
        syncs += 1;
    }
    Ok(f64::from(syncs) / began.elapsed().as_secs_f64())
}
