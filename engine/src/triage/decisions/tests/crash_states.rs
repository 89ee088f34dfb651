//! Every state that a power cut can leave decision files in: random lives, cut at every operation that changes the disk,
//! and once more while they are opened again.

use rand::RngExt;

use super::*;
use crate::journal::sim::crashes::{SUBSETS, die_everywhere, first_harms};
use crate::test_effort::scaled;

#[derive(Debug, Default)]
struct Figures {
    states: u64,
    lives: u64,
    recorded: u64,
}

/// Records, segments, freed segments, reloads, restarts, failed operations, in an order that `seed` picks, until the
/// power goes.
fn live(disk: &SimDisk, seed: u64, power_off_after: Option<u64>) -> World {
    let mut random = StdRng::seed_from_u64(seed);
    let mut world = World::on(disk.clone());
    if let Some(operations) = power_off_after {
        disk.power_off_after(operations);
    }
    for _ in 0..14 {
        match random.random_range(0..10) {
            0 => world.roll(),
            1 => world.free(),
            2 => world.tables = random.random_range(0..3),
            3 => {
                let operations = [Operation::Write, Operation::Sync, Operation::SyncDir, Operation::Remove];
                let operation = operations[random.random_range(0..operations.len())];
                world.fail(operation, random.random_range(0..3), random.random_range(1..3));
            }
            4 if world.disk.has_power() => world.kill_while_there_is_power(),
            _ => _ = world.record(random.random_range(1..40)),
        }
    }
    world
}

fn die(mut world: World, seed: u64, figures: &mut Figures) {
    figures.recorded += world.recorded.len() as u64;
    world.cut_power(seed);
    // And again while they are opened.
    world.disk.power_off_after(seed % SUBSETS);
    let _ = world.try_open();
    world.cut_power(!seed);
    world.decide_again();
    assert!(world.record(3), "triage goes on");
    world.check();
    figures.states += 1;
}

#[test]
fn no_power_cut_at_any_operation_changes_a_decision_that_had_an_effect() {
    let wanted = scaled(2_000, 50_000);
    let mut figures = Figures::default();
    while figures.states < wanted {
        die_everywhere(figures.lives, None, live, |world, seed| die(world, seed, &mut figures));
        figures.lives += 1;
    }
    println!("crash states of decision files: {figures:?}, 0 changed, every start succeeds");
}

#[test]
fn without_one_kind_of_sync_a_crash_state_loses_a_decision() {
    let found = first_harms(
        [("entries", |pending| pending.is_some()), ("the folder", |pending| pending.is_none())],
        live,
        |world, seed| die(world, seed, &mut Figures::default()),
    );
    for (name, life) in found {
        let life = life.unwrap_or_else(|| panic!("no crash state shows that the sync of {name} is missing"));
        println!("decision files without the sync of {name}: red in life {life}");
    }
}
