//! Writes every generated file of the repository: `make generate`.

use std::error::Error;
use std::fs;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for file in visnyk_crds::generate::files()? {
        fs::write(root.join(file.path), file.content)?;
    }
    Ok(())
}
