//! Files that lie beside the segments count against the journal's size, and the segments make room for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::world::{SEGMENT, World, options};
use crate::journal::WriteState;

fn beside(world: &World) -> Arc<AtomicU64> {
    let bytes = Arc::new(AtomicU64::new(0));
    world.log.view().count_beside(Arc::clone(&bytes));
    bytes
}

fn fill(world: &mut World) -> usize {
    while world.append(&[1_000; 8]) == 8 {}
    assert_eq!(*world.log.write_state(), WriteState::Full);
    world.segments().len()
}

#[test]
fn files_beside_the_segments_leave_room_for_fewer() {
    let mut world = World::new();
    beside(&world).store(4 * SEGMENT, Ordering::Relaxed);
    assert_eq!(fill(&mut world) as u64, options().max_size / SEGMENT - 4);
}

#[test]
fn freed_segments_go_while_the_files_beside_them_need_their_room() {
    let mut world = World::new();
    let bytes = beside(&world);
    let before = fill(&mut world);
    bytes.store(3 * SEGMENT, Ordering::Relaxed);
    let watermark = world.log.view().watermark();
    world.free(watermark);
    world.log.view().tidy();
    assert_eq!(world.append(&[1_000]), 1);
    assert_eq!(fill(&mut world), before - 3);
}
