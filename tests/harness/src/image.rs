//! Names of the images in the cluster.

/// Returns the reference of one of our images, such as `visnyk-relay`.
///
/// In the project's own cluster that is what `make images` has loaded. For any
/// other, `VISNYK_IMAGES` names the registry and folder they were pushed to, and
/// `VISNYK_IMAGE_TAG` their tag.
pub fn image(name: &str) -> String {
    let folder = std::env::var("VISNYK_IMAGES").unwrap_or_else(|_| "localhost".to_owned());
    let tag = std::env::var("VISNYK_IMAGE_TAG").unwrap_or_else(|_| "dev".to_owned());
    format!("{folder}/{name}:{tag}")
}
