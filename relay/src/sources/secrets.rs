//! Checks the secrets that sources need, for `check`.

use std::path::Path;

use visnyk_crds::valid::Source;
pub use visnyk_runtime::host::secrets::Secrets;

use super::pay_pal::PayPalCertificates;
use super::providers::provider;

/// Returns the mistakes in the secrets of these sources, one line each with its place in the manifest.
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
