//! Bodies of events that are computed from a number, so that neither a sender nor a sink keeps them to see that none
//! was changed.

use bytes::Bytes;

/// Lengths of bodies, so that batches end anywhere and segments are soon full.
const LENGTHS: [usize; 4] = [60, 900, 9_000, 180_000];

/// Returns the body of an event of which there are to be very many.
pub fn small_body(number: u64) -> Bytes {
    format!("{{\"number\": {number}, \"padding\": \"\"}}").into()
}

/// Returns the body of an event.
pub fn body(number: u64) -> Bytes {
    let length = LENGTHS[usize::try_from(number.wrapping_mul(0x9e37_79b9) >> 7).unwrap() % LENGTHS.len()];
    let padding = format!("{number:x}.").repeat(length / 4);
    format!("{{\"number\": {number}, \"padding\": \"{padding}\"}}").into()
}

/// Returns the number of an event whose body is whole.
pub fn number(received: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(received).ok()?.strip_prefix("{\"number\": ")?;
    let number = text.split_once(',')?.0.parse().ok()?;
    (small_body(number) == received || body(number) == received).then_some(number)
}
