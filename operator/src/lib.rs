//! The operator: from custom resource to running workloads. On the way of a resource: `fetch` what it refers
//! to, `validate`, `build` its children, `apply` them, `report`.
