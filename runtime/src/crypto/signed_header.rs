//! Input and encoding of the HMAC of a [`SignedHeader`].

use data_encoding::{BASE64, Encoding, HEXLOWER};
use visnyk_crds::valid::{Part, SignatureEncoding, SignedHeader};

/// Returns the parts that are signed, in their order. `timestamp` is the text of the timestamp header.
pub fn payload<'a>(shape: &'a SignedHeader, timestamp: &'a [u8], body: &'a [u8]) -> Vec<&'a [u8]> {
    let parts = shape.payload.iter().map(|part| match part {
        Part::Text(text) => text.as_bytes(),
        Part::Timestamp => timestamp,
        Part::Body => body,
    });
    parts.collect()
}

/// Returns the encoding in which a signature is written.
pub fn notation(encoding: SignatureEncoding) -> Encoding {
    match encoding {
        SignatureEncoding::Hex => HEXLOWER,
        SignatureEncoding::Base64 => BASE64,
    }
}
