//! As much of HTTP/1.1 as two ends of our own need: one request a connection.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Time by which the rules of a Service may be behind its pods: until they follow, the node refuses connections.
const RULES_FOLLOW: Duration = Duration::from_secs(10);

/// Sends one request, and returns the answer's status and body.
pub fn request(method: &str, authority: &str, path: &str, body: &str) -> Result<(u16, String)> {
    let mut stream = connect(authority)?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {authority}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let (first, answer) = receive(stream)?;
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
    status
        .map(|status| (status, answer))
        .ok_or_else(|| Error::other(format!("{authority} does not speak HTTP: {first}")))
}

/// Connects. Nothing was sent while the node refuses, so asking again is no second request.
fn connect(authority: &str) -> Result<TcpStream> {
    let began = Instant::now();
    loop {
        match TcpStream::connect(authority) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused && began.elapsed() < RULES_FOLLOW => {
                sleep(Duration::from_millis(50));
            }
            connected => return connected,
        }
    }
}

/// Reads the first line and the body of a request or an answer.
pub fn receive(stream: impl Read) -> Result<(String, String)> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(Error::other)?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((first.trim().to_owned(), String::from_utf8_lossy(&body).into_owned()))
}
