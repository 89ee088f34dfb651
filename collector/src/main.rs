//! Entry point of the binary `visnyk-collector`.

use std::process::ExitCode;

fn main() -> ExitCode {
    visnyk_collector::main()
}
