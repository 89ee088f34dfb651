//! Paths of the binaries under test: cargo puts them two folders above the running test.

use std::{env, path::PathBuf};

/// Returns the path of a binary of this workspace.
///
/// # Panics
/// If it has not been built. `cargo nextest run` builds it (see `.config/nextest.toml`); plain
/// `cargo test` does not.
pub fn binary(name: &str) -> PathBuf {
    let test = env::current_exe().expect("the running test has a path");
    let profile = test.ancestors().nth(2).expect("cargo runs tests from <target>/<profile>/deps");
    let binary = profile.join(name);
    assert!(
        binary.is_file(),
        "{} is missing; build it with: cargo build --workspace --bins",
        binary.display()
    );
    binary
}
