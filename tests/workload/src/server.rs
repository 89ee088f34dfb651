//! The server: `/healthz` until `/break`, a file kept on a volume, a volume filled.

use std::fs::File;
use std::io::{Error, ErrorKind, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::http;

const KEPT: &str = "/data/kept";
const FILL: &str = "/data/fill";

/// Serves until the process is ended.
pub fn serve(address: &str) -> Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("listening on {address}");
    let healthy = AtomicBool::new(true);
    for stream in listener.incoming() {
        // A caller that goes away is no reason to stop.
        if let Err(error) = stream.and_then(|stream| answer(&stream, &healthy)) {
            eprintln!("{error}");
        }
    }
    Ok(())
}

fn answer(stream: &TcpStream, healthy: &AtomicBool) -> Result<()> {
    let (first, body) = http::receive(stream)?;
    let route: Vec<&str> = first.split(' ').take(2).collect();
    println!("{}", route.join(" "));
    let outcome = match route.as_slice() {
        ["GET", "/healthz"] if healthy.load(Ordering::Relaxed) => Ok("healthy".to_owned()),
        ["GET", "/healthz"] => Err(Error::other("ill, as asked")),
        ["POST", "/break"] => {
            healthy.store(false, Ordering::Relaxed);
            Ok("ill from now on".to_owned())
        }
        ["GET", "/kept"] => std::fs::read_to_string(KEPT),
        ["POST", "/kept"] => keep(&body).map(|()| "kept".to_owned()),
        ["POST", "/fill"] => fill().map(|bytes| bytes.to_string()),
        _ => Err(Error::other(format!("nothing at {}", route.join(" ")))),
    };
    let (status, text) = match outcome {
        Ok(text) => ("200 OK", text),
        Err(error) => ("500 Internal Server Error", error.to_string()),
    };
    write!(
        &mut &*stream,
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    )
}

fn keep(body: &str) -> Result<()> {
    let mut file = File::create(KEPT)?;
    file.write_all(body.as_bytes())?;
    file.sync_all()
}

/// Writes until the volume is full and says how many bytes it took.
fn fill() -> Result<usize> {
    let mut file = File::create(FILL)?;
    let block = vec![0x5a; 1 << 20];
    let mut written = 0;
    loop {
        match file.write(&block) {
            Ok(bytes) => written += bytes,
            Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(written),
            Err(error) => return Err(error),
        }
    }
}
