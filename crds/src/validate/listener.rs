//! Where requests come in.

use std::net::IpAddr;

use super::the_one;
use crate::api::{self, SelfSigned};
use crate::bounds;
use crate::problem::{Place, Problems};
use crate::valid::{Listener, ListenerTls};

pub(super) fn listener<const PORT: u16>(
    listener: &api::Listener<PORT>,
    place: &Place,
    problems: &mut Problems,
) -> Option<Listener> {
    let max_body_size =
        problems.note(place.field("maxBodySize"), bounds::MAX_BODY_SIZE.check(&listener.max_body_size));
    let tls = tls(&listener.tls, &place.field("tls"), problems);
    Some(Listener { port: listener.port, max_body_size: max_body_size?, tls: tls? })
}

fn tls(tls: &api::Tls, place: &Place, problems: &mut Problems) -> Option<ListenerTls> {
    if let Some(SelfSigned { dns_names }) = &tls.self_signed {
        for (index, name) in dns_names.iter().enumerate() {
            if name.parse::<IpAddr>().is_ok() {
                let at = place.field("selfSigned").field("dnsNames").item(index);
                problems.add(at, api::NO_ADDRESS);
            }
        }
    }
    let self_signed = tls.self_signed.as_ref().map(|self_signed| ListenerTls::SelfSigned {
        dns_names: self_signed.dns_names.iter().map(ToString::to_string).collect(),
    });
    let secret = tls.secret_name.as_ref().map(|name| ListenerTls::Secret { name: name.to_string() });
    let none = tls.none.as_ref().map(|_| ListenerTls::None);
    the_one(api::TLS, [self_signed, secret, none], place, problems)
}
