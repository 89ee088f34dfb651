//! Every state that a power cut can leave a simulated disk in: random lives, cut at every operation that changes the disk.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Lie, SimDisk};

/// Number of random outcomes of one cut.
pub const SUBSETS: u64 = 4;
/// Lives in which a missing sync must do harm.
const LIVES: u64 = 60;

/// Lives the life of this seed on a disk; the power goes after this many operations.
pub type Live<W> = fn(disk: &SimDisk, seed: u64, power_off_after: Option<u64>) -> W;

/// Cuts the power at every operation of one life. `die` checks each world, by the seed of its cut.
pub fn die_everywhere<W>(seed: u64, pretending: Option<Lie>, live: Live<W>, mut die: impl FnMut(W, u64)) {
    let whole = SimDisk::new();
    live(&whole, seed, None);
    for at in 0..=whole.operations() {
        for subset in 0..SUBSETS {
            let disk = SimDisk::new();
            if let Some(lie) = pretending {
                disk.lie_about(lie);
            }
            die(live(&disk, seed, Some(at)), at * SUBSETS + subset);
        }
    }
}

/// Returns, for each kind of sync, the first life in which a power cut does harm while these syncs only pretend.
pub fn first_harms<W, const N: usize>(
    syncs: [(&'static str, Lie); N],
    live: Live<W>,
    die: impl Fn(W, u64),
) -> [(&'static str, Option<u64>); N] {
    let first_harm = |lie: Lie| {
        (0..LIVES).find(|seed| {
            catch_unwind(AssertUnwindSafe(|| die_everywhere(*seed, Some(lie), live, &die))).is_err()
        })
    };
    // They are to panic.
    std::panic::set_hook(Box::new(|_| ()));
    let found = syncs.map(|(name, lie)| (name, first_harm(lie)));
    let _ = std::panic::take_hook();
    found
}
