//! The load: `wrk` from Debian, as fast as answers come.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;

use crate::arena::SECRET;

/// Beginning of a body like those of the old system's senders.
const BODY: &str = r#"{"objectName":"some_objectName","policyName":" Packet Loss alert test","policyId":"877643hhh","alertState":"raised","processedTimestamp":"1693921799999","customer":"bmw","from_city":"bolinas","from_country":"us","from_edge":"c8500-clb5","from_link":"some_link","to_city":"bolinas","to_country":"us","to_edge":"aiu71x-clb","to_link":"inet_int","triggeredValue":"7.143","value":"4.0","padding":""#;
const BODY_END: &str = r#""}"#;
/// Every request is signed and has an id of its own, for every server: the load costs the same for all.
const SCRIPT: &str = r#"
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["X-Sig"] = "SIGNATURE"
wrk.body = [[BODY]]

local threads, sent = 0, 0
local before, after

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init()
  wrk.headers["X-Id"] = "@"
  before, after = string.match(wrk.format(), "^(.*X%-Id: )@(.*)$")
end

function request()
  sent = sent + 1
  return before .. number .. "-" .. sent .. after
end
"#;

/// Answers to one load.
#[derive(Clone, Copy, Debug)]
pub struct Answers {
    /// Number of answers with 2xx.
    pub accepted: f64,
    /// Number of other answers.
    pub refused: f64,
    /// Length of the load.
    pub seconds: f64,
    /// 99th percentile of the latency, in milliseconds.
    pub p99: f64,
}

/// Returns a body of this many bytes, or of the shortest length that the usual fields have.
pub fn body(bytes: usize) -> String {
    let padding = bytes.saturating_sub(BODY.len() + BODY_END.len());
    format!("{BODY}{}{BODY_END}", "0123456789".repeat(padding / 10 + 1).split_at(padding).0)
}

/// Sends bodies of this size for some seconds.
pub fn run(
    folder: &Path,
    url: &str,
    connections: u32,
    seconds: u64,
    bytes: usize,
) -> anyhow::Result<Answers> {
    let script = folder.join("post.lua");
    fs::write(&script, self::script(&body(bytes)))?;
    let output = Command::new("wrk")
        .args(["--latency", "-t2", &format!("-c{connections}"), &format!("-d{seconds}s"), "-s"])
        .args([script.as_os_str(), url.as_ref()])
        .output()
        .context("run wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    parse(&text).with_context(|| format!("read what wrk says: {text}"))
}

fn script(body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = HEXLOWER.encode(hmac::sign(&key, body.as_bytes()).as_ref());
    SCRIPT.replace("SIGNATURE", &signature).replace("BODY", body)
}

fn parse(text: &str) -> Option<Answers> {
    let (before, after) = text.split_once(" requests in ")?;
    let requests: f64 = before.split_whitespace().next_back()?.parse().ok()?;
    let refused =
        text.split_once("Non-2xx or 3xx responses:").map_or(Some(0.0), |(_, count)| first(count))?;
    let seconds = after.split_once('s')?.0.parse().ok()?;
    Some(Answers { accepted: requests - refused, refused, seconds, p99: latency(text, "99%")? })
}

fn first(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

/// Parses a latency such as `99%   12.34ms`, in milliseconds.
fn latency(text: &str, percentile: &str) -> Option<f64> {
    // A standard deviation can look like a percentile, so only what stands below this title counts.
    let distribution = text.split_once("Latency Distribution")?.1;
    let shown = distribution.split_once(percentile)?.1.split_whitespace().next()?;
    let scale = |suffix: &str, factor: f64| Some(shown.strip_suffix(suffix)?.parse::<f64>().ok()? * factor);
    scale("us", 0.001).or_else(|| scale("ms", 1.0)).or_else(|| scale("s", 1000.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "Running 2s test @ https://127.8.4.3:9443/
  2 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     3.05ms    1.12ms  21.40ms   99.00%
  Latency Distribution
     50%    2.90ms
     99%    7.12ms
  41804 requests in 2.10s, 6.10MB read
  Non-2xx or 3xx responses: 4
Requests/sec:  19906.66
";

    #[test]
    fn output_of_wrk_is_read() {
        let answers = parse(OUTPUT).unwrap();

        assert_eq!(
            format!("{answers:?}"),
            "Answers { accepted: 41800.0, refused: 4.0, seconds: 2.1, p99: 7.12 }"
        );
    }

    #[test]
    fn bodies_have_the_size_that_was_asked_for_and_are_json() {
        for bytes in [480, 8 << 10, 256 << 10] {
            let body = body(bytes);

            assert_eq!(body.len(), bytes);
            assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok());
        }
    }
}
