//! Children of both kinds of resources, one file per kind of child. Pure: the same resource makes the same children,
//! whatever the cluster looks like.

pub mod certificate_event;
pub mod child;
pub mod meta;

mod autoscaler;
mod certificate;
mod configuration;
mod disruption;
mod drain;
mod network;
mod peers;
mod pod;
mod routes;
mod services;
mod workload;

use std::collections::{BTreeMap, BTreeSet};

use visnyk_crds::api;
use visnyk_crds::valid::{ListenerTls, SecretRef};

pub use autoscaler::autoscaler;
pub use certificate::{ask_for_certificate, certificate};
pub use configuration::{configuration, manifest, manifest_in};
pub use disruption::disruption_budget;
pub use drain::drain;
pub use network::network_policy;
pub use peers::peers;
pub use routes::ways_in;
pub use services::{
    dns_names, pod_names, pods_service, publish_not_ready, service, service_account, service_monitor,
    service_port, url,
};
pub use workload::{claim_size, workload};

use crate::children::child::{Child, Kind};
use crate::children::meta::Owner;

/// Content of a Secret: bytes by key.
pub type SecretData = BTreeMap<String, Vec<u8>>;

/// Returns the children that both kinds have, in the order of their creation. Those that pods `need` come before the
/// pods, and those that only lead to them after.
pub fn around(workload: &Workload<'_>, need: impl IntoIterator<Item = Child>) -> Vec<Child> {
    let mut children = vec![service_account(workload.owner), configuration(workload)];
    children.extend(need);
    children.extend([
        service(workload),
        pods_service(workload),
        network_policy(workload),
        disruption_budget(workload.owner),
        self::workload(workload),
    ]);
    children
}

/// Pods of both kinds of resources, and their surroundings.
#[derive(Clone, Debug)]
pub struct Workload<'a> {
    /// Resource that the pods belong to.
    pub owner: &'a Owner,
    /// The resource as the pods read it.
    pub manifest: String,
    /// Image of the container, unless the resource names another.
    pub image: &'a str,
    /// Number of pods of the workload.
    pub replicas: u16,
    /// Port of the listener.
    pub port: u16,
    /// Protocol at that port.
    pub scheme: Scheme,
    /// Storage of the pods.
    pub data: Data<'a>,
    /// Keys of users' Secrets that they read.
    pub secrets: BTreeSet<SecretRef>,
    /// Secrets of ours that they read, each in a folder of its own.
    pub mounts: Vec<Mount>,
    /// Further arguments of the container.
    pub args: Vec<String>,
    /// Values whose change restarts the pods, besides the pods' own form.
    pub restart: String,
    /// The user's settings of the pods.
    pub pod: &'a api::Pod,
    /// The user's settings of the Service.
    pub service: &'a api::Service,
}

/// Protocol at a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP, without TLS.
    Http,
    /// HTTP with TLS, which the process terminates.
    Https,
}

impl Scheme {
    /// Returns the protocol of a listener.
    pub fn of(tls: &ListenerTls) -> Self {
        match tls {
            ListenerTls::None => Self::Http,
            ListenerTls::SelfSigned { .. } | ListenerTls::Secret { .. } => Self::Https,
        }
    }

    /// Returns its name in a URL, which is also the port's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Returns the port of a URL that names none.
    pub fn usual_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Storage of the data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data<'a> {
    /// A volume for each pod.
    Persistent {
        /// Size of the volume claim, in bytes.
        claim: u64,
        /// The StorageClass, if not the default.
        class: Option<&'a str>,
    },
    /// A folder of the pod.
    Ephemeral {
        /// Maximum number of bytes, if there is a limit.
        limit: Option<u64>,
    },
}

impl Data<'_> {
    /// Returns the kind of workload that keeps such data.
    pub fn workload(&self) -> Kind {
        match self {
            Self::Persistent { .. } => Kind::StatefulSet,
            Self::Ephemeral { .. } => Kind::Deployment,
        }
    }
}

/// A Secret of ours in a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Name of the volume.
    pub volume: &'static str,
    /// Name of the Secret.
    pub secret: String,
    /// Folder in the container.
    pub folder: &'static str,
}
