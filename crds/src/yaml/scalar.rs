//! Resolves scalars by the rules of `go.yaml.in/yaml/v2`, with which kubectl reads YAML: roughly those of YAML 1.1.

use std::sync::LazyLock;

use regex_lite::Regex;
use serde_json::{Number, Value};

/// Decimal floating-point numbers that Go accepts here.
static FLOAT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$").ok());

/// Reads a scalar that is neither quoted nor tagged.
///
/// # Errors
/// It is a number that JSON does not have.
pub(super) fn plain(text: &str) -> Result<Value, &'static str> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => true.into(),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => false.into(),
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf"
        | "-.Inf" | "-.INF" => return Err("is no number of JSON"),
        _ => number(text).unwrap_or_else(|| text.into()),
    })
}

fn number(text: &str) -> Option<Value> {
    if !text.starts_with(['.', '+', '-']) && !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let digits = text.replace('_', "");
    integer(&digits).or_else(|| float(&digits))
}

/// Reads an integer as Go writes it: with `0x`, `0o`, `0b` or `0` (octal) before its digits.
fn integer(text: &str) -> Option<Value> {
    let (is_negative, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, &lower[..]),
    };
    // A second sign is none of a number's.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = i128::from(u64::from_str_radix(digits, radix).ok()?);
    let value = if is_negative { -magnitude } else { magnitude };
    match i64::try_from(value) {
        Ok(value) => Some(value.into()),
        // Go has an unsigned integer then, which an API server reads as a floating-point number.
        Err(_) if !is_negative => u64::try_from(value).ok().and_then(|value| from_f64(float_of(value))),
        Err(_) => float(text),
    }
}

#[expect(clippy::cast_precision_loss, reason = "so does an API server")]
fn float_of(value: u64) -> f64 {
    value as f64
}

fn float(text: &str) -> Option<Value> {
    let is_float = FLOAT.as_ref().is_some_and(|form| form.is_match(text));
    if is_float { from_f64(text.parse().ok()?) } else { None }
}

/// Returns the number. A whole number is written without a fraction, and so read as an integer.
fn from_f64(value: f64) -> Option<Value> {
    /// Limit above which not every whole number is one of these.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        return format!("{value:.0}").parse::<i64>().ok().map(Value::from);
    }
    // None for what is too large to be one.
    Number::from_f64(value).map(Value::Number)
}
