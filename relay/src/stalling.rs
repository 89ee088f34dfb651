//! `visnyk-relay-stall`, for tests: the relay, with loops that can be made to hang (`visnyk_engine::observe::stall`).

use std::process::ExitCode;

fn main() -> ExitCode {
    visnyk_relay::main()
}
