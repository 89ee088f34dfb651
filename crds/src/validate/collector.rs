//! A collector as a whole.

use super::{check_schema, identity, listener};
use crate::api::{self, Collector};
use crate::bounds;
use crate::problem::{Place, Problem, Problems};
use crate::valid::{Log, Rotate, ValidatedCollector};

/// Everything that is wrong with a collector, or proof that nothing is.
pub fn collector(collector: &Collector) -> Result<ValidatedCollector, Vec<Problem>> {
    let spec = &collector.spec;
    let place = Place::of("spec");
    let mut problems = Problems::default();
    check_schema::<Collector>(spec, &mut problems);

    let identity = identity(collector, spec, &mut problems);
    let listener = listener::listener(&spec.listener, &place.field("listener"), &mut problems);
    let log = log(&spec.log, &place.field("log"), &mut problems);

    problems.or(listener.map(|listener| ValidatedCollector { identity, listener, log }))
}

fn log(log: &api::Log, place: &Place, problems: &mut Problems) -> Log {
    let rotate = log.rotate.as_ref().and_then(|rotate| {
        let size =
            problems.note(place.field("rotate").field("size"), bounds::LOG_SIZE.check(&rotate.size))?;
        Some(Rotate { size, keep: rotate.keep.into() })
    });
    Log { path: log.path.to_string(), rotate }
}
