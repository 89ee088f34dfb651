//! A relay as a whole: what its parts say of each other.

use super::{check_schema, destination, identity, listener, pod, source, spool};
use crate::api::{self, WebhookRelay};
use crate::bounds;
use crate::problem::{Place, Problem, Problems};
use crate::valid::{Heartbeat, Listener, ValidatedRelay};

/// Everything that is wrong with a relay, or proof that nothing is.
pub fn relay(relay: &WebhookRelay) -> Result<ValidatedRelay, Vec<Problem>> {
    let spec = &relay.spec;
    let place = Place::of("spec");
    let mut problems = Problems::default();
    check_schema::<WebhookRelay>(spec, &mut problems);

    let identity = identity(relay, spec, &mut problems);
    let certificate = format!("{}-relay-certificate", identity.name);
    let (of_listener, tls) = (place.field("listener"), &spec.listener.tls);
    let listener = listener::listener(&spec.listener.listener, tls, certificate, &of_listener, &mut problems);
    let client_ca = listener::client_ca(tls, &of_listener.field("tls").field("clientCa"), &mut problems);
    let trusted_proxies =
        source::ranges(&spec.listener.trusted_proxies, &of_listener.field("trustedProxies"), &mut problems);
    let spool = spool::spool(&spec.spool, &place.field("spool"), &mut problems);
    let sources = source::sources(&spec.sources, client_ca.as_ref(), &place.field("sources"), &mut problems);
    let destinations = destination::destinations(
        &spec.destinations,
        &identity.namespace,
        &place.field("destinations"),
        &mut problems,
    );
    let heartbeat = spec.heartbeat.as_ref().and_then(|heartbeat| {
        self::heartbeat(heartbeat, &spec.destinations, &place.field("heartbeat"), &mut problems)
    });

    pod::service(&spec.service, &place.field("service"), &mut problems);
    pod::pod(&spec.pod, &place.field("pod"), &mut problems);
    pod::ingress(spec.ingress.as_ref(), &place.field("ingress"), &mut problems);
    pod::monitoring(spec.monitoring.as_ref(), &place.field("monitoring"), &mut problems);
    if spec.autoscaling.as_ref().is_some_and(|bounds| bounds.max_replicas < bounds.min_replicas) {
        problems.add(place.field("autoscaling"), api::AT_LEAST_MIN);
    }

    let deduplicates = spec.sources.iter().any(|source| source.deduplicate.is_some());
    if deduplicates && (spec.replicas > 1 || spec.autoscaling.is_some()) {
        problems.add(place.clone(), api::ONE_REPLICA);
    }

    let valid = listener.zip(spool).map(|(listener, spool)| ValidatedRelay {
        identity,
        listener: Listener { client_ca, ..listener },
        trusted_proxies,
        spool,
        sources,
        destinations,
        heartbeat,
    });
    problems.or(valid)
}

fn heartbeat(
    heartbeat: &api::Heartbeat,
    destinations: &[api::Destination],
    place: &Place,
    problems: &mut Problems,
) -> Option<Heartbeat> {
    for (index, name) in heartbeat.to.iter().enumerate() {
        if !destinations.iter().any(|destination| destination.name == *name) {
            let at = place.field("to").item(index);
            problems.add(at, format!("{:?} is no destination of this relay", name.0));
        }
    }
    let every = problems.note(place.field("every"), bounds::HEARTBEAT_EVERY.check(&heartbeat.every))?;
    Some(Heartbeat { every, to: heartbeat.to.iter().map(ToString::to_string).collect() })
}
