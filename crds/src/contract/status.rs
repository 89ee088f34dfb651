//! The JSON of `/status`. A field that an older process does not send has its default.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Reason for a process that cannot read the manifest of a newer operator, in logs and in the condition `Programmed`.
pub const NEWER_CONFIGURATION: &str = "NewerConfiguration";

/// Status of any process: its configuration and its listener's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProcessStatus {
    /// Hash of the configuration that the process runs.
    pub configuration_hash: String,
    /// `metadata.generation` of the manifest that the process runs; 0: the manifest has none.
    pub generation: i64,
    /// Reason why a newer manifest is not applied.
    pub manifest_problem: Option<String>,
    /// An operator of another version wrote that manifest, and the process cannot read it. It runs the one that it applied
    /// last.
    pub newer_configuration: bool,
    /// Start of the validity of the certificate that the listener shows, RFC 3339.
    pub certificate_not_before: Option<String>,
    /// End of the validity of that certificate, RFC 3339. Absent: none is loaded, or the listener speaks plain HTTP.
    pub certificate_not_after: Option<String>,
    /// Reason why a newer certificate is not used, or none is loaded.
    pub certificate_problem: Option<String>,
    /// Reason why the process accepts nothing now, although its listener answers: a full spool or log, or a failing disk.
    pub storage_problem: Option<String>,
}

/// Status of a relay. All counts are of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RelayStatus {
    /// State of configuration and certificate.
    #[serde(flatten)]
    pub process: ProcessStatus,
    /// Events accepted since the spool was made.
    pub accepted: u64,
    /// Incomplete records at the end of the journal, found at the latest start. None was answered with 2xx, unless the disk
    /// damaged the last batch afterwards.
    pub torn_tail: u64,
    /// File to which an unusable state file was moved at the latest start.
    pub state_set_aside: Option<String>,
    /// The latest start found no state of the destinations: events may be delivered again.
    pub state_lost: bool,
    /// Rules that dropped an event or failed since the process started, and destinations whose `when` failed.
    pub rules: Vec<RuleStatus>,
    /// Events that no destination selected, since the process started.
    pub unmatched: u64,
    /// Events that were decided without rules since the process started, because these broke down.
    pub without_rules: u64,
    /// Reason why decisions cannot be stored. Deliveries pause meanwhile.
    pub decision_problem: Option<String>,
    /// Destinations, removed ones that keep events included.
    pub destinations: Vec<DestinationStatus>,
    /// Results of each source's requests.
    pub sources: Vec<SourceStatus>,
}

/// Counts of one destination since it was created. `accepted` is the sum of `delivered`, `deadLettered`, `dropped`,
/// `filtered`, `damaged` and `pending`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DestinationStatus {
    /// Name in the manifest.
    pub name: String,
    /// Number of accepted events.
    pub accepted: u64,
    /// Number of delivered events.
    pub delivered: u64,
    /// Events of which the last attempt failed.
    pub dead_lettered: u64,
    /// Events dropped by a named rule or command.
    pub dropped: u64,
    /// Events that the destination's `when` did not select.
    pub filtered: u64,
    /// Events that were on disk and cannot be read.
    pub damaged: u64,
    /// Events still to be delivered.
    pub pending: u64,
    /// Pending events about which the rules have not decided yet.
    pub undecided: u64,
    /// Age in seconds of the oldest event still to be delivered. Absent: there is none.
    pub oldest_pending_seconds: Option<u64>,
    /// Requests that may be in flight to it now, at most its `concurrency`. Absent: nothing is delivered to it.
    pub concurrency_limit: Option<u64>,
    /// `Active`, `Disabled` (it answered 410 Gone) or `Removed` (it left the manifest).
    pub state: DestinationState,
    /// Missing or unusable file without which nothing can be delivered.
    pub waits_for: Option<String>,
    /// Outcome of the last failed attempt, while an event waits for another. It has no query string, no header and nothing
    /// of a body.
    pub last_failure: Option<String>,
}

/// Counts of one rule since the process started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RuleStatus {
    /// Name of the rule, or of the destination whose `when` it is.
    pub name: String,
    /// Events that it dropped.
    pub dropped: u64,
    /// Events for which an expression of it failed.
    pub errors: u64,
}

/// Stage in the life of a destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DestinationState {
    /// Events are delivered to it.
    #[default]
    Active,
    /// It answered 410 Gone; events are kept until its target changes.
    Disabled,
    /// It left the manifest; events are kept for a while.
    Removed,
    /// A state of a newer relay.
    #[serde(other)]
    Unknown,
}

/// Counts of one source since the process started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SourceStatus {
    /// Name in the manifest.
    pub name: String,
    /// Events accepted, repeats not counted.
    pub accepted: u64,
    /// Requests with an event that was accepted before.
    pub repeats: u64,
    /// Requests that were a provider's handshake.
    pub greetings: u64,
    /// Requests whose sender was not verified, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Missing or unusable file without which no sender can be verified.
    pub waits_for: Option<String>,
}

/// Status of a collector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CollectorStatus {
    /// State of configuration and certificate.
    #[serde(flatten)]
    pub process: ProcessStatus,
    /// Lines appended and synced since the process started.
    pub lines: u64,
    /// Bytes appended and synced since the process started.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;

    use super::*;

    fn relay() -> RelayStatus {
        let process = ProcessStatus {
            configuration_hash: "8f48f9ab".into(),
            generation: 3,
            manifest_problem: Some("spec.spool: must not shrink".into()),
            newer_configuration: true,
            certificate_not_before: Some("2026-11-01T00:00:00Z".into()),
            certificate_not_after: Some("2027-01-30T00:00:00Z".into()),
            certificate_problem: Some("tls.key holds no private key".into()),
            storage_problem: Some("journal: full".into()),
        };
        let destination = DestinationStatus {
            name: "quay".into(),
            accepted: 22,
            delivered: 5,
            dead_lettered: 4,
            dropped: 3,
            filtered: 7,
            damaged: 2,
            pending: 1,
            undecided: 1,
            oldest_pending_seconds: Some(61),
            concurrency_limit: Some(8),
            state: DestinationState::Disabled,
            waits_for: Some("peers folder has no it.desk.addresses".into()),
            last_failure: Some("answered 503".into()),
        };
        let source = SourceStatus {
            name: "harbour".into(),
            accepted: 15,
            repeats: 2,
            greetings: 1,
            refused: [("signature".into(), 7)].into(),
            waits_for: Some("Secret hook has no key token".into()),
        };
        RelayStatus {
            process,
            accepted: 15,
            torn_tail: 1,
            state_set_aside: Some("/var/lib/visnyk/state.db.unusable-1".into()),
            state_lost: true,
            rules: vec![RuleStatus { name: "calm".into(), dropped: 3, errors: 1 }],
            unmatched: 6,
            without_rules: 1,
            decision_problem: Some("no space left on device".into()),
            destinations: vec![destination],
            sources: vec![source],
        }
    }

    #[test]
    fn relay_status_has_the_keys_that_operators_and_people_read() {
        expect_file!["status/relay.json"].assert_eq(&format!("{:#}\n", serde_json::json!(relay())));
        let read: RelayStatus = serde_json::from_str(include_str!("status/relay.json")).unwrap();
        assert_eq!(read, relay());
    }

    #[test]
    fn status_of_an_older_or_a_newer_process_is_read() {
        let older = r#"{"configurationHash": "8f48f9ab", "destinations": [{"name": "quay"}]}"#;
        let newer = r#"{"destinations": [{"name": "quay", "state": "Muted", "held": 3}], "lanes": []}"#;
        let quay =
            |state| vec![DestinationStatus { name: "quay".into(), state, ..DestinationStatus::default() }];
        let process = ProcessStatus { configuration_hash: "8f48f9ab".into(), ..ProcessStatus::default() };
        let expected =
            RelayStatus { process, destinations: quay(DestinationState::Active), ..RelayStatus::default() };
        assert_eq!(serde_json::from_str::<RelayStatus>(older).unwrap(), expected);
        let expected =
            RelayStatus { destinations: quay(DestinationState::Unknown), ..RelayStatus::default() };
        assert_eq!(serde_json::from_str::<RelayStatus>(newer).unwrap(), expected);
    }

    #[test]
    fn collector_status_is_read_as_one_without_destinations() {
        let process = ProcessStatus { configuration_hash: "8f48f9ab".into(), ..ProcessStatus::default() };
        let collector = CollectorStatus { process: process.clone(), lines: 2, bytes: 9 };
        let read: RelayStatus = serde_json::from_value(serde_json::json!(collector)).unwrap();
        assert_eq!(read, RelayStatus { process, ..RelayStatus::default() });
    }
}
