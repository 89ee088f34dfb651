//! Numbers with a fraction as Python writes them, for [`python_json`](super::python_json).

/// Formats a number as Python's `repr(float)` does: the shortest digits that read back as the same number, without
/// exponent from 1e-4 to below 1e16; infinities as Python's JSON names them.
pub(super) fn repr(float: f64) -> String {
    let sign = if float.is_sign_negative() { "-" } else { "" };
    if float.is_infinite() {
        return format!("{sign}Infinity");
    }
    let (digits, exponent) = shortest(float.abs());
    let (first, rest) = digits.split_at(1);
    match exponent {
        0..16 => {
            let whole = usize::try_from(exponent).unwrap_or_default() + 1;
            let digits = format!("{digits:0<whole$}");
            let (whole, fraction) = digits.split_at(whole);
            format!("{sign}{whole}.{}", if fraction.is_empty() { "0" } else { fraction })
        }
        -4..0 => {
            let zeros = "0".repeat(usize::try_from(-exponent).unwrap_or_default() - 1);
            format!("{sign}0.{zeros}{digits}")
        }
        _ => {
            let point = if rest.is_empty() { "" } else { "." };
            let exponent_sign = if exponent < 0 { '-' } else { '+' };
            format!("{sign}{first}{point}{rest}e{exponent_sign}{:02}", exponent.abs())
        }
    }
}

/// Returns the digits, without a point, and the decimal exponent of the first of them.
fn shortest(float: f64) -> (String, i32) {
    let shortest = format!("{float:e}");
    let (mut digits, mut exponent) = parts(&shortest);
    // Of two equally short and equally near texts Python takes the even one, Rust the upper one;
    // rounding to that many digits says which is even.
    let rounded = format!("{float:.*e}", digits.len() - 1);
    if rounded.parse() == Ok(float) {
        (digits, exponent) = parts(&rounded);
    }
    (digits, exponent)
}

fn parts(scientific: &str) -> (String, i32) {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    (mantissa.replace('.', ""), exponent.parse().unwrap_or_default())
}
