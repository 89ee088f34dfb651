//! Random lists of everything that can happen to a journal, against a plain list of what it accepted.

use proptest::prelude::*;
use proptest::sample::Index;

use super::world::{SEGMENT, World, options};
use crate::journal::Reader;
use crate::journal::header::HEADER_BLOCK;
use crate::journal::sim::Operation;
use crate::test_effort::cases;
use std::collections::BTreeSet;
use std::io::ErrorKind;

#[derive(Clone, Debug)]
enum Action {
    Append(Vec<usize>),
    Kill,
    CutPower { seed: u64 },
    CutPowerDuring { batch: Vec<usize>, operations: u64, seed: u64 },
    Fail { operation: Operation, skip: u32, times: u32, kind: ErrorKind },
    Probe,
    Heal,
    SetCapacity { segments: u64 },
    Flip { place: Index, offset: Index, mask: u8 },
    Zero { segment: Index, offset: Index, sectors: usize },
    LoseHeaderCopy { segment: Index, copy: usize },
    Free(Index),
    StateCommits(Index),
    Tidy,
    NewReader(Index),
    Read { reader: Index, entries: usize },
    Check,
}

fn lens() -> impl Strategy<Value = Vec<usize>> {
    let longest = options().max_record();
    let len = prop_oneof![
        8 => 16..300_usize,
        2 => 300..3_000_usize,
        1 => (longest - 40)..=longest,
    ];
    prop::collection::vec(len, 1..6)
}

fn fault() -> impl Strategy<Value = Action> {
    let operation = prop::sample::select(vec![
        Operation::Write,
        Operation::Write,
        Operation::Sync,
        Operation::Sync,
        Operation::Create,
        Operation::Remove,
        Operation::SyncDir,
        Operation::Open,
    ]);
    let kind = prop::sample::select(vec![ErrorKind::Other, ErrorKind::StorageFull]);
    (operation, 0..3_u32, 1..4_u32, kind).prop_map(|(operation, skip, times, kind)| Action::Fail {
        operation,
        skip,
        times,
        kind,
    })
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        12 => lens().prop_map(Action::Append),
        1 => Just(Action::Kill),
        1 => any::<u64>().prop_map(|seed| Action::CutPower { seed }),
        2 => (lens(), 0..9_u64, any::<u64>())
            .prop_map(|(batch, operations, seed)| Action::CutPowerDuring { batch, operations, seed }),
        3 => fault(),
        1 => Just(Action::Probe),
        1 => Just(Action::Heal),
        1 => (0..14_u64).prop_map(|segments| Action::SetCapacity { segments }),
        1 => (any::<Index>(), any::<Index>(), 1..=255_u8)
            .prop_map(|(place, offset, mask)| Action::Flip { place, offset, mask }),
        1 => (any::<Index>(), any::<Index>(), 1..9_usize)
            .prop_map(|(segment, offset, sectors)| Action::Zero { segment, offset, sectors }),
        1 => (any::<Index>(), 0..2_usize)
            .prop_map(|(segment, copy)| Action::LoseHeaderCopy { segment, copy }),
        2 => any::<Index>().prop_map(Action::Free),
        1 => any::<Index>().prop_map(Action::StateCommits),
        1 => Just(Action::Tidy),
        1 => any::<Index>().prop_map(Action::NewReader),
        4 => (any::<Index>(), 1..20_usize)
            .prop_map(|(reader, entries)| Action::Read { reader, entries }),
        1 => Just(Action::Check),
    ]
}

#[derive(Default)]
struct Run {
    readers: Vec<Reader>,
    headers_hit: BTreeSet<u64>,
}

impl Run {
    #[allow(clippy::too_many_lines)] // one arm per action reads best in one place
    fn apply(&mut self, world: &mut World, action: Action) {
        let watermark = world.log.view().watermark();
        let live = world.freed..watermark + 1;
        let pick =
            |index: Index| live.start + index.index(usize::try_from(live.end - live.start).unwrap()) as u64;
        match action {
            Action::Append(lens) => {
                world.append(&lens);
            }
            Action::Kill => {
                world.kill();
                self.readers.clear();
            }
            Action::CutPower { seed } => {
                world.cut_power(seed);
                self.readers.clear();
            }
            Action::CutPowerDuring { batch, operations, seed } => {
                world.disk.power_off_after(operations);
                world.append(&batch);
                world.cut_power(seed);
                self.readers.clear();
            }
            Action::Fail { operation, skip, times, kind } => world.disk.fail(operation, skip, times, kind),
            Action::Probe => world.log.probe(),
            Action::Heal => world.disk.heal(),
            Action::SetCapacity { segments } => world.disk.set_capacity(Some(segments * SEGMENT)),
            Action::Flip { place, offset, mask } => {
                let seq = pick(place);
                if let Some(bytes) = world.accepted.get(&seq).filter(|_| seq > world.freed)
                    && !world.damaged.contains(&seq)
                {
                    let offset = offset.index(32 + bytes.len());
                    let (file, frame) = world.frame_of(seq);
                    world.damage(&file, |content| content[frame + offset] ^= mask);
                }
            }
            Action::Zero { segment, offset, sectors } => {
                let segments: Vec<_> = world.segments().into_values().collect();
                if !segments.is_empty() {
                    let file = &segments[segment.index(segments.len())];
                    let data = 2 * HEADER_BLOCK / 512..usize::try_from(SEGMENT).unwrap() / 512;
                    let start = data.start + offset.index(data.len());
                    let end = (start + sectors).min(data.end);
                    world.damage(file, |content| content[start * 512..end * 512].fill(0));
                }
            }
            Action::LoseHeaderCopy { segment, copy } => {
                let segments: Vec<_> = world.segments().into_iter().collect();
                if !segments.is_empty() {
                    let (number, file) = &segments[segment.index(segments.len())];
                    if self.headers_hit.insert(*number) {
                        let block = copy * HEADER_BLOCK..(copy + 1) * HEADER_BLOCK;
                        world.damage(file, |content| content[block].fill(0));
                    }
                }
            }
            Action::Free(index) => {
                world.free(pick(index));
                let freed = world.freed;
                self.readers.retain(|reader| reader.position().after >= freed);
            }
            Action::StateCommits(index) => world.state_max = world.state_max.max(pick(index)),
            Action::Tidy => world.log.view().tidy(),
            Action::NewReader(index) => self.readers.push(world.log.view().reader(pick(index))),
            Action::Read { reader, entries } => {
                world.disk.heal();
                if !self.readers.is_empty() {
                    let count = self.readers.len();
                    let reader = &mut self.readers[reader.index(count)];
                    for _ in 0..entries {
                        if !world.read_one(reader, true) {
                            break;
                        }
                    }
                }
            }
            Action::Check => {
                world.disk.heal();
                world.check();
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn every_accepted_record_is_read_once_or_counted_damaged(
        actions in prop::collection::vec(action(), 1..60),
    ) {
        let mut world = World::new();
        let mut run = Run::default();
        for action in actions {
            run.apply(&mut world, action);
        }
        world.check_alive();
        world.kill();
    }
}
