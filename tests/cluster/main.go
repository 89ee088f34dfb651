// A real Kubernetes in one program, for tests: where there is no docker engine,
// no kind and no internet, this is what `make cluster-up` starts.
//
// The binary is every program of the cluster that comes as a Go module of
// Kubernetes' own (kubernetes.go), chosen by the name it is called by. Called
// `cluster`, it is the command line below:
//
//	main.go             arguments
//	internal/command    up, down, status, load: run by people, on the machine
//	internal/sandbox    the namespaces, mounts, network and cgroup a cluster lives in
//	internal/supervise  the first process in there: starts programs, keeps them running
//	internal/programs   what each program is told, and when it is ready
//	internal/storage    volumes
//	internal/pki        certificates
//	internal/layout     names, folders, addresses
//
// bootstrap/ builds it, coredns/ and pause/ are programs with modules of their own.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"visnyk.dev/cluster/internal/command"
	"visnyk.dev/cluster/internal/layout"
	"visnyk.dev/cluster/internal/sandbox"
	"visnyk.dev/cluster/internal/storage"
	"visnyk.dev/cluster/internal/supervise"
)

func main() {
	name := filepath.Base(os.Args[0])
	if program, known := kubernetesPrograms[name]; known {
		program()
		return
	}
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "cluster: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("say what to do: %s", command.Usage)
	}
	switch args[0] {
	case "supervise", "provisioner":
		if len(args) != 2 {
			return fmt.Errorf("%s takes the cluster's folder", args[0])
		}
		cluster, err := layout.Open(args[1])
		if err != nil {
			return err
		}
		if args[0] == "provisioner" {
			return storage.Run(ctx, cluster)
		}
		if err := sandbox.Prepare(cluster); err != nil {
			return err
		}
		if cluster.RunsPods() {
			if err := storage.NewDisks(cluster).MountAll(); err != nil {
				return err
			}
		}
		return supervise.Run(cluster)
	default:
		return command.Run(ctx, args)
	}
}
