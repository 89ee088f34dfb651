//! The tables as Markdown.

use std::fmt::Write;

use crate::load::{Measured, Plan, Sample};
use crate::paced::Paced;
use crate::subjects::{Subject, Table};

/// Returns the sentence above all tables.
pub fn introduction(plan: Plan, syncs: f64) -> String {
    format!(
        "Medians of {} interleaved rounds of {} s each; the disk alone: {syncs:.0} `fdatasync`s/s of 64 KiB.\n",
        plan.rounds, plan.seconds
    )
}

/// Returns a table for each number of connections: medians, each with its share of the first row in the same run.
pub fn table(table: &Table, measured: &Measured) -> String {
    table.connections.iter().map(|connections| section(table, measured, *connections)).collect()
}

fn section(table: &Table, measured: &Measured, connections: u32) -> String {
    let mut section = format!(
        "\n### {}, {connections} connections\n\n\
         | | accepted/s | of the first row | p99 ms | delivered/s | deliveries/s together | CPU µs/event | MiB | refused |\n\
         |---|---|---|---|---|---|---|---|---|\n",
        table.title
    );
    let rows: Vec<_> =
        (0..table.subjects.len()).filter_map(|row| measured.get(&(connections, row))).collect();
    let first = rows.first().map_or(f64::NAN, |samples| median(samples, |sample| sample.accepted));
    for (subject, samples) in table.subjects.iter().zip(rows) {
        let _ = writeln!(section, "{}", row(subject, samples, first));
    }
    section
}

fn row(subject: &Subject, samples: &[Sample], first: f64) -> String {
    let value = |figure: fn(&Sample) -> f64| median(samples, figure);
    let accepted = value(|sample| sample.accepted);
    let refused: f64 = samples.iter().map(|sample| sample.refused).sum();
    format!(
        "| {} | {accepted:.0} | {:.0} % | {:.1} | {} | {} | {:.1} | {:.0} | {refused:.0} |",
        subject.title,
        accepted / first * 100.0,
        value(|sample| sample.p99),
        whole(value(|sample| sample.delivered.map_or(f64::NAN, |delivered| delivered.slowest))),
        whole(value(|sample| sample.delivered.map_or(f64::NAN, |delivered| delivered.together))),
        value(|sample| sample.cpu),
        value(|sample| sample.memory),
    )
}

/// Returns the table of latencies below the peak.
pub fn half_of_peak(subjects: &[Subject], paced: &[Vec<Paced>]) -> String {
    let mut section = "\n### At half of the peak\n\n\
        Sent by vegeta over at most 64 connections, at even distances; it takes more of the two cores than wrk does.\n\n\
        | | peak/s | p50 ms | p99 ms | 2xx |\n|---|---|---|---|---|\n"
        .to_owned();
    for (subject, samples) in subjects.iter().zip(paced) {
        let value = |figure: fn(&Paced) -> f64| median(samples, figure);
        let _ = writeln!(
            section,
            "| {} | {:.0} | {:.2} | {:.2} | {:.2} % |",
            subject.title,
            value(|sample| sample.peak),
            value(|sample| sample.p50),
            value(|sample| sample.p99),
            value(|sample| sample.success) * 100.0,
        );
    }
    section
}

fn whole(value: f64) -> String {
    if value.is_nan() { String::new() } else { format!("{value:.0}") }
}

fn median<T>(samples: &[T], figure: fn(&T) -> f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(figure).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
