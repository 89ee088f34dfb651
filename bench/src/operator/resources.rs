//! Many relays and collectors, in a namespace of their own.

use futures::stream::{self, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ListParams, ObjectMeta, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use visnyk_cluster_harness::install;
use visnyk_crds::api::Status;
use visnyk_crds::schema::definition;
use visnyk_crds::{Collector, WebhookRelay};

/// Namespace of the measured resources.
pub const NAMESPACE: &str = "bench";
/// As `kubectl apply` of a large file does, and a little faster.
const MAX_CONCURRENT: usize = 8;

/// Resources in the namespace.
pub struct Resources {
    client: Client,
}

impl Resources {
    /// Installs the kinds and makes the namespace.
    pub async fn prepare(client: Client) -> anyhow::Result<Self> {
        install(&client, &definition::<WebhookRelay>()).await?;
        install(&client, &definition::<Collector>()).await?;
        let namespace = Namespace {
            metadata: ObjectMeta { name: Some(NAMESPACE.into()), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        Api::all(client.clone()).create(&PostParams::default(), &namespace).await?;
        Ok(Self { client })
    }

    /// Creates that many, in pairs: a relay that delivers to a collector.
    pub async fn create(&self, count: u32) -> anyhow::Result<()> {
        stream::iter(0..count / 2)
            .map(|number| self.create_pair(number))
            .buffer_unordered(MAX_CONCURRENT)
            .try_collect::<Vec<()>>()
            .await?;
        Ok(())
    }

    async fn create_pair(&self, number: u32) -> anyhow::Result<()> {
        let collector = serde_json::from_value(collector(number))?;
        self.api::<Collector>().create(&PostParams::default(), &collector).await?;
        let relay = serde_json::from_value(relay(number))?;
        self.api::<WebhookRelay>().create(&PostParams::default(), &relay).await?;
        Ok(())
    }

    /// Returns the number of resources whose status says that everything is there but pods.
    pub async fn settled(&self) -> anyhow::Result<u32> {
        let relays = self.api::<WebhookRelay>().list(&ListParams::default()).await?;
        let collectors = self.api::<Collector>().list(&ListParams::default()).await?;
        let relays = relays.iter().map(|relay| relay.status.as_ref());
        let collectors = collectors.iter().map(|collector| collector.status.as_ref());
        Ok(u32::try_from(relays.chain(collectors).filter(|status| is_settled(*status)).count())?)
    }

    fn api<K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + DeserializeOwned>(
        &self,
    ) -> Api<K> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }
}

fn is_settled(status: Option<&Status>) -> bool {
    let conditions = status.map_or(&[][..], |status| &status.conditions);
    conditions.iter().any(|one| one.type_ == "Available" && one.reason == "NoPodReady")
}

fn relay(number: u32) -> Value {
    json!({
        "apiVersion": "visnyk.dev/v1alpha1", "kind": "WebhookRelay", "metadata": { "name": format!("relay-{number}") },
        "spec": {
            "listener": { "tls": { "selfSigned": {} } },
            "spool": { "persistent": { "size": "64Mi" } },
            "sources": [{ "name": "open", "path": "/", "verify": { "none": {} } }],
            "destinations": [
                { "name": "archive", "collectorRef": { "name": format!("collector-{number}") } },
                { "name": "pilot", "url": "https://pilot.example.org/hook" },
            ],
        },
    })
}

fn collector(number: u32) -> Value {
    json!({
        "apiVersion": "visnyk.dev/v1alpha1", "kind": "Collector",
        "metadata": { "name": format!("collector-{number}") },
        "spec": {
            "listener": { "tls": { "selfSigned": {} } }, "log": {},
            "access": { "relays": [{ "name": format!("relay-{number}") }] },
        },
    })
}
