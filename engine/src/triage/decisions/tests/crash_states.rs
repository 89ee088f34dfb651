//! Every state that a power cut can leave decision files in: random lives, cut at every operation that changes the disk,
//! and once more while they are opened again.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::RngExt;

use super::*;
use crate::journal::sim::Lie;
use crate::test_effort::scaled;

/// Number of random outcomes of one cut.
const SUBSETS: u64 = 4;

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

fn die_everywhere(life: u64, pretending: Option<Lie>, figures: &mut Figures) {
    let whole = SimDisk::new();
    live(&whole, life, None);
    for at in 0..=whole.operations() {
        for subset in 0..SUBSETS {
            let disk = SimDisk::new();
            if let Some(lie) = pretending {
                disk.lie_about(lie);
            }
            die(live(&disk, life, Some(at)), at * SUBSETS + subset, figures);
        }
    }
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
        die_everywhere(figures.lives, None, &mut figures);
        figures.lives += 1;
    }
    println!("crash states of decision files: {figures:?}, 0 changed, every start succeeds");
}

/// Returns the life in which a power cut first does harm once these syncs only pretend.
fn first_harm(lie: Lie) -> Option<u64> {
    (0..60).find(|life| {
        let mut figures = Figures::default();
        catch_unwind(AssertUnwindSafe(|| die_everywhere(*life, Some(lie), &mut figures))).is_err()
    })
}

#[test]
fn without_one_kind_of_sync_a_crash_state_loses_a_decision() {
    let syncs: [(&str, Lie); 2] =
        [("entries", |pending| pending.is_some()), ("the folder", |pending| pending.is_none())];
    // They are to panic.
    std::panic::set_hook(Box::new(|_| ()));
    let found = syncs.map(|(name, lie)| (name, first_harm(lie)));
    let _ = std::panic::take_hook();
    for (name, life) in found {
        let life = life.unwrap_or_else(|| panic!("no crash state shows that the sync of {name} is missing"));
        println!("decision files without the sync of {name}: red in life {life}");
    }
}
