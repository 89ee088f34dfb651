package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// What the cluster calls on the machine, and the Debian package that has it.
var packages = []struct{ program, name string }{
	{"runc", "runc"},
	{"buildah", "buildah"},
	{"iptables", "iptables"},
	{"conntrack", "conntrack"},
	{"mkfs.ext4", "e2fsprogs"},
	{"losetup", "mount"},
	{"nsenter", "util-linux"},
	{"/usr/lib/cni/ptp", "containernetworking-plugins"},
}

// installPackages installs what is missing, where there is apt; elsewhere it
// says what to install.
func installPackages() error {
	var missing []string
	for _, p := range packages {
		if _, err := exec.LookPath(p.program); err != nil {
			missing = append(missing, p.name)
		}
	}
	if _, err := os.Stat("/etc/ssl/certs/ca-certificates.crt"); err != nil {
		missing = append(missing, "ca-certificates")
	}
	if len(missing) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("install these Debian packages' counterparts first: %s", strings.Join(missing, " "))
	}
	fmt.Fprintf(os.Stderr, "installing %s\n", strings.Join(missing, " "))
	if err := runTool("/", nil, "apt-get", "update", "-qq"); err != nil {
		return err
	}
	install := append([]string{"install", "-y", "-qq", "--no-install-recommends"}, missing...)
	return runTool("/", []string{"DEBIAN_FRONTEND=noninteractive"}, "apt-get", install...)
}
