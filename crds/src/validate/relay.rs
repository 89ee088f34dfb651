//! Validates a relay as a whole, and the rules between its parts.

use super::{check_schema, destination, identity, listener, pod, rule, source, spool};
use crate::api::{self, WebhookRelay};
use crate::bounds;
use crate::problem::{FieldPath, Problem, Problems};
use crate::spool_layout::SpoolLayout;
use crate::valid::{Destination, Heartbeat, Listener, SpoolKind, ValidatedRelay};

/// Maximum bytes of a spec as YAML with all defaults, which the pods read from a ConfigMap. That holds 1 MiB.
const MAX_MANIFEST: usize = 1_000_000;

/// Validates a relay.
///
/// # Errors
/// Every mistake.
pub fn relay(relay: &WebhookRelay) -> Result<ValidatedRelay, Vec<Problem>> {
    let spec = &relay.spec;
    let place = FieldPath::of("spec");
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
    let rules = rule::rules(&spec.rules, &spec.sources, &place.field("rules"), &mut problems);
    let destinations = destination::destinations(
        &spec.destinations,
        &rule::labels(&spec.rules),
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

    let bytes = serde_yaml::to_string(spec).map_or(0, |text| text.len());
    if bytes > MAX_MANIFEST {
        problems.add(place.clone(), format!("has {bytes} bytes, more than {MAX_MANIFEST}: a ConfigMap holds 1 MiB; shorten or share its rules"));
    }

    let deduplicates = spec.sources.iter().any(|source| source.deduplicate.is_some());
    if deduplicates && (spec.replicas > 1 || spec.autoscaling.is_some()) {
        problems.add(place.clone(), api::ONE_REPLICA);
    }

    let deletes_with_the_pod = spec.spool.ephemeral.is_some() && spec.spool.on_delete == api::OnDelete::Drain;
    if deletes_with_the_pod {
        problems.add(place.field("spool").field("onDelete"), api::NOTHING_TO_DRAIN);
    }
    let asks_for_certificates = |source: &api::Source| source.verify.client_certificate.is_some();
    if spec.http_route.is_some() && spec.sources.iter().any(asks_for_certificates) {
        problems.add(place.field("httpRoute"), api::NO_CERTIFICATE_BEHIND_A_GATEWAY);
    }
    if let Some((listener, spool)) = listener.as_ref().zip(spool.as_ref()) {
        rooms(spool.kind, listener.max_body_size, &destinations, &mut problems);
    }

    let warnings = [replaced_replicas(spec, &place), beaten_finals(&destinations, &place)].concat();
    let valid = listener.zip(spool).zip(rules).map(|((listener, spool), rules)| ValidatedRelay {
        identity,
        listener: Listener { client_ca, ..listener },
        trusted_proxies,
        spool,
        sources,
        rules,
        destinations,
        heartbeat,
        warnings,
    });
    problems.or(valid)
}

/// Checks that the spool is large enough. Without a given size, only the file system knows the size of an ephemeral
/// spool.
fn rooms(kind: SpoolKind, max_body_size: u64, destinations: &[Destination], problems: &mut Problems) {
    let place = FieldPath::of("spec").field("spool");
    let (size, place) = match kind {
        SpoolKind::Persistent { size } => (size, place.field("persistent").field("size")),
        SpoolKind::Ephemeral { size: Some(size) } => (size, place.field("ephemeral").field("size")),
        SpoolKind::Ephemeral { size: None } => return,
    };
    if SpoolLayout::of(size, max_body_size).is_none() {
        let least = SpoolLayout::min_mebibytes(max_body_size);
        problems
            .add(place, format!("must be at least {least}Mi for bodies as large as listener.maxBodySize"));
    }
    for (index, destination) in destinations.iter().enumerate() {
        if destination.backlog.is_some_and(|backlog| backlog > size) {
            let at = FieldPath::of("spec").field("destinations").item(index).field("backlog").field("size");
            problems.add(at, "must not be larger than the spool: it would never be reached");
        }
    }
}

/// Returns a warning for each status in both lists. An exception to a range is intended; a status in both lists may
/// not be.
fn beaten_finals(destinations: &[Destination], place: &FieldPath) -> Vec<Problem> {
    let place = place.field("destinations");
    let beaten = |destination: &Destination| {
        destination.final_statuses.0.iter().any(|range| destination.success.overlaps(range))
    };
    let each = destinations.iter().enumerate().filter(|(_, destination)| beaten(destination));
    let warning = |(index, _): (usize, &Destination)| Problem {
        place: place.item(index).field("final"),
        reason: "shares a status with success (200-299 where success is absent), which wins".to_owned(),
    };
    each.map(warning).collect()
}

fn replaced_replicas(spec: &api::WebhookRelaySpec, place: &FieldPath) -> Vec<Problem> {
    let Some(autoscaling) = &spec.autoscaling else { return Vec::new() };
    // 1 is the default, which nobody may have asked for, and 0 suspends the autoscaler.
    let is_wish = spec.replicas > 1;
    if !is_wish || (autoscaling.min_replicas..=autoscaling.max_replicas).contains(&spec.replicas) {
        return Vec::new();
    }
    // An autoscaler writes to it, and its bounds may change afterwards: so it is no mistake.
    let (least, most) = (autoscaling.min_replicas, autoscaling.max_replicas);
    let reason = format!("the autoscaler replaces {} by a number from {least} to {most}", spec.replicas);
    vec![Problem { place: place.field("replicas"), reason }]
}

fn heartbeat(
    heartbeat: &api::Heartbeat,
    destinations: &[api::Destination],
    place: &FieldPath,
    problems: &mut Problems,
) -> Option<Heartbeat> {
    for (index, name) in heartbeat.to.iter().enumerate() {
        if !destinations.iter().any(|destination| destination.name == *name) {
            let at = place.field("to").item(index);
            problems.add(at, format!("{:?} is not the name of a destination of this relay", name.0));
        }
    }
    let every = problems.note(place.field("every"), bounds::HEARTBEAT_EVERY.check(&heartbeat.every))?;
    Some(Heartbeat { every, to: heartbeat.to.iter().map(ToString::to_string).collect() })
}
