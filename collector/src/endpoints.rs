//! The HTTP endpoints of the collector for probes, metrics and status.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::counter::ConstCounter,
    registry::Unit,
};
use serde_json::{Value, json};
use visnyk_crds::contract::status::CollectorStatus;
use visnyk_crds::valid::ValidatedCollector;
use visnyk_runtime::{
    admin::{health::HealthEndpoints, process_status},
    host::configuration::Configuration,
    observe::{metrics::Metrics, readiness::Readiness, watchdog::Watchdog},
    server::tls::Tls,
};

use crate::log::writer::LogWriter;

/// Name of the readiness condition that the log's writer holds.
pub const LOG: &str = "log";

/// State that the endpoints show.
pub struct CollectorEndpoints {
    /// The loops that must run.
    pub watchdog: Watchdog,
    /// The conditions for accepting a line.
    pub readiness: Readiness,
    /// Metrics of the process.
    pub metrics: Metrics,
    /// The configuration that is active.
    pub configuration: Arc<Configuration<ValidatedCollector>>,
    /// The writer of the log, with its counts.
    pub writer: LogWriter,
    /// TLS of the listener.
    pub tls: Tls,
    /// Set once the listener is bound.
    pub started: Arc<AtomicBool>,
}

impl HealthEndpoints for CollectorEndpoints {
    fn live(&self) -> Vec<String> {
        self.watchdog.stale().iter().map(ToString::to_string).collect()
    }

    fn ready(&self) -> Vec<String> {
        self.readiness.unmet().iter().map(ToString::to_string).collect()
    }

    fn started(&self) -> Vec<String> {
        let started = self.started.load(Ordering::Relaxed);
        if started { Vec::new() } else { vec!["listener: not bound yet".into()] }
    }

    fn metrics(&self) -> String {
        self.metrics.encode()
    }

    fn status(&self) -> Value {
        let current = self.configuration.current();
        json!(CollectorStatus {
            process: process_status(
                &current.identity,
                self.configuration.problem(),
                self.tls.status(),
                self.storage_problem(),
            ),
            lines: self.writer.written().lines(),
            bytes: self.writer.written().bytes(),
        })
    }
}

impl CollectorEndpoints {
    /// Returns why no line can be taken now, if the log is the reason.
    fn storage_problem(&self) -> Option<String> {
        let unmet = self.readiness.unmet().into_iter().find(|unmet| unmet.name == LOG)?;
        Some(unmet.reason)
    }
}

/// Counts of lines and bytes, read when metrics are collected.
#[derive(Debug)]
pub struct LogMetrics(pub LogWriter);

impl Collector for LogMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut counter = |name: &str, help: &str, unit: Option<&Unit>, value: u64| {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, unit, counter.metric_type())?)
        };
        counter("log_lines", "Lines appended and synced", None, self.0.written().lines())?;
        counter("log", "Bytes appended and synced", Some(&Unit::Bytes), self.0.written().bytes())
    }
}

#[cfg(test)]
mod tests {
    use visnyk_runtime::observe::metrics::lint;

    use super::*;
    use crate::log::{
        file::LogLocation,
        storage::Files,
        writer::{TICK, start},
    };

    #[tokio::test]
    async fn lines_and_bytes_are_shown_under_conventional_names() {
        let folder = tempfile::tempdir().unwrap();
        let location =
            LogLocation { data_dir: folder.path().into(), path: "webhook.log".into(), rotate: None };
        let ticker = Watchdog::new().register("log writer", TICK);
        let (writer, _thread) =
            start(Files, location, ticker, Readiness::default().condition("log", "opening")).unwrap();
        writer.append("four\n".into()).await.unwrap();
        let metrics = Metrics::new("visnyk-collector", "0.1.0");
        metrics.register(|registry| registry.register_collector(Box::new(LogMetrics(writer))));
        let page = metrics.encode();
        assert_eq!(lint(&page), Vec::<String>::new(), "{page}");
        assert!(page.contains("visnyk_log_lines_total 1\n"), "{page}");
        assert!(page.contains("visnyk_log_bytes_total 5\n"), "{page}");
    }
}
