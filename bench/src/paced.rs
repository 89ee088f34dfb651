//! Latency below the peak: `vegeta` finds the most that it gets through, then sends half of that at even
//! distances. A late answer does not delay the next request, so that no wait goes unmeasured.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::arena::{self, Arena};
use crate::load::Plan;
use crate::subjects::Subject;
use crate::wrk;

/// As many requests under way at most.
const WORKERS: &str = "64";

/// One load at half of the peak.
#[derive(Clone, Copy, Debug)]
pub struct Paced {
    /// Answers with 2xx per second, sending as fast as they come.
    pub peak: f64,
    /// Milliseconds, at half of that.
    pub p50: f64,
    /// Milliseconds, at half of that.
    pub p99: f64,
    /// Share of answers with 2xx, at half of that.
    pub success: f64,
}

/// Measures each row in every round, and returns the samples of each.
pub fn measure(
    arena: &Arena,
    subjects: &[Subject],
    plan: Plan,
    vegeta: &Path,
) -> anyhow::Result<Vec<Vec<Paced>>> {
    let mut measured = vec![Vec::new(); subjects.len()];
    for round in 1..=plan.rounds {
        for (subject, samples) in subjects.iter().zip(&mut measured) {
            let paced = paced(arena, subject, plan.seconds, vegeta)?;
            eprintln!("round {round}, half of peak, {}: {paced:?}", subject.title);
            samples.push(paced);
        }
    }
    Ok(measured)
}

fn paced(arena: &Arena, subject: &Subject, seconds: u64, vegeta: &Path) -> anyhow::Result<Paced> {
    fs::write(arena.folder().join("body.json"), wrk::body(subject.body))?;
    let load = |rate: u64| {
        let _sinks = arena.start_sinks(subject)?;
        let _running = arena.start(subject)?;
        attack(arena.folder(), &arena::url(subject), rate, seconds, vegeta)
    };
    let peak = figure(&load(0)?, "/throughput")?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a rate
    let report = load((peak / 2.0) as u64)?;
    let millis = |pointer| Ok::<_, anyhow::Error>(figure(&report, pointer)? / 1e6);
    Ok(Paced {
        peak,
        p50: millis("/latencies/50th")?,
        p99: millis("/latencies/99th")?,
        success: figure(&report, "/success")?,
    })
}

/// Runs one load, and returns its report; a rate of 0 is as fast as answers come.
fn attack(folder: &Path, url: &str, rate: u64, seconds: u64, vegeta: &Path) -> anyhow::Result<Value> {
    let (targets, results) = (folder.join("targets"), folder.join("results"));
    let body = folder.join("body.json");
    fs::write(&targets, format!("POST {url}\nContent-Type: application/json\n@{}\n", body.display()))?;
    let attacked = Command::new(vegeta)
        .args(["attack", "-insecure", "-http2=false", "-max-workers", WORKERS, "-connections", WORKERS])
        .args(["-workers", WORKERS, "-rate", &rate.to_string(), "-duration", &format!("{seconds}s")])
        .arg("-targets")
        .arg(targets)
        .arg("-output")
        .arg(&results)
        .status()
        .context("run vegeta attack")?;
    ensure!(attacked.success(), "vegeta attack ended with {attacked}");
    let report = Command::new(vegeta).args(["report", "-type=json"]).arg(results).output()?;
    serde_json::from_slice(&report.stdout).context("read the report of vegeta")
}

fn figure(report: &Value, pointer: &str) -> anyhow::Result<f64> {
    report.pointer(pointer).and_then(Value::as_f64).with_context(|| format!("vegeta reports no {pointer}"))
}
