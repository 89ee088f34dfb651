//! Proofs come in a short form, for every run of the tests, and a long one, `make soak`. Both end with a line of figures.

use rand::{SeedableRng, rngs::StdRng};

/// Returns the size of a proof: the short or the long form.
pub fn test_effort(short: u64, long: u64) -> u64 {
    if is_long() { long } else { short }
}

/// Returns whether this is the long form.
pub fn is_long() -> bool {
    std::env::var_os("VISNYK_SOAK").is_some()
}

/// Returns the limit for this build: a release build, as the long form has, or a debug build beside other tests,
/// which is allowed more than is promised.
pub const fn by_build<T: Copy>(release: T, debug: T) -> T {
    if cfg!(debug_assertions) { debug } else { release }
}

/// Returns a random generator. `VISNYK_SEED`, which is printed, repeats its numbers.
pub fn seed() -> StdRng {
    let seed = std::env::var("VISNYK_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("VISNYK_SEED={seed}");
    StdRng::seed_from_u64(seed)
}

/// Prints the figures of a proof.
pub fn report(proof: &str, figures: &str) {
    println!("{proof}: {figures}");
}
