//! The node from below: the processes of pods, which live in process namespaces inside the machine's.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::process::{Pid, Signal, kill_process};

/// Sends a signal to the process of a pod's program, not by way of Kubernetes.
///
/// # Panics
/// When there is no such process.
pub fn signal(pod: &Pod, program: &str, signal: Signal) {
    kill_process(running(pod, program), signal).expect("a process of the node can be signalled by root");
}

/// Finds the process of a pod's program, by its name and the pod's control group.
///
/// # Panics
/// Where there is no `/proc`.
pub fn process(pod: &Pod, program: &str) -> Option<Pid> {
    let uid = pod.uid().expect("a pod has a uid");
    // As the name of a control group has it.
    let mark = [format!("pod{uid}"), format!("pod{}", uid.replace('-', "_"))];
    find(program, |folder| {
        let group = fs::read_to_string(folder.join("cgroup")).unwrap_or_default();
        mark.iter().any(|mark| group.contains(mark))
    })
}

/// Finds the kubelet of this cluster, whose network the test shares.
///
/// # Panics
/// Where there is no `/proc`.
pub fn kubelet() -> Option<Pid> {
    let network = |folder: &Path| fs::read_link(folder.join("ns/net")).ok();
    let ours = network(Path::new("/proc/self"));
    find("kubelet", |folder| network(folder) == ours)
}

/// Leaves no room on the volume of a pod, until what this returns is removed.
///
/// # Panics
/// When there is no such process, or it has no data folder.
pub fn fill_volume(pod: &Pod, program: &str) -> PathBuf {
    let path = data_folder(pod, program).join("filler");
    let filler = File::create(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // In ever smaller steps, since one that does not fit takes nothing.
    let (mut end, mut step) = (0, 1 << 30);
    while step >= 4 << 10 {
        match fallocate(&filler, FallocateFlags::empty(), end, step) {
            Ok(()) => end += step,
            Err(_) => step /= 2,
        }
    }
    path
}

/// Finds the first process of a program for which this is true, given its folder in `/proc`.
fn find(program: &str, is_it: impl Fn(&Path) -> bool) -> Option<Pid> {
    let processes = fs::read_dir("/proc").expect("the machine's processes").filter_map(Result::ok);
    processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find_map(|pid: i32| {
        let folder = Path::new("/proc").join(pid.to_string());
        // Cut by the kernel after fifteen letters.
        let name = fs::read_to_string(folder.join("comm")).ok()?;
        (program.starts_with(name.trim()) && is_it(&folder)).then(|| Pid::from_raw(pid)).flatten()
    })
}

fn running(pod: &Pod, program: &str) -> Pid {
    process(pod, program).unwrap_or_else(|| panic!("no {program} runs in pod {}", pod.name_any()))
}

/// Returns the folder in which a pod's program keeps its data, as seen from the node.
fn data_folder(pod: &Pod, program: &str) -> PathBuf {
    format!("/proc/{}/root/var/lib/visnyk", running(pod, program).as_raw_nonzero()).into()
}

/// Makes a loop of a pod's relay hang. Its image is of a debug build, whose loops can be made to.
///
/// # Panics
/// When there is no such process, or it has no data folder.
pub fn stall(pod: &Pod, program: &str, name: &str) {
    let file = data_folder(pod, program).join("stall");
    fs::write(&file, name).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}
