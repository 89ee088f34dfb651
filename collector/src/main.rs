//! `visnyk-collector`.

use std::process::ExitCode;

fn main() -> ExitCode {
    visnyk_collector::main()
}
