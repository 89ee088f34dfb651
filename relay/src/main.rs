//! Entry point of the binary `visnyk-relay`.

use std::process::ExitCode;

fn main() -> ExitCode {
    visnyk_relay::main()
}
