//! The node from below: the processes of pods, which live in process namespaces inside the machine's.

use std::fs;
use std::path::Path;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use rustix::process::{Pid, Signal, kill_process};

/// Sends a signal to the process of a pod's program, not by way of Kubernetes.
///
/// # Panics
/// When there is no such process.
pub fn signal(pod: &Pod, program: &str, signal: Signal) {
    let pid = process(pod, program).unwrap_or_else(|| panic!("no {program} runs in pod {}", pod.name_any()));
    kill_process(pid, signal).expect("a process of the node can be signalled by root");
}

/// The process of a pod's program, by its name and the pod's control group.
///
/// # Panics
/// Where there is no `/proc`.
pub fn process(pod: &Pod, program: &str) -> Option<Pid> {
    let uid = pod.uid().expect("a pod has a uid");
    // As the name of a control group has it.
    let mark = [format!("pod{uid}"), format!("pod{}", uid.replace('-', "_"))];
    let processes = fs::read_dir("/proc").expect("the machine's processes").filter_map(Result::ok);
    processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find_map(|pid: i32| {
        let folder = Path::new("/proc").join(pid.to_string());
        // Cut by the kernel after fifteen letters.
        let name = fs::read_to_string(folder.join("comm")).ok()?;
        let group = fs::read_to_string(folder.join("cgroup")).ok()?;
        let ours = program.starts_with(name.trim()) && mark.iter().any(|mark| group.contains(mark));
        ours.then(|| Pid::from_raw(pid)).flatten()
    })
}

/// Makes a loop of a pod's relay hang, where its image is one whose loops can be made to.
///
/// # Panics
/// When there is no such process, or it has no data folder.
pub fn stall(pod: &Pod, program: &str, name: &str) {
    let pid = process(pod, program).unwrap_or_else(|| panic!("no {program} runs in pod {}", pod.name_any()));
    let file = format!("/proc/{}/root/var/lib/visnyk/stall", pid.as_raw_nonzero());
    fs::write(&file, name).unwrap_or_else(|error| panic!("{file}: {error}"));
}
