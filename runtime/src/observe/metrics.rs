//! The figures of `/metrics`, in the `OpenMetrics` text format. Names begin with `visnyk_`, but for those that
//! every program has by convention (`process_...`).

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text},
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
        info::Info,
    },
    registry::{Registry, Unit},
};

use super::{logging, process};

/// Content type of `/metrics`.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of a process. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
}

impl Metrics {
    /// Makes the metrics that every process has: `visnyk_build_info` with the program's name and version, dropped log
    /// lines, and the resources that the process takes from its machine.
    pub fn new(program: &'static str, version: &'static str) -> Self {
        let mut registry = Registry::default();
        let build = Info::new([("program", program), ("version", version)]);
        registry.register("visnyk_build", "What is running", build);
        registry.register_collector(Box::new(ProcessMetrics { began: Instant::now() }));
        Self { registry: Arc::new(Mutex::new(registry)) }
    }

    /// Adds metrics; their names get the prefix `visnyk_`.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        add(registry.sub_registry_with_prefix("visnyk"));
    }

    /// Returns the page of `/metrics`.
    pub fn encode(&self) -> String {
        let mut page = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing to a String cannot fail.
        let _ = text::encode(&mut page, &registry);
        page
    }
}

/// Metrics of one listener.
#[derive(Clone, Debug, Default)]
pub struct ListenerMetrics {
    /// Number of accepted connections.
    pub accepted: Counter,
    refused: Family<Refusal, Counter>,
    open: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refusal {
    reason: &'static str,
}

impl ListenerMetrics {
    /// Adds these to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("connections_accepted", "Connections taken in", self.accepted.clone());
        registry.register("connections_refused", "Connections closed at once", self.refused.clone());
        registry.register("connections_open", "Connections open now", self.open.clone());
    }

    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Refusal { reason }).inc();
    }

    pub(crate) fn open(&self, connections: usize) {
        self.open.set(i64::try_from(connections).unwrap_or(i64::MAX));
    }
}

/// Metrics that are read from the kernel at each scrape, with the names that every Prometheus client library uses.
#[derive(Debug)]
struct ProcessMetrics {
    began: Instant,
}

impl prometheus_client::collector::Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut gauge = |name: &str, help: &str, unit: Option<&Unit>, value: f64| {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, unit, gauge.metric_type())?)
        };
        gauge("process_uptime", "Since the start", Some(&Unit::Seconds), self.began.elapsed().as_secs_f64())?;
        if let Some(bytes) = process::resident_memory() {
            gauge("process_resident_memory", "Memory in use", Some(&Unit::Bytes), bytes)?;
        }
        if let Some(files) = process::open_files() {
            gauge("process_open_fds", "Open files and sockets", None, files)?;
        }
        gauge("process_max_fds", "Most open files and sockets", None, process::max_files())?;
        let cpu = ConstCounter::new(process::cpu_seconds());
        let kind = cpu.metric_type();
        cpu.encode(encoder.encode_descriptor(
            "process_cpu",
            "Processor time",
            Some(&Unit::Seconds),
            kind,
        )?)?;
        let dropped = ConstCounter::new(logging::dropped_lines());
        let (name, help) =
            ("visnyk_log_lines_dropped", "Log lines dropped because standard error was not read");
        dropped.encode(encoder.encode_descriptor(name, help, None, dropped.metric_type())?)
    }
}

/// Returns the faults of the names on a page of `/metrics`. Each family must be in lowercase and have a known prefix
/// and a help text, and no counter may have `_total` twice. For the tests of code that registers metrics.
pub fn lint(page: &str) -> Vec<String> {
    let mut mistakes = Vec::new();
    let helped: Vec<_> =
        page.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' ')).collect();
    for family in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !family.chars().all(letter) || family.contains("__") {
            mistakes.push(format!("{family}: not in snake case"));
        }
        if !family.starts_with("visnyk_") && !family.starts_with("process_") {
            mistakes.push(format!("{family}: unknown prefix"));
        }
        if family.ends_with("_total") {
            mistakes.push(format!("{family}: _total is added by the format"));
        }
        if !helped.iter().any(|(name, help)| *name == family && help.len() > 1) {
            mistakes.push(format!("{family}: no help"));
        }
    }
    mistakes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_metrics_follow_the_conventions() {
        let metrics = Metrics::new("visnyk-relay", "0.1.0");
        let listener = ListenerMetrics::default();
        metrics.register(|registry| listener.register(registry));
        listener.refused("full");
        listener.open(3);
        let page = metrics.encode();
        assert_eq!(lint(&page), Vec::<String>::new(), "{page}");
        for line in [
            "visnyk_build_info{program=\"visnyk-relay\",version=\"0.1.0\"} 1\n",
            "visnyk_connections_refused_total{reason=\"full\"} 1\n",
            "visnyk_connections_open 3\n",
            "# TYPE process_resident_memory_bytes gauge\n",
            "process_cpu_seconds_total ",
            "process_open_fds ",
            "visnyk_log_lines_dropped_total 0\n",
            "# EOF\n",
        ] {
            assert!(page.contains(line), "{line} is missing in {page}");
        }
    }

    #[test]
    fn lint_finds_each_mistake() {
        let page = "# HELP visnyk_Bad A.\n# TYPE visnyk_Bad gauge\n# HELP other B.\n# TYPE other gauge\n\
                    # HELP visnyk_x_total C.\n# TYPE visnyk_x_total counter\n# TYPE visnyk_y gauge\n";
        let expected = [
            "visnyk_Bad: not in snake case",
            "other: unknown prefix",
            "visnyk_x_total: _total is added by the format",
            "visnyk_y: no help",
        ];
        assert_eq!(lint(page), expected);
    }
}
