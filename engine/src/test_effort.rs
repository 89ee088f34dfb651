//! The amount of work of tests: a short form for each run, and the long one of `make soak`.

use proptest::prelude::ProptestConfig;

/// Returns `short`, or `long` in the long form.
pub(crate) fn scaled(short: u64, long: u64) -> u64 {
    if std::env::var_os("VISNYK_SOAK").is_some() { long } else { short }
}

/// Returns the number of histories for a model test; `PROPTEST_CASES` sets another one.
pub(crate) fn cases(short: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").map_or(short, |cases| cases.parse().unwrap());
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}
