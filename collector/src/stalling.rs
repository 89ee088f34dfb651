//! `visnyk-collector-stall`, for tests: the collector, with loops that can be made to hang (`visnyk_engine::observe::stall`).

use std::process::ExitCode;

fn main() -> ExitCode {
    visnyk_collector::main()
}
