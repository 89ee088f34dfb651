//! URL-encoded forms and queries, byte for byte. Bytes that are not UTF-8 are kept.

use percent_encoding::percent_decode;

/// A name and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Names and values in their order, decoded one at a time: each costs many times its few bytes.
pub fn pairs(encoded: &[u8]) -> impl Iterator<Item = Pair> {
    encoded.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=');
        let (name, value) = equals.map_or((pair, &b""[..]), |at| (&pair[..at], &pair[at + 1..]));
        (decoded(name), decoded(value))
    })
}

fn decoded(encoded: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = encoded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_and_nothing_is_replaced() {
        let pair = |name: &[u8], value: &[u8]| (name.to_vec(), value.to_vec());
        assert_eq!(
            pairs(b"a=1&b=x+y%20%C3%A4&&c&d=%FF&=e&a=2=3").collect::<Vec<_>>(),
            [
                pair(b"a", b"1"),
                pair(b"b", "x y ä".as_bytes()),
                pair(b"c", b""),
                pair(b"d", b"\xff"),
                pair(b"", b"e"),
                pair(b"a", b"2=3"),
            ]
        );
        assert_eq!(pairs(b"").next(), None);
    }
}
