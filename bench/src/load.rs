//! One load after another: `wrk` from Debian against each subject in turn, round by round, so that a machine
//! that changes its speed changes it for all.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context;
use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use procfs::process::Process;

use crate::subjects::{HOST, SECRET, Subject, Subjects};

/// Settings of a measurement of load.
pub struct Plan {
    pub seconds: u64,
    pub rounds: usize,
    pub connections: Vec<u32>,
}

/// Result of one measurement.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Answers with 2xx per second.
    pub accepted: f64,
    /// 99th percentile of the answers' times, in milliseconds.
    pub p99: f64,
    /// Answers other than 2xx.
    pub refused: u64,
    /// Events per second that the slowest destination took, until all of them had all.
    pub delivered: Option<f64>,
    /// Microseconds of the subject's processor time per accepted event.
    pub cpu: f64,
    /// Resident memory after the load, in MiB.
    pub memory: f64,
}

/// Samples by connections and subject.
pub type Measured = BTreeMap<(u32, Subject), Vec<Sample>>;

/// A body like those of the old system's senders: about 480 bytes.
pub const BODY: &str = r#"{"objectName":"some_objectName","policyName":" Packet Loss alert test","policyId":"877643hhh","alertState":"raised","processedTimestamp":"1693921799999","customer":"bmw","from_city":"bolinas","from_country":"us","from_edge":"c8500-clb5","from_link":"some_link","to_city":"bolinas","to_country":"us","to_edge":"aiu71x-clb","to_link":"inet_int","triggeredValue":"7.143","value":"4.0","padding":"0123456789012345678901234567890123456789"}"#;
/// Every request is signed and has an id of its own, whoever it is for: the load costs the same for all.
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
/// Time after which events that are still undelivered are not waited for.
const DRAIN: Duration = Duration::from_mins(1);

/// Measures every subject in every round.
pub fn measure(subjects: &Subjects, plan: &Plan) -> anyhow::Result<Measured> {
    fs::write(subjects.folder().join("post.lua"), script())?;
    let mut measured = Measured::new();
    for round in 1..=plan.rounds {
        for connections in &plan.connections {
            for subject in &subjects.list {
                let sample = sample(subjects, *subject, *connections, plan.seconds)?;
                eprintln!(
                    "round {round}, {connections} connections, {}: {:.0} accepted/s, p99 {:.1} ms, delivered {:?}",
                    subject.title(),
                    sample.accepted,
                    sample.p99,
                    sample.delivered.map(f64::round)
                );
                measured.entry((*connections, *subject)).or_default().push(sample);
            }
        }
    }
    Ok(measured)
}

fn script() -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = HEXLOWER.encode(hmac::sign(&key, BODY.as_bytes()).as_ref());
    SCRIPT.replace("SIGNATURE", &signature).replace("BODY", BODY)
}

fn sample(subjects: &Subjects, subject: Subject, connections: u32, seconds: u64) -> anyhow::Result<Sample> {
    let sinks = subjects.start_sinks()?;
    let running = subjects.start(subject)?;
    let began = Instant::now();
    let output = Command::new("wrk")
        .args(["--latency", "-t2", &format!("-c{connections}"), &format!("-d{seconds}s"), "-s"])
        .arg(subjects.folder().join("post.lua"))
        .arg(subject.url())
        .output()
        .context("run wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let requests = number(&text, " requests in").with_context(|| format!("wrk said: {text}"))?;
    let refused = field(&text, "Non-2xx or 3xx responses:").unwrap_or(0.0);
    let loaded = number(&text, " requests in").and(seconds_of(&text)).unwrap_or(f64::from(u32::MAX));
    let accepted = requests - refused;
    let delivered = delivered(subject, accepted, began)?;
    let sample = Sample {
        accepted: accepted / loaded,
        p99: latency(&text, "99%").context("wrk shows no p99")?,
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a count
        refused: refused as u64,
        delivered,
        cpu: cpu_seconds(running.pid())? * 1e6 / accepted.max(1.0),
        memory: Memory::of(running.pid())?.resident,
    };
    drop(sinks);
    Ok(sample)
}

/// Waits until every destination has had as many events as were accepted.
fn delivered(subject: Subject, accepted: f64, began: Instant) -> anyhow::Result<Option<f64>> {
    if subject.sinks().is_empty() {
        return Ok(None);
    }
    let load = Instant::now();
    loop {
        let counts = subject.sinks().iter().map(|port| count(*port)).collect::<anyhow::Result<Vec<f64>>>()?;
        let slowest = counts.into_iter().fold(f64::INFINITY, f64::min);
        if slowest >= accepted || load.elapsed() > DRAIN {
            return Ok(Some(slowest / began.elapsed().as_secs_f64()));
        }
        sleep(Duration::from_millis(5));
    }
}

fn count(port: u16) -> anyhow::Result<f64> {
    let mut stream = TcpStream::connect((HOST, port))?;
    write!(stream, "GET / HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    answer.rsplit("\r\n").next().context("empty answer")?.parse().context("a count")
}

/// Returns the number before a text.
fn number(text: &str, before: &str) -> Option<f64> {
    let (head, _) = text.split_once(before)?;
    head.split_whitespace().next_back()?.parse().ok()
}

fn field(text: &str, name: &str) -> Option<f64> {
    text.split_once(name)?.1.split_whitespace().next()?.parse().ok()
}

/// Parses the seconds of `... requests in 6.01s, ...`.
fn seconds_of(text: &str) -> Option<f64> {
    text.split_once(" requests in ")?.1.split_once('s')?.0.parse().ok()
}

/// Parses a latency such as `99%   12.34ms`, in milliseconds.
fn latency(text: &str, percentile: &str) -> Option<f64> {
    // A standard deviation can look like a percentile, so only what stands below this title counts.
    let distribution = text.split_once("Latency Distribution")?.1;
    let shown = distribution.split_once(percentile)?.1.split_whitespace().next()?;
    let scale = |suffix: &str, factor: f64| Some(shown.strip_suffix(suffix)?.parse::<f64>().ok()? * factor);
    scale("us", 0.001).or_else(|| scale("ms", 1.0)).or_else(|| scale("s", 1000.0))
}

fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = Process::new(pid.try_into()?)?.stat()?;
    #[expect(clippy::cast_precision_loss)] // ticks, a hundred a second
    let [used, per_second] = [stat.utime + stat.stime, procfs::ticks_per_second()].map(|ticks| ticks as f64);
    Ok(used / per_second)
}

/// Memory of a process, in MiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Resident memory at present.
    pub resident: f64,
    /// Highest resident memory so far.
    pub peak: f64,
}

impl Memory {
    /// Reads the memory of this process.
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let status = Process::new(pid.try_into()?)?.status()?;
        #[expect(clippy::cast_precision_loss)] // millions at most
        let mib = |kib: Option<u64>| Some(kib? as f64 / 1024.0);
        let [resident, peak] = [mib(status.vmrss), mib(status.vmhwm)];
        Ok(Self { resident: resident.context("no memory")?, peak: peak.context("no peak of memory")? })
    }
}
