// Package command is what people run: up, down, status, load. It works from
// the machine's side; everything inside the sandbox is the supervisor's.
package command

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/component-base/version"

	"visnyk.dev/cluster/internal/layout"
)

// Usage lists the commands.
const Usage = "up, down, status or load FILE..., each with --name NAME; up also with --tier node|control-plane"

// Run runs one command line.
func Run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	name := flags.String("name", "visnyk", "name of the cluster")
	tier := flags.String("tier", layout.Node, "what to start: node, or control-plane alone")
	bin := flags.String("bin", "", "folder of the release to run")
	patience := flags.Duration("wait", 2*time.Minute, "how long to wait before giving up")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	folder, err := layout.Folder(*name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, *patience)
	defer cancel()
	switch args[0] {
	case "up":
		if *tier != layout.Node && *tier != layout.ControlPlane {
			return fmt.Errorf("tier %q: use %s or %s", *tier, layout.Node, layout.ControlPlane)
		}
		return up(ctx, layout.Cluster{Name: *name, Tier: *tier, Kubernetes: kubernetesVersion(), Bin: *bin, Folder: folder})
	case "down":
		return down(ctx, folder)
	case "status":
		return status(ctx, folder)
	case "load":
		return load(ctx, folder, flags.Args())
	default:
		return fmt.Errorf("%q is no command: %s", args[0], Usage)
	}
}

// kubernetesVersion is the one this binary was linked with: "1.37.2".
func kubernetesVersion() string { return strings.TrimPrefix(version.Get().GitVersion, "v") }

// lock keeps two commands from working on one cluster at a time. The lock goes
// with the process, and its file with the folder.
func lock(folder string) (unlock func(), err error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(folder, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
		return nil, fmt.Errorf("lock %s: %w", folder, err)
	}
	return func() { _ = file.Close() }, nil
}
