//! Prints the table of the results.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::load::{Measured, Plan, Sample};
use crate::paced::Paced;
use crate::subjects::Subject;

/// Writes the measurement as Markdown: medians, each with its share of the bare server in the same run.
pub fn markdown(
    plan: &Plan,
    measured: &Measured,
    paced: &BTreeMap<Subject, Vec<Paced>>,
    syncs: f64,
) -> String {
    let mut page = format!(
        "Medians of {} interleaved rounds of {} s each; the disk alone: {syncs:.0} `fdatasync`s/s of 64 KiB.\n",
        plan.rounds, plan.seconds
    );
    for connections in &plan.connections {
        let of = |subject, figure: fn(&Sample) -> f64| {
            measured.get(&(*connections, subject)).map(|samples| median(samples.iter().map(figure)))
        };
        let bare = of(Subject::Bare, |sample| sample.accepted).unwrap_or(f64::NAN);
        let _ = write!(
            page,
            "\n### {connections} connections\n\n\
             | | accepted/s | of bare | p99 ms | delivered/s | CPU µs/event | memory MiB | refused |\n\
             |---|---|---|---|---|---|---|---|\n"
        );
        for ((_, subject), samples) in measured.iter().filter(|((at, _), _)| at == connections) {
            let value = |figure: fn(&Sample) -> f64| median(samples.iter().map(figure));
            let accepted = value(|sample| sample.accepted);
            let delivered = samples.iter().all(|sample| sample.delivered.is_some());
            let delivered = if delivered {
                format!("{:.0}", value(|sample| sample.delivered.unwrap_or(0.0)))
            } else {
                String::new()
            };
            let refused: u64 = samples.iter().map(|sample| sample.refused).sum();
            let _ = writeln!(
                page,
                "| {} | {accepted:.0} | {:.0} % | {:.1} | {delivered} | {:.1} | {:.0} | {refused} |",
                subject.title(),
                accepted / bare * 100.0,
                value(|sample| sample.p99),
                value(|sample| sample.cpu),
                value(|sample| sample.memory),
            );
        }
        if let (Some(open), Some(verifying)) = (
            of(Subject::RelayAlone, |sample| sample.accepted),
            of(Subject::RelayVerifying, |sample| sample.accepted),
        ) {
            let cost = (1.0 - verifying / open) * 100.0;
            let _ = writeln!(
                page,
                "\nHMAC verification and deduplication cost {cost:.1} % of the accepted events (limit: 10 %)."
            );
        }
        if let Some(again) = of(Subject::BareAgain, |sample| sample.accepted) {
            let spread = (again / bare - 1.0).abs() * 100.0;
            let _ = writeln!(page, "\nSpread of A against A': {spread:.1} %.");
        }
    }
    if !paced.is_empty() {
        page.push_str(&half_of_peak(paced));
    }
    page
}

fn half_of_peak(paced: &BTreeMap<Subject, Vec<Paced>>) -> String {
    let mut section = "\n### At half of the peak\n\n\
        Sent by vegeta over at most 64 connections, at even distances; it takes more of the two cores than wrk does.\n\n\
        | | peak/s | p50 ms | p99 ms | 2xx |\n|---|---|---|---|---|\n"
        .to_owned();
    for (subject, samples) in paced {
        let value = |figure: fn(&Paced) -> f64| median(samples.iter().map(figure));
        let _ = writeln!(
            section,
            "| {} | {:.0} | {:.2} | {:.2} | {:.2} % |",
            subject.title(),
            value(|sample| sample.peak),
            value(|sample| sample.p50),
            value(|sample| sample.p99),
            value(|sample| sample.success) * 100.0,
        );
    }
    section
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
