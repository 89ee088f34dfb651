use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

#[test]
fn every_text_is_written_as_python_writes_it() {
    let golden = include_str!("golden.jsonl");
    assert!(golden.lines().count() > 600);
    for line in golden.lines() {
        let (text, written): (String, Option<String>) = serde_json::from_str(line).unwrap();
        assert_eq!(reserialize(text.as_bytes()), written, "{text}");
    }
}

#[test]
fn only_utf8_is_json() {
    assert_eq!(reserialize(b"\"\xff\""), None);
    assert_eq!(reserialize(b"\xff\xfe1\0"), None);
}

#[test]
fn integers_longer_than_python_reads_stay() {
    let digits = "7".repeat(100_000);
    assert_eq!(reserialize(digits.as_bytes()), Some(digits));
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| reserialize(["[".repeat(depth), "]".repeat(depth)].concat().as_bytes());
    assert!(nested(DEEPEST).is_some());
    assert_eq!(nested(DEEPEST + 1), None);
    assert_eq!(nested(1_000_000), None);
}

/// A generous bound that a quadratic reader would miss by orders of magnitude.
#[test]
fn hostile_texts_of_a_mebibyte_take_no_time() {
    let mebibyte = |unit: &str| unit.repeat((1 << 20) / unit.len());
    let keys: String =
        (0..60_000).flat_map(|key| ["\"".to_owned(), key.to_string(), "\":0,".to_owned()]).collect();
    let same = mebibyte("\"a\":[0],");
    let deep = ["[".repeat(500), mebibyte("[],") + "0", "]".repeat(500)].concat();
    for text in [
        mebibyte("["),
        mebibyte("{\"\":"),
        mebibyte("\\u"),
        format!("[{}0]", mebibyte("{},")),
        format!("{{{keys}\"\":0}}"),
        format!("{{{same}\"\":0}}"),
        deep,
        format!("\"{}\"", mebibyte("\\ud800")),
        format!("\"{}\"", mebibyte("ї")),
        format!("0.{}", mebibyte("1")),
        format!("1e{}", mebibyte("1")),
        format!("[{}0]", mebibyte("1e400,")),
    ] {
        let begun = Instant::now();
        let _ = reserialize(text.as_bytes());
        assert!(begun.elapsed() < Duration::from_secs(5), "{:.40} took {:?}", text, begun.elapsed());
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
        let _ = reserialize(&bytes);
    }

    #[test]
    fn no_near_json_makes_it_panic_or_write_outside_ascii(text in r#"[\[\]{}:,"\\u0-9a-fA-F.eE+\-nulltrї😀 ]{0,64}"#) {
        if let Some(written) = reserialize(text.as_bytes()) {
            prop_assert!(written.is_ascii());
            prop_assert_eq!(reserialize(written.as_bytes()), Some(written));
        }
    }
}
