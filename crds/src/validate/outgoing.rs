//! Validates signature, trust, headers and statuses of deliveries.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use http::header::AUTHORIZATION;

use super::destination::parse_url;
use super::signed_header::signed_header;
use super::source::{secret_ref, secret_refs};
use super::{exactly_one, header_name};
use crate::api;
use crate::contract::paths;
use crate::problem::{FieldPath, Problems};
use crate::text;
use crate::valid::{
    Authorization, ClientCredentials, DestinationTls, Header, HeaderContent, SecretRef, Sign, Statuses,
    TemplatePart,
};

pub(super) fn sign(sign: &api::Sign, place: &FieldPath, problems: &mut Problems) -> Option<Sign> {
    let api::Sign { hmac, standard_webhooks } = sign;
    let hmac = hmac.as_ref().map(|hmac| self::hmac(hmac, &place.field("hmac"), problems));
    let standard = standard_webhooks.as_ref().map(|standard| {
        let secrets = secret_refs(&standard.secret_refs);
        Some(Sign::StandardWebhooks { secrets })
    });
    exactly_one(api::SIGN_WAYS, [hmac, standard], place, problems).flatten()
}

/// Returns the signature; `None` where the list of secrets is empty, which the schema has reported.
fn hmac(hmac: &api::SignHmac, place: &FieldPath, problems: &mut Problems) -> Option<Sign> {
    let signature = signed_header(&hmac.signature, place, problems);
    Some(Sign::Hmac { secret: secret_ref(hmac.secret_refs.first()?), signature })
}

pub(super) fn authorization(
    authorization: &api::Authorization,
    place: &FieldPath,
    problems: &mut Problems,
) -> Option<Authorization> {
    let api::Authorization { basic, bearer, oauth2_client_credentials } = authorization;
    let basic = basic.as_ref().map(|basic| {
        Some(Authorization::Basic {
            username: secret_ref(&basic.username_ref),
            password: secret_ref(&basic.password_ref),
        })
    });
    let bearer =
        bearer.as_ref().map(|bearer| Some(Authorization::Bearer { token: secret_ref(&bearer.secret_ref) }));
    let client = oauth2_client_credentials
        .as_ref()
        .map(|client| client_credentials(client, &place.field("oauth2ClientCredentials"), problems));
    exactly_one(api::AUTHORIZATION_WAYS, [basic, bearer, client], place, problems).flatten()
}

fn client_credentials(
    client: &api::ClientCredentials,
    place: &FieldPath,
    problems: &mut Problems,
) -> Option<Authorization> {
    let token_url = problems.note(place.field("tokenUrl"), parse_url(&client.token_url))?;
    let scopes: Vec<&str> = client.scopes.iter().map(|scope| &scope[..]).collect();
    Some(Authorization::ClientCredentials(ClientCredentials {
        token_url,
        client_id: secret_ref(&client.client_id_ref),
        client_secret: secret_ref(&client.client_secret_ref),
        scope: scopes.join(" "),
        audience: client.audience.as_ref().map(ToString::to_string),
        authorities: client.ca_ref.as_ref().map(secret_ref),
    }))
}

pub(super) fn tls(tls: &api::DestinationTls) -> DestinationTls {
    let key = |certificate: &api::CertificateRef, key: &str| SecretRef {
        name: certificate.name.to_string(),
        key: key.to_owned(),
    };
    let certificate = tls.client_certificate_ref.as_ref();
    DestinationTls {
        authorities: tls.ca_ref.as_ref().map(secret_ref),
        // What is not of this form is reported by the schema.
        pins: tls.pin_sha256.iter().filter_map(|pin| sha256(pin)).collect(),
        identity: certificate.map(|one| [key(one, paths::CERTIFICATE), key(one, paths::KEY)]),
        server_name: tls.server_name.as_ref().map(ToString::to_string),
    }
}

fn sha256(base64: &str) -> Option<[u8; 32]> {
    data_encoding::BASE64.decode(base64.as_bytes()).ok()?.try_into().ok()
}

pub(super) fn headers(
    headers: &[api::Header],
    sign: Option<&Sign>,
    authorization: Option<&Authorization>,
    place: &FieldPath,
    problems: &mut Problems,
) -> Vec<Header> {
    let mut taken = HashSet::new();
    if let Some(Sign::Hmac { signature, .. }) = sign {
        taken.insert(signature.header.clone());
        taken.extend(signature.timestamp_header.clone());
    }
    if authorization.is_some() {
        taken.insert(AUTHORIZATION);
    }
    let mut valid = Vec::with_capacity(headers.len());
    for (index, header) in headers.iter().enumerate() {
        let place = place.item(index);
        let name = header_name(&header.name);
        if api::RESERVED.contains(&name.as_str()) {
            problems.add(place.field("name"), api::IS_RESERVED);
        } else if !taken.insert(name.clone()) {
            problems.add(place.field("name"), format!("{name} is set already"));
        }
        let secret = header.secret_ref.as_ref().map(|secret| HeaderContent::Secret(secret_ref(secret)));
        let template = header.value.as_ref().map(|value| HeaderContent::Template(template(value)));
        if let Some(value) = exactly_one(api::CONTENTS, [secret, template], &place, problems) {
            valid.push(Header { name, value });
        }
    }
    valid
}

/// Returns the parts of a text in the form of [`text::HeaderTemplate`].
fn template(template: &str) -> Vec<TemplatePart> {
    let parts = super::template::parts(template).into_iter();
    let parts = parts.map(|part| match part {
        super::template::Part::Text(text) => TemplatePart::Text(text.to_owned()),
        super::template::Part::Name("id") => TemplatePart::Id,
        super::template::Part::Name("source") => TemplatePart::Source,
        super::template::Part::Name("type") => TemplatePart::Type,
        super::template::Part::Name("received") => TemplatePart::Received,
        super::template::Part::Name(other) => TemplatePart::Text(format!("{{{other}}}")), // refused by the schema
    });
    parts.collect()
}

/// Returns these statuses; `absent` where there are none.
pub(super) fn statuses(
    statuses: &[text::Statuses],
    absent: &[RangeInclusive<u16>],
    place: &FieldPath,
    problems: &mut Problems,
) -> Statuses {
    if statuses.is_empty() {
        return Statuses(absent.to_vec());
    }
    let mut ranges = Vec::with_capacity(statuses.len());
    for (index, status) in statuses.iter().enumerate() {
        match range(status) {
            Some(range) if range.is_empty() => problems.add(place.item(index), api::BACKWARDS),
            Some(range) => ranges.push(range),
            None => {} // reported by the schema
        }
    }
    Statuses(ranges)
}

/// Reads a status or a range of them.
fn range(status: &text::Statuses) -> Option<RangeInclusive<u16>> {
    let (first, last) = status.split_once('-').unwrap_or((status, status));
    Some(first.parse().ok()?..=last.parse().ok()?)
}
