//! Kinds of resources, as an API server learns of them.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::runtime::conditions::is_crd_established;
use kube::{Api, Client, ResourceExt};

use crate::wait_for;

/// Installs a kind, if it is not, and waits until it is served.
///
/// # Errors
/// When the API server refuses it.
///
/// # Panics
/// As [`wait_for`].
pub async fn install(client: &Client, definition: &CustomResourceDefinition) -> kube::Result<()> {
    let (definitions, name) = (Api::<CustomResourceDefinition>::all(client.clone()), definition.name_any());
    let parameters = PatchParams::apply("test").force();
    definitions.patch(&name, &parameters, &Patch::Apply(definition)).await?;
    wait_for(&definitions, &name, is_crd_established()).await;
    Ok(())
}
