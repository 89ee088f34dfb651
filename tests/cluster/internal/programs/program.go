// Package programs knows the cluster's programs: how each is configured, what
// it needs to be ready first, and how to tell that it is ready itself. One file
// for each group of programs; nothing here starts anything.
package programs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"visnyk.dev/cluster/internal/layout"
)

// Program is one thing the supervisor runs.
type Program struct {
	Name  string
	Path  string
	Args  []string
	Needs []string // names of programs that must be ready before this one starts
	Once  bool     // a task that ends, and is ready when it has ended well
	Ready Check    // of a program that runs on
}

// Check returns nil when the program does its work.
type Check func(context.Context) error

// For lists all programs of the cluster's tier, and writes their configuration.
func For(c layout.Cluster) ([]Program, error) {
	api, err := newAPI(c)
	if err != nil {
		return nil, err
	}
	all := []Program{etcd(c)}
	server, err := apiServer(c, api)
	if err != nil {
		return nil, err
	}
	all = append(all, server, controllerManager(c, api))
	if !c.RunsPods() {
		return all, nil
	}
	for _, build := range []func(layout.Cluster, apiClient) (Program, error){
		containerd, pauseImage, scheduler, kubelet, kubeProxy, dns, provisioner, metricsServer, objects,
	} {
		program, err := build(c, api)
		if err != nil {
			return nil, err
		}
		all = append(all, program)
	}
	return all, nil
}

// writeConfig writes a program's configuration file and returns its path.
func writeConfig(c layout.Cluster, name, text string) (string, error) {
	path := c.Path("conf", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return "", fmt.Errorf("write the configuration %s: %w", path, err)
	}
	return path, nil
}

func kubeconfig(c layout.Cluster, user string) string {
	return "--kubeconfig=" + c.Path("conf", user+".kubeconfig")
}
