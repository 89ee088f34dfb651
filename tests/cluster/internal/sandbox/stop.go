package sandbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"visnyk.dev/cluster/internal/layout"
)

// Stop ends the cluster's first process, and with it all of them. The state
// folder stays. etcd and the volumes lose nothing: their pages are the kernel's.
func Stop(ctx context.Context, c layout.Cluster) error {
	if pid := Supervisor(c); pid != 0 {
		if err := Thaw(c.CgroupParent()); err != nil {
			return err
		}
		all := startTimes(OutsidePids(c))
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			return fmt.Errorf("end the supervisor, process %d: %w", pid, err)
		}
		if err := waitForProcesses(ctx, all); err != nil {
			return err
		}
	}
	if err := RemoveCgroups(ctx, c.CgroupParent()); err != nil {
		return err
	}
	return waitForLoopDevices(ctx, c)
}

// startTimes is what tells these processes from later ones with the same ids.
func startTimes(pids map[int]int) map[int]string {
	times := map[int]string{}
	for _, pid := range pids {
		if started, err := startTime(pid); err == nil {
			times[pid] = started
		}
	}
	return times
}

// waitForProcesses waits until each has ended. The supervisor's first thread can
// be gone while another of its threads still has the kernel end all the rest.
func waitForProcesses(ctx context.Context, times map[int]string) error {
	for pid, recorded := range times {
		for {
			if started, err := startTime(pid); err != nil || started != recorded {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("wait for process %d to end: %w", pid, ctx.Err())
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	return nil
}

// waitForLoopDevices waits until the kernel has let go of the volumes' images.
func waitForLoopDevices(ctx context.Context, c layout.Cluster) error {
	for {
		held, err := LoopDevices(c)
		if err != nil || len(held) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for loop devices: %s still hold files of %s", strings.Join(held, ", "), c.Folder)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// LoopDevices lists the loop devices whose image lies in the cluster's folder.
func LoopDevices(c layout.Cluster) (held []string, err error) {
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		image, err := os.ReadFile(file)
		if err != nil {
			continue // freed while we looked
		}
		if within(strings.TrimSpace(string(image)), c.Folder) {
			held = append(held, "/dev/"+strings.Split(file, "/")[3])
		}
	}
	return held, nil
}

// Visitors lists processes that are in the cluster's network but not of the
// cluster: what `enter` has started. They are their owner's to end.
func Visitors(c layout.Cluster) (visitors []string) {
	supervisor := Supervisor(c)
	network, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", supervisor))
	if err != nil {
		return nil
	}
	processes, _ := filepath.Glob("/proc/[0-9]*")
	own, _ := os.Readlink("/proc/self/ns/pid")
	for _, process := range processes {
		in, err := os.Readlink(process + "/ns/net")
		if err != nil || in != network {
			continue
		}
		if space, _ := os.Readlink(process + "/ns/pid"); space != own {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(process))
		command, _ := os.ReadFile(process + "/comm")
		visitors = append(visitors, fmt.Sprintf("%d (%s)", pid, strings.TrimSpace(string(command))))
	}
	return visitors
}
