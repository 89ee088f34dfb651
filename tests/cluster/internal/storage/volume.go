// Package storage provides volumes as users have them: of the size asked for,
// empty, with a file system of their own, provisioned on demand. Each is an ext4 image in the cluster's folder, mounted by a loop device.
//
// They do not grow: ext4 grows in use only for CAP_SYS_RESOURCE, which is not to
// be had everywhere.
//
// volume.go deals with images and mounts, provision.go with claims.
package storage

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"visnyk.dev/cluster/internal/layout"
)

// mounts is where volumes are mounted, inside the sandbox.
const mounts = "/var/lib/volumes"

// A smaller ext4 has no room for a journal, and would not behave as users' volumes do.
const smallest = 8 << 20

// Disks holds a cluster's volumes.
type Disks struct{ folder string }

// NewDisks finds the volumes of a cluster.
func NewDisks(c layout.Cluster) Disks { return Disks{folder: c.Path("volumes")} }

func (d Disks) image(volume string) string { return filepath.Join(d.folder, volume+".ext4") }
func mountPoint(volume string) string      { return filepath.Join(mounts, volume) }

// Create makes and mounts a volume of exactly that many bytes, file system
// included, as a disk would have. Creating it again is no error.
func (d Disks) Create(volume string, bytes int64) error {
	bytes = max(bytes, smallest)
	if err := os.MkdirAll(d.folder, 0o755); err != nil {
		return err
	}
	// Formatted under another name: a half-made image is never taken for a volume.
	unfinished := d.image(volume) + ".new"
	if _, err := os.Stat(d.image(volume)); os.IsNotExist(err) {
		if err := sparseFile(unfinished, bytes); err != nil {
			return err
		}
		// No blocks reserved for root: a pod may fill all of its volume.
		if err := run("mkfs.ext4", "-q", "-F", "-m", "0", unfinished); err != nil {
			return err
		}
		if err := os.Rename(unfinished, d.image(volume)); err != nil {
			return err
		}
	}
	return d.mount(volume)
}

func (d Disks) mount(volume string) error {
	if isMounted(volume) {
		return nil
	}
	if err := os.MkdirAll(mountPoint(volume), 0o755); err != nil {
		return err
	}
	return run("mount", "-t", "ext4", "-o", "loop", d.image(volume), mountPoint(volume))
}

// MountAll mounts every volume there is. It has to be done before the kubelet
// starts: that would take an empty mount point for the volume.
func (d Disks) MountAll() error {
	images, err := filepath.Glob(d.image("*"))
	if err != nil {
		return err
	}
	for _, image := range images {
		if err := d.mount(strings.TrimSuffix(filepath.Base(image), ".ext4")); err != nil {
			return err
		}
	}
	return nil
}

// Remove unmounts and deletes the volume. Removing it again is no error.
func (d Disks) Remove(volume string) error {
	if isMounted(volume) {
		if err := unix.Unmount(mountPoint(volume), 0); err != nil {
			return fmt.Errorf("unmount volume %s: %w", volume, err)
		}
	}
	if err := os.RemoveAll(d.image(volume)); err != nil {
		return err
	}
	return os.RemoveAll(mountPoint(volume))
}

// sparseFile takes of the disk only what is written to it later.
func sparseFile(path string, bytes int64) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := file.Truncate(bytes); err != nil {
		return fmt.Errorf("make %s of %d bytes: %w", path, bytes, err)
	}
	return nil
}

func isMounted(volume string) bool {
	return exec.Command("mountpoint", "-q", mountPoint(volume)).Run() == nil
}

func run(program string, args ...string) error {
	output, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, bytes.TrimSpace(output))
	}
	return nil
}
