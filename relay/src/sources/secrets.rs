//! What `check` says of the secrets that sources need.

use std::path::Path;

use visnyk_crds::valid::Source;
pub use visnyk_runtime::host::secrets::Secrets;

use super::pay_pal::PayPalCertificates;
use super::providers::provider;

/// What is wrong with the secrets of these sources, a line per mistake with its place in the manifest.
pub fn check(sources: &[Source], dir: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let mut secrets = Secrets::of(dir);
        provider(&source.verify, &mut secrets, &PayPalCertificates::none());
        let problems = secrets.into_problems();
        lines.extend(problems.iter().map(|problem| format!("spec.sources[{index}].verify: {problem}")));
    }
    lines
}
