//! A resource together with its spec as the API server returned it: what the user wrote, without this program's defaults,
//! and with the fields that only a newer version knows.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

use kube::Resource;
use kube::api::ObjectMeta;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A resource, read as its type, and the spec from which it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Written<K> {
    resource: K,
    /// The spec as compact JSON, which takes a tenth of the memory of its value.
    spec: Arc<str>,
}

impl<K> Written<K> {
    /// Returns the resource, to be changed. The written spec stays as it is.
    pub fn resource_mut(&mut self) -> &mut K {
        &mut self.resource
    }

    /// Returns the spec as it was written.
    pub fn written_spec(&self) -> Value {
        // It was written from a value.
        serde_json::from_str(&self.spec).unwrap_or_default()
    }
}

impl<K> Deref for Written<K> {
    type Target = K;

    fn deref(&self) -> &K {
        &self.resource
    }
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Written<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let whole = Value::deserialize(deserializer)?;
        let spec = whole["spec"].to_string().into();
        let resource = serde_json::from_value(whole).map_err(D::Error::custom)?;
        Ok(Self { resource, spec })
    }
}

impl<K: Resource> Resource for Written<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(of: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(of)
    }

    fn group(of: &Self::DynamicType) -> Cow<'_, str> {
        K::group(of)
    }

    fn version(of: &Self::DynamicType) -> Cow<'_, str> {
        K::version(of)
    }

    fn plural(of: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        self.resource.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.resource.meta_mut()
    }
}
