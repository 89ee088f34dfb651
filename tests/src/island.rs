//! An island: a network in which every address belongs to the test, without a route out. A connection to
//! 169.254.169.254 there, or to a host of the internet, reaches the test's own listeners or fails.

use std::{fs, net::IpAddr, panic::resume_unwind, path::Path, thread};

use nix::sched::{CloneFlags, unshare};
use tempfile::TempDir;
use tokio::runtime;

use crate::mount::{run, text};

/// Commands that make an island from an empty network.
const SHORES: [&[&str]; 3] = [
    &["link", "set", "lo", "up"],
    &["route", "add", "local", "0.0.0.0/0", "dev", "lo"],
    &["-6", "route", "add", "local", "::/0", "dev", "lo"],
];

/// Runs a test on an island of its own, with the processes that it starts. Without root it runs nothing and prints the
/// reason.
pub fn on_an_island<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can make a network");
        return;
    }
    // Namespaces are a thread's; every thread and process that it begins is in them, and with the last one they go.
    let island = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
        run("mount", &["--make-rprivate", "/"]);
        for shore in SHORES {
            run("ip", shore);
        }
        runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(test());
    });
    if let Err(panic) = island.join() {
        resume_unwind(panic);
    }
}

/// Makes every process on this island ask this name server, for as long as the island exists. The returned folder has
/// the file that they read: keep it.
pub fn ask_names_of(server: IpAddr) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("resolv.conf");
    fs::write(&file, format!("nameserver {server}\noptions timeout:1 attempts:5\n")).unwrap();
    let system = fs::canonicalize(Path::new("/etc/resolv.conf")).unwrap();
    run("mount", &["--bind", text(&file), text(&system)]);
    folder
}

/// Makes an address refuse every connection at once.
pub fn abandon(address: IpAddr) {
    run("ip", &["route", "add", "unreachable", &address.to_string(), "table", "local"]);
}
