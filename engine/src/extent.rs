//! How much the tests look at: a short form for every run of them, and the long one of `make soak`.

use proptest::prelude::ProptestConfig;

/// How much of something a test looks at.
pub(crate) fn extent(short: u64, long: u64) -> u64 {
    if std::env::var_os("VISNYK_SOAK").is_some() { long } else { short }
}

/// How many histories a model is led through; `PROPTEST_CASES` says another number.
pub(crate) fn cases(short: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").map_or(short, |cases| cases.parse().unwrap());
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}
