//! Every state that a power cut can leave a journal in: random lives, cut at every operation that changes the disk, with
//! what was synced and, of the rest, whatever sectors chance keeps; and once more while it recovers from that.

use std::io::ErrorKind;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::world::{World, options};
use crate::journal::header::{DATA_START, HEADER_BLOCK, Header};
use crate::journal::sim::crashes::{SUBSETS, die_everywhere, first_harms};
use crate::journal::sim::{Operation, SimDisk};
use crate::test_effort::scaled;

#[derive(Debug, Default)]
struct Figures {
    states: u64,
    lives: u64,
    acknowledged: u64,
    segments: u64,
    torn: u64,
}

/// Appends, roll-overs, recycling, state commits, restarts, failed writes and syncs, in an order that `seed` picks,
/// until the power goes.
fn live(disk: &SimDisk, seed: u64, power_off_after: Option<u64>) -> World {
    let mut random = StdRng::seed_from_u64(seed);
    let mut world = World::on(disk.clone());
    if let Some(operations) = power_off_after {
        disk.power_off_after(operations);
    }
    for _ in 0..16 {
        let watermark = world.log.view().watermark();
        match random.random_range(0..12) {
            0 => world.free(watermark.saturating_sub(random.random_range(0..4))),
            1 => world.state_max = world.state_max.max(watermark),
            2 => world.log.view().tidy(),
            3 => world.log.probe(),
            4 => {
                let operation = [Operation::Write, Operation::Sync][random.random_range(0..2)];
                let kind = [ErrorKind::Other, ErrorKind::StorageFull][random.random_range(0..2)];
                world.disk.fail(operation, random.random_range(0..3), random.random_range(1..3), kind);
            }
            5 if world.disk.has_power() => world.kill_while_there_is_power(),
            _ => {
                let longest = [200, 3_000, options().max_record()][random.random_range(0..3)];
                let lens: Vec<_> =
                    (0..random.random_range(1..5)).map(|_| random.random_range(16..=longest)).collect();
                world.append(&lens);
            }
        }
    }
    world
}

#[test]
fn no_power_cut_at_any_operation_of_any_life_loses_what_was_acknowledged() {
    let wanted = scaled(2_000, 50_000);
    let mut figures = Figures::default();
    while figures.states < wanted {
        die_everywhere(figures.lives, None, live, |world, seed| die(world, seed, &mut figures));
        figures.lives += 1;
    }
    println!("crash states of the journal: {figures:?}, 0 lost, every start succeeds");
}

fn die(mut world: World, seed: u64, figures: &mut Figures) {
    figures.acknowledged += world.accepted.len() as u64;
    let recovery = world.cut_power(seed);
    figures.segments += recovery.segments as u64;
    figures.torn += u64::from(recovery.torn_tail > 0);
    // And again while it recovers.
    world.disk.power_off_after(seed % SUBSETS);
    let _ = world.try_open();
    world.cut_power(!seed);
    world.check_alive();
    figures.states += 1;
}

/// The last write before a sync identifies it.
mod syncs {
    use super::{DATA_START, HEADER_BLOCK, Header};

    type Pending<'a> = Option<&'a [(u64, Vec<u8>)]>;

    pub(super) fn batch(pending: Pending<'_>) -> bool {
        let is_frame =
            |(at, bytes): &(u64, Vec<u8>)| *at >= DATA_START && bytes.iter().any(|byte| *byte != 0);
        pending.is_some_and(|writes| !writes.is_empty() && writes.iter().all(is_frame))
    }

    pub(super) fn recovered(pending: Pending<'_>) -> bool {
        let is_header =
            |bytes: &[u8]| bytes.get(..HEADER_BLOCK).is_some_and(|copy| Header::decode(copy).is_ok());
        pending.is_some_and(|writes| matches!(writes, [(0, header), (_, _)] if is_header(header)))
    }

    pub(super) fn folder(pending: Pending<'_>) -> bool {
        pending.is_none()
    }
}

/// Two more syncs are needed for other reasons, and other tests miss them: that of a header shows whether a disk that
/// has failed works again, that of a new file's zeroes whether there is room for them.
#[test]
fn without_one_kind_of_sync_a_crash_state_loses_something() {
    let found = first_harms(
        [
            ("batches", syncs::batch),
            ("the folder", syncs::folder),
            ("the records that a recovery goes by", syncs::recovered),
        ],
        live,
        |world, seed| die(world, seed, &mut Figures::default()),
    );
    for (name, life) in found {
        let life = life.unwrap_or_else(|| panic!("nobody misses the sync of {name}"));
        println!("crash states without the sync of {name}: red in life {life}");
    }
}
