// Package sandbox is the room a cluster lives in: a process, a mount and a
// network namespace of its own, and one cgroup for its pods.
//
// The supervisor is the first process in that room. When it ends, however it
// ends, the kernel ends every process it has started, pods and their shims too,
// and with the last of them go all mounts, loop devices, network interfaces and
// rules. What the kernel does not take back are cgroups: see cgroup.go.
package sandbox

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"visnyk.dev/cluster/internal/layout"
)

// Start begins the supervisor in new namespaces and records who it is.
// It does not wait for anything to be ready.
func Start(c layout.Cluster) error {
	if err := os.MkdirAll(c.Path("log"), 0o755); err != nil {
		return err
	}
	log, err := os.OpenFile(c.Log("supervisor"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	supervisor := exec.Command(c.Program("cluster"), "supervise", c.Folder)
	supervisor.Dir = "/"
	supervisor.Stdout, supervisor.Stderr = log, log
	supervisor.Env = []string{"PATH=" + c.Bin + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"}
	supervisor.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET,
		Setsid:     true,
	}
	if err := supervisor.Start(); err != nil {
		return fmt.Errorf("start %s in namespaces of its own (this needs root): %w", supervisor.Path, err)
	}
	started, err := startTime(supervisor.Process.Pid)
	if err != nil {
		return err
	}
	// Read by the wrapper scripts too, which is why it is not JSON.
	record := fmt.Sprintf("%d %s\n", supervisor.Process.Pid, started)
	if err := os.WriteFile(c.Path("supervisor"), []byte(record), 0o644); err != nil {
		return err
	}
	return supervisor.Process.Release()
}

// Supervisor is the process id of the running supervisor, or 0. Ids are used
// again, so the recorded start time has to match as well.
func Supervisor(c layout.Cluster) int {
	text, err := os.ReadFile(c.Path("supervisor"))
	if err != nil {
		return 0
	}
	pid, recorded, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	number, err := strconv.Atoi(pid)
	if err != nil {
		return 0
	}
	if started, err := startTime(number); err != nil || started != recorded {
		return 0
	}
	return number
}

// startTime is field 22 of /proc/PID/stat, in clock ticks since boot. A zombie
// has ended: it counts as gone.
func startTime(pid int) (string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// The command's name, in brackets, may hold spaces and brackets itself.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return "", fmt.Errorf("process %d has ended", pid)
	}
	return fields[19], nil
}
