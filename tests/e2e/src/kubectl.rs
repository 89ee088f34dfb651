//! The commands `kubectl` and `helm`, as users run them.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;

/// Returns the root of the repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs a command of `tests/cluster`, such as `kubectl`, and returns its output.
///
/// # Panics
/// When it fails, with what it said.
pub async fn run(program: &str, args: &[&str]) -> String {
    match try_run(program, args).await {
        Ok(printed) => printed,
        Err(said) => panic!("{program} {}: {said}", args.join(" ")),
    }
}

/// Runs the same; an error is the output of a command that fails.
///
/// # Panics
/// When it cannot be started.
pub async fn try_run(program: &str, args: &[&str]) -> Result<String, String> {
    output(Command::new(root().join("tests/cluster").join(program)).args(args)).await
}

/// Runs a line of bash from a README, whose `kubectl` and `helm` are the cluster's, and returns its output.
///
/// # Panics
/// When it fails, with what it said.
pub async fn shell(line: &str) -> String {
    let script = format!(
        r#"kubectl() {{ tests/cluster/kubectl "$@"; }}
        helm() {{ tests/cluster/helm "$@"; }}
        {line}"#
    );
    match output(Command::new("bash").args(["-euo", "pipefail", "-c", &script])).await {
        Ok(printed) => printed,
        Err(said) => panic!("{line}: {said}"),
    }
}

async fn output(command: &mut Command) -> Result<String, String> {
    command.stdin(Stdio::null()).current_dir(root()).kill_on_drop(true);
    let output = command.output().await.expect("the command can be started");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(printed);
    }
    Err(format!("{printed}{}", String::from_utf8_lossy(&output.stderr)))
}
