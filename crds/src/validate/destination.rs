//! Validates destinations. Addresses are not judged here: the guard judges the address that is connected to.

use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use super::{exactly_one, outgoing, rule};
use crate::api;
use crate::bounds;
use crate::problem::{FieldPath, Problems};
use crate::text::{Cidr, HttpUrl};
use crate::valid::{Destination, Format, RateLimit, Retry, Target};

pub(super) fn destinations(
    destinations: &[api::Destination],
    labels: &[String],
    namespace: &str,
    place: &FieldPath,
    problems: &mut Problems,
) -> Vec<Destination> {
    let each = destinations.iter().enumerate();
    each.filter_map(|(index, one)| destination(one, labels, namespace, &place.item(index), problems))
        .collect()
}

fn destination(
    destination: &api::Destination,
    labels: &[String],
    namespace: &str,
    place: &FieldPath,
    problems: &mut Problems,
) -> Option<Destination> {
    let target = target(destination, namespace, place, problems);
    let selector = rule::selector(destination, labels, place, problems);
    let retry = retry(&destination.retry, &place.field("retry"), problems);
    let timeout = problems.note(place.field("timeout"), bounds::TIMEOUT.check(&destination.timeout));
    let rate_limit = destination.rate_limit.as_ref().and_then(|limit| {
        let at = place.field("rateLimit").field("per");
        let per = problems.note(at, bounds::RATE_PER.check(&limit.per))?;
        Some(RateLimit { events: limit.events, per })
    });
    let allow = destination.network.as_ref().map(|network| {
        let at = place.field("network").field("allow");
        ranges(&network.allow, &at, problems)
    });
    let backlog = destination.backlog.as_ref().and_then(|backlog| {
        let api::Overflow::Drop = backlog.then;
        problems.note(place.field("backlog").field("size"), bounds::BACKLOG_SIZE.check(&backlog.size))
    });
    let sign = destination.sign.as_ref();
    let sign = sign.and_then(|sign| outgoing::sign(sign, &place.field("sign"), problems));
    let authorization = destination.authorization.as_ref().and_then(|authorization| {
        outgoing::authorization(authorization, &place.field("authorization"), problems)
    });
    let headers = outgoing::headers(
        &destination.headers,
        sign.as_ref(),
        authorization.as_ref(),
        &place.field("headers"),
        problems,
    );
    let success = &[200..=299];
    let success = outgoing::statuses(&destination.success, success, &place.field("success"), problems);
    let final_statuses = &destination.final_statuses;
    let final_statuses = outgoing::statuses(final_statuses, &[], &place.field("final"), problems);
    let is_https = matches!(&target, Some(Target::Url(url)) if url.scheme() == "https");
    if destination.tls.is_some() && target.is_some() && !is_https {
        problems.add(place.clone(), api::NO_TLS_HERE);
    }
    Some(Destination {
        name: destination.name.to_string(),
        target: target?,
        selector: selector?,
        format: format(destination, place, problems),
        method: destination.method,
        headers,
        sign,
        authorization,
        tls: destination.tls.as_ref().map(outgoing::tls).unwrap_or_default(),
        success,
        final_statuses,
        retry,
        timeout: timeout?,
        concurrency: destination.concurrency.into(),
        rate_limit,
        allow: allow.unwrap_or_default(),
        backlog,
    })
}

fn format(destination: &api::Destination, place: &FieldPath, problems: &mut Problems) -> Format {
    let mode = destination.cloud_events.as_ref().map(|cloud_events| cloud_events.mode);
    if mode.is_some() && destination.format != api::Format::CloudEvents {
        problems.add(place.clone(), api::MODE_OF_OTHER);
    }
    match destination.format {
        api::Format::Original => Format::Original,
        api::Format::Line => Format::Line,
        api::Format::CloudEvents => Format::CloudEvents(mode.unwrap_or_default()),
    }
}

fn target(
    destination: &api::Destination,
    namespace: &str,
    place: &FieldPath,
    problems: &mut Problems,
) -> Option<Target> {
    let collector = destination.collector_ref.as_ref().map(|collector| {
        Some(Target::Collector {
            namespace: collector.namespace.as_deref().unwrap_or(namespace).to_owned(),
            name: collector.name.to_string(),
        })
    });
    let service = destination.service.as_ref().map(|service| {
        let namespace = service.namespace.as_deref().unwrap_or(namespace).to_owned();
        let name = service.name.to_string();
        let url = format!("http://{name}.{namespace}.svc:{}{}", service.port, service.path);
        let parsed = Url::parse(&url).map_err(|error| format!("does not form a URL: {error}"));
        Some(Target::Service { namespace, name, url: problems.note(place.field("service"), parsed)? })
    });
    let url = destination.url.as_ref().map(|text| {
        let url = problems.note(place.field("url"), parse_url(text))?;
        Some(Target::Url(url))
    });
    exactly_one(api::TARGETS, [collector, service, url], place, problems).flatten()
}

pub(super) fn parse_url(text: &HttpUrl) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("must begin with http:// or https://, not {}:", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user name or password".to_owned());
    }
    if url.fragment().is_some() {
        return Err("must not contain a fragment (#)".to_owned());
    }
    if !HttpUrl::FORMAT.fits(text) {
        return Err(HttpUrl::FORMAT.error_text.to_owned());
    }
    Ok(url)
}

fn retry(retry: &api::Retry, place: &FieldPath, problems: &mut Problems) -> Retry {
    let place = place.field("schedule");
    let waits = retry.schedule.iter().enumerate();
    let schedule: Vec<Duration> = waits
        .filter_map(|(index, wait)| problems.note(place.item(index), bounds::RETRY_WAIT.check(wait)))
        .collect();
    if schedule.first().is_some_and(|first| !first.is_zero()) {
        problems.add(place, api::FIRST_AT_ONCE);
    }
    Retry { schedule, jitter_percent: retry.jitter_percent }
}

fn ranges(allow: &[Cidr], place: &FieldPath, problems: &mut Problems) -> Vec<IpNet> {
    let ranges = allow.iter().enumerate().filter_map(|(index, range)| {
        let parsed = range.parse::<IpNet>().map_err(|_| Cidr::FORMAT.error_text);
        problems.note(place.item(index), parsed)
    });
    ranges.map(|range| range.trunc()).collect()
}
