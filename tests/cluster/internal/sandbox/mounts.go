package sandbox

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"visnyk.dev/cluster/internal/layout"
)

// prepareMounts gives the cluster a /run, /var/lib and /var/log of its own, so
// that containerd, the kubelet, CNI and iptables find everything at its usual
// place and leave nothing on the machine. Called by the supervisor, as process 1.
func prepareMounts(c layout.Cluster) error {
	// Towards the machine: follow its unmounts, show it none of our mounts.
	// Among ourselves: share, which mountPropagation of pods depends on.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("make the mounts our own: %w", err)
	}
	if err := dropLoopMounts(c); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share the mounts with the pods: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	if err := os.MkdirAll("/run/lock", 0o755); err != nil {
		return err
	}
	for target, source := range map[string]string{"/var/lib": "lib", "/var/log": "log/pods"} {
		source = c.Path(source)
		if err := os.MkdirAll(source, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s on %s: %w", source, target, err)
		}
	}
	return nil
}

// dropLoopMounts lets go of the copies of other people's loop mounts: held
// here, their devices could not be freed after they are unmounted outside.
func dropLoopMounts(c layout.Cluster) error {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	defer file.Close()
	var targets []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		before, after, _ := strings.Cut(lines.Text(), " - ")
		source := strings.Fields(after)[1]
		target := strings.Fields(before)[4]
		needed := within(c.Folder, target) || within(c.Bin, target) || within("/usr", target)
		if strings.HasPrefix(source, "/dev/loop") && !needed {
			targets = append(targets, target)
		}
	}
	for _, target := range targets {
		err := unix.Unmount(target, unix.MNT_DETACH)
		// Unmounted outside since it was listed, and therefore here, too.
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
			continue
		}
		if err != nil {
			return fmt.Errorf("let go of the loop mount %s: %w", target, err)
		}
	}
	return nil
}

// within says whether path is folder or below it.
func within(path, folder string) bool {
	relative, err := filepath.Rel(folder, path)
	return err == nil && relative != ".." && !strings.HasPrefix(relative, "../")
}
