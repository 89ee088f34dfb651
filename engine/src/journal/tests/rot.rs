//! One flipped bit or zeroed block anywhere in the journal's files, thousands of times: exactly the records it hits are
//! damaged.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::world::{World, options};
use crate::journal::Entry;
use crate::test_effort::scaled;

const BLOCK: usize = 4096;
const SECTOR: usize = 512;

fn filled(random: &mut StdRng) -> World {
    let mut world = World::new();
    for _ in 0..random.random_range(4..30) {
        let longest = [200, 3_000, options().max_record()][random.random_range(0..3)];
        let lens: Vec<_> =
            (0..random.random_range(1..5)).map(|_| random.random_range(16..=longest)).collect();
        world.append(&lens);
    }
    // How far the journal has got is in the state a moment later: nothing of it is then a torn tail.
    world.state_max = world.log.view().watermark();
    world
}

#[test]
fn one_harm_anywhere_in_the_journal_costs_exactly_the_records_it_hits() {
    let harms = scaled(2_000, 20_000);
    let (mut hit, mut harmless) = (0, 0);
    for seed in 0..harms {
        let mut random = StdRng::seed_from_u64(seed);
        let mut world = filled(&mut random);
        let files: Vec<_> = world.segments().into_values().collect();
        let file = &files[random.random_range(0..files.len())];
        let len = world.disk.content(file).unwrap().len();
        let at = random.random_range(0..len);
        match random.random_range(0..3) {
            0 => world.damage(file, |bytes| bytes[at] ^= 1 << random.random_range(0..8)),
            1 => world.damage(file, |bytes| bytes[at / SECTOR * SECTOR..][..SECTOR].fill(0)),
            _ => world.damage(file, |bytes| bytes[at / BLOCK * BLOCK..][..BLOCK].fill(0)),
        }
        let recovery = world.kill();
        assert_eq!(recovery.torn_tail, 0, "seed {seed}");
        let entries = world.read(0);
        let damaged = entries.iter().filter_map(|entry| match entry {
            Entry::Damaged { first, last } => Some(last - first + 1),
            Entry::Record { .. } | Entry::Void { .. } => None,
        });
        assert_eq!(damaged.sum::<u64>(), world.damaged.len() as u64, "seed {seed}");
        hit += world.damaged.len();
        harmless += u64::from(world.damaged.is_empty());
        world.check_alive();
    }
    println!(
        "bit rot in a journal: {harms} flips and zeroed blocks, {hit} records hit and damaged, {harmless} hit none"
    );
}
