//! The endpoints beside the listener: probes, metrics and status over HTTP ([`health`]), and commands over a Unix socket in
//! the data folder ([`socket`]).

pub mod health;
pub mod socket;

use jiff::Timestamp;
use visnyk_crds::contract::status::ProcessStatus;
use visnyk_crds::valid::Identity;

use crate::host::configuration::ManifestProblem;
use crate::server::tls::TlsStatus;

/// Returns the part of `/status` that all processes share.
pub fn process_status(
    running: &Identity,
    manifest_problem: Option<ManifestProblem>,
    certificate: TlsStatus,
    storage_problem: Option<String>,
) -> ProcessStatus {
    let text = |time: Option<Timestamp>| time.map(|time| time.to_string());
    ProcessStatus {
        configuration_hash: running.configuration_hash.clone(),
        generation: running.generation,
        newer_configuration: manifest_problem.as_ref().is_some_and(|problem| problem.is_newer),
        manifest_problem: manifest_problem.map(|problem| problem.reason),
        certificate_not_before: text(certificate.not_before),
        certificate_not_after: text(certificate.not_after),
        certificate_problem: certificate.problem,
        storage_problem,
    }
}
