//! Validates a collector as a whole.

use super::{check_schema, identity, listener, pod, spool};
use crate::api::{self, Collector};
use crate::bounds;
use crate::problem::{FieldPath, Problem, Problems};
use crate::text::Quantity;
use crate::valid::{Access, Log, Rotate, ValidatedCollector};

/// Validates a collector.
///
/// # Errors
/// Every mistake.
pub fn collector(collector: &Collector) -> Result<ValidatedCollector, Vec<Problem>> {
    let spec = &collector.spec;
    let place = FieldPath::of("spec");
    let mut problems = Problems::default();
    check_schema::<Collector>(spec, &mut problems);

    let identity = identity(collector, spec, &mut problems);
    let certificate = format!("{}-collector-certificate", identity.name);
    let (listener, tls) = (&spec.listener, &spec.listener.tls);
    let listener = listener::listener(listener, tls, certificate, &place.field("listener"), &mut problems);
    spool::storage(&spec.storage, &place.field("storage"), &mut problems);
    let log = log(&spec.log, &place.field("log"), &mut problems);
    let access = access(&spec.access);
    if spec.listener.tls.none.is_some() && !access.anonymous {
        problems.add(place.field("access"), api::NOBODY);
    }
    if (spec.ingress.is_some() || spec.http_route.is_some()) && !access.anonymous {
        problems.add(place.field("access"), api::BEHIND_A_PROXY);
    }
    pod::service(&spec.service, &place.field("service"), &mut problems);
    pod::ingress(spec.ingress.as_ref(), &place.field("ingress"), &mut problems);
    pod::pod(&spec.pod, &place.field("pod"), &mut problems);
    pod::monitoring(spec.monitoring.as_ref(), &place.field("monitoring"), &mut problems);

    let warnings = warnings(&spec.storage, &log, &place);
    problems.or(listener.map(|listener| ValidatedCollector { identity, listener, log, access, warnings }))
}

/// Returns a warning if the volume is full before the log is rotated for the last time: lines are refused from then
/// on. It is not a mistake, because outside a cluster no volume of this size is claimed.
fn warnings(storage: &api::Storage, log: &Log, place: &FieldPath) -> Vec<Problem> {
    let persistent = storage.persistent.as_ref().map(|persistent| &persistent.size);
    let size = persistent.or(storage.ephemeral.as_ref().and_then(|ephemeral| ephemeral.size.as_ref()));
    let (Some(size), Some(rotate)) = (size.and_then(Quantity::bytes), log.rotate) else { return Vec::new() };
    let files = u64::from(rotate.keep) + 1;
    if rotate.size.saturating_mul(files) <= size {
        return Vec::new();
    }
    let reason = format!(
        "{files} files of {} bytes fill the {size} bytes of storage before the oldest is removed",
        rotate.size
    );
    vec![Problem { place: place.field("log").field("rotate"), reason }]
}

fn access(access: &api::Access) -> Access {
    Access {
        namespaces: access.namespaces.iter().map(ToString::to_string).collect(),
        anonymous: access.anonymous_ingest.is_some(),
    }
}

fn log(log: &api::Log, place: &FieldPath, problems: &mut Problems) -> Log {
    let rotate = log.rotate.as_ref().and_then(|rotate| {
        let size =
            problems.note(place.field("rotate").field("size"), bounds::LOG_SIZE.check(&rotate.size))?;
        Some(Rotate { size, keep: rotate.keep.into() })
    });
    Log { path: log.path.to_string(), rotate }
}
