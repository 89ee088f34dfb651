//! Text form of a certificate's subject: as RFC 4514 says, and where it leaves a choice as `openssl x509 -nameopt
//! RFC2253` does, so that one name is one text and can be compared as text.

use std::fmt::Write;

use data_encoding::HEXUPPER;
use x509_parser::{
    asn1_rs::ToDer,
    x509::{AttributeTypeAndValue, X509Name},
};

/// The short names of attributes; any other is written by its OID.
const NAMES: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.15", "businessCategory"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.41", "name"),
    ("2.5.4.42", "GN"),
    ("2.5.4.43", "initials"),
    ("2.5.4.46", "dnQualifier"),
    ("2.5.4.97", "organizationIdentifier"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
    ("1.3.6.1.4.1.311.60.2.1.1", "jurisdictionL"),
    ("1.3.6.1.4.1.311.60.2.1.2", "jurisdictionST"),
    ("1.3.6.1.4.1.311.60.2.1.3", "jurisdictionC"),
];

/// Writes the name, its most specific part first.
pub(super) fn written(name: &X509Name<'_>) -> String {
    let reversed = |mut parts: Vec<String>, between| {
        parts.reverse();
        parts.join(between)
    };
    let parts = name.iter().map(|part| reversed(part.iter().map(attribute).collect(), "+"));
    reversed(parts.collect(), ",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type().to_id_string();
    let known = NAMES.iter().find(|(known, _)| *known == oid);
    match (known, attribute.as_str()) {
        (Some((_, name)), Ok(text)) => format!("{name}={}", escaped(text)),
        (Some((_, name)), Err(_)) => format!("{name}=#{}", bytes(attribute)),
        (None, _) => format!("{oid}=#{}", bytes(attribute)),
    }
}

/// Returns the encoding of a value that is no text, or of an unknown kind.
fn bytes(attribute: &AttributeTypeAndValue<'_>) -> String {
    HEXUPPER.encode(&attribute.attr_value().to_der_vec().unwrap_or_default())
}

fn escaped(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let last = text.len().saturating_sub(1);
    for (at, byte) in text.bytes().enumerate() {
        let is_special = match byte {
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' => true,
            b'#' => at == 0,
            b' ' => at == 0 || at == last,
            _ => false,
        };
        if is_special {
            written.push('\\');
        }
        if byte.is_ascii_graphic() || byte == b' ' {
            written.push(char::from(byte));
        } else {
            let _ = write!(written, "\\{byte:02X}"); // a String takes everything
        }
    }
    written
}

#[cfg(test)]
mod tests;
