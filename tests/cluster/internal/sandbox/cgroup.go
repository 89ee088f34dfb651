package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// hierarchies lists where cgroups are mounted: one folder for each controller
// in version 1, a single one in version 2, both kinds side by side on a hybrid.
func hierarchies() (v1 []string, v2 string, err error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, "", err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		before, after, _ := strings.Cut(lines.Text(), " - ")
		target := strings.Fields(before)[4]
		switch strings.Fields(after)[0] {
		case "cgroup":
			v1 = append(v1, target)
		case "cgroup2":
			v2 = target
		}
	}
	return v1, v2, nil
}

// What a group gets of the processors beside everything else on the machine, all
// its pods together: eight times the usual. A machine that builds at the same
// time would otherwise leave the operator too little to keep its lease.
const (
	cpuShares = "8192" // version 1, usually 1,024
	cpuWeight = "800"  // version 2, usually 100
)

// createCgroups makes the cluster's parent cgroup: the kubelet wants to find it.
func createCgroups(parent string) error {
	v1, v2, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range v1 {
		if err := os.MkdirAll(filepath.Join(root, parent), 0o755); err != nil {
			return fmt.Errorf("create cgroup %s: %w", parent, err)
		}
	}
	if err := favour(parent, "cpu.shares", cpuShares, v1...); err != nil {
		return err
	}
	if v2 == "" || len(v1) > 0 {
		return nil
	}
	// In version 2 a controller reaches a cgroup only if every cgroup above passes it on.
	for _, folder := range []string{v2, filepath.Join(v2, parent)} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return fmt.Errorf("create cgroup %s: %w", parent, err)
		}
		control := filepath.Join(folder, "cgroup.subtree_control")
		if err := os.WriteFile(control, []byte("+cpu +cpuset +memory +pids +io"), 0o644); err != nil {
			return fmt.Errorf("pass the controllers on in %s: %w", folder, err)
		}
	}
	return favour(parent, "cpu.weight", cpuWeight, v2)
}

// favour writes the group's part of the processors where a hierarchy has it.
func favour(parent, name, value string, roots ...string) error {
	for _, root := range roots {
		file := filepath.Join(root, parent, name)
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.WriteFile(file, []byte(value), 0o644); err != nil {
			return fmt.Errorf("give the pods their part of the processors: %w", err)
		}
	}
	return nil
}

// RemoveCgroups removes the parent and all below it, waiting for the kernel to
// finish with processes that have just been killed.
func RemoveCgroups(ctx context.Context, parent string) error {
	v1, v2, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range append(v1, v2) {
		if root == "" {
			continue
		}
		if err := removeTree(ctx, filepath.Join(root, parent)); err != nil {
			return err
		}
	}
	return nil
}

// removeTree removes a cgroup's folders from the leaves up. Their files cannot
// be removed and need not be, so os.RemoveAll will not do.
func removeTree(ctx context.Context, root string) error {
	for _, folder := range slices.Backward(folders(root)) {
		for {
			err := unix.Rmdir(folder)
			if err == nil || errors.Is(err, unix.ENOENT) {
				break
			}
			if !errors.Is(err, unix.EBUSY) {
				return fmt.Errorf("remove cgroup %s: %w", folder, err)
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("remove cgroup %s: it still holds processes", folder)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return nil
}

// Thaw wakes what is frozen below the parent: a frozen process cannot die.
func Thaw(parent string) error {
	v1, v2, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range append(v1, v2) {
		for _, folder := range folders(filepath.Join(root, parent)) {
			for file, awake := range map[string]string{"freezer.state": "THAWED", "cgroup.freeze": "0"} {
				path := filepath.Join(folder, file)
				if _, err := os.Stat(path); err != nil {
					continue
				}
				if err := os.WriteFile(path, []byte(awake), 0o644); err != nil {
					return fmt.Errorf("thaw %s: %w", folder, err)
				}
			}
		}
	}
	return nil
}

// folders lists root and all folders below it, parents first; none if it is absent.
func folders(root string) (found []string) {
	_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			found = append(found, path)
		}
		return nil // a cgroup may vanish while we look: that is what we want of it
	})
	return found
}
