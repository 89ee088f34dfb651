//! Program that the cluster's own tests run in pods: a server that can be told to fail or to fill its disk, and a
//! client that calls it. It uses the standard library alone, so that its image is built in seconds and holds nothing
//! else.
//!
//!     visnyk-test-workload serve                       on port 8080, files in /data
//!     visnyk-test-workload call METHOD HOST:PORT PATH [BODY]

#![allow(clippy::disallowed_methods, reason = "tests connect to the servers that they started")]

mod http;
mod server;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args.as_slice() {
        ["serve"] => server::serve("0.0.0.0:8080"),
        ["call", method, authority, path] => call(method, authority, path, ""),
        ["call", method, authority, path, body] => call(method, authority, path, body),
        _ => Err(std::io::Error::other("say serve, or call METHOD HOST:PORT PATH [BODY]")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the answer's body; any status but 200 is an error.
fn call(method: &str, authority: &str, path: &str, body: &str) -> std::io::Result<()> {
    let (status, answer) = http::request(method, authority, path, body)?;
    if status != 200 {
        return Err(std::io::Error::other(format!("{authority}{path} answers {status}: {answer}")));
    }
    print!("{answer}");
    Ok(())
}
