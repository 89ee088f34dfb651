//! The files that are generated from the types: definitions for the API server and the chart, and the reference.

mod reference;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::api::{Collector, WebhookRelay};
use crate::schema::definition;

/// The command that writes the generated files.
pub const COMMAND: &str = "make generate";

/// A file that `make generate` writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// Path from the root of the repository.
    pub path: &'static str,
    /// Content of the whole file.
    pub content: String,
}

/// Returns every generated file.
pub fn files() -> Result<[Generated; 5], serde_yaml::Error> {
    const CHART: [&str; 2] =
        ["charts/visnyk/templates/crd-webhookrelays.yaml", "charts/visnyk/templates/crd-collectors.yaml"];
    Ok([
        Generated { path: "crds/webhookrelays.yaml", content: yaml(&definition::<WebhookRelay>())? },
        Generated { path: "crds/collectors.yaml", content: yaml(&definition::<Collector>())? },
        Generated { path: CHART[0], content: template::<WebhookRelay>()? },
        Generated { path: CHART[1], content: template::<Collector>()? },
        Generated { path: "docs/reference.md", content: reference::reference() },
    ])
}

fn yaml(definition: &CustomResourceDefinition) -> Result<String, serde_yaml::Error> {
    let yaml = serde_yaml::to_string(definition)?;
    Ok(format!("# Generated from crds/src/api by `{COMMAND}`; do not edit.\n{yaml}"))
}

/// Returns the definition as a template of the chart. An upgrade installs a new definition, which it would not do
/// from helm's own folder for definitions; an uninstall keeps it, and with it every resource.
fn template<K: CustomResourceExt>() -> Result<String, serde_yaml::Error> {
    let mut definition = definition::<K>();
    let annotations = definition.metadata.annotations.get_or_insert_default();
    annotations.insert("helm.sh/resource-policy".into(), "keep".into());
    // In braces a template would see something of its own.
    let yaml = yaml(&definition)?.replace("{{", "{{ \"{{\" }}");
    Ok(format!("{{{{- if .Values.crds.install }}}}\n{yaml}{{{{- end }}}}\n"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn generated_files_are_up_to_date() {
        for file in files().unwrap() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file.path);
            let found = std::fs::read_to_string(path).unwrap_or_default();
            assert!(found == file.content, "{} is stale: run `{COMMAND}`", file.path);
        }
    }
}
