//! The files that are generated from the types: what is published and what is read.

mod reference;

use kube::CustomResourceExt;

use crate::api::{Collector, WebhookRelay};
use crate::schema::definition;

/// The command that writes the files anew.
pub const COMMAND: &str = "make generate";

/// A generated file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// From the root of the repository.
    pub path: &'static str,
    /// All of it.
    pub content: String,
}

/// Every generated file.
pub fn files() -> Result<[Generated; 3], serde_yaml::Error> {
    Ok([
        Generated { path: "crds/webhookrelays.yaml", content: yaml::<WebhookRelay>()? },
        Generated { path: "crds/collectors.yaml", content: yaml::<Collector>()? },
        Generated { path: "docs/reference.md", content: reference::reference() },
    ])
}

fn yaml<K: CustomResourceExt>() -> Result<String, serde_yaml::Error> {
    let yaml = serde_yaml::to_string(&definition::<K>())?;
    Ok(format!("# Generated from crds/src/api by `{COMMAND}`; do not edit.\n{yaml}"))
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
