// Bootstrap builds what a cluster runs on, once, and keeps it in the user's
// cache. It needs only Go's standard library, so that `go run` has it at once.
//
//	main.go        arguments, and the release: a folder that has every program
//	component.go   what each program is built from, and the key it is cached by
//	packages.go    what has to come from the distribution
//	pin.go         writes the go.mod of a Kubernetes version
package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const usage = "release (build what is missing, print the folder), or pin VERSION (write the go.mod of that Kubernetes version)"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "bootstrap: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	home, err := clusterFolder()
	if err != nil {
		return err
	}
	switch {
	case len(args) == 1 && args[0] == "release":
		folder, err := release(home, os.Getenv("KUBERNETES_VERSION"))
		if err == nil {
			fmt.Println(folder)
		}
		return err
	case len(args) == 2 && args[0] == "pin":
		return pin(home, args[1])
	default:
		return errors.New(usage)
	}
}

// clusterFolder is tests/cluster: `go run -C tests/cluster/bootstrap .` runs in
// the folder below it.
func clusterFolder() (string, error) {
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(here, "..", "kubernetes.go")); err != nil {
		return "", fmt.Errorf("%s is not tests/cluster/bootstrap: run it as `go run -C tests/cluster/bootstrap .`", here)
	}
	return filepath.Dir(here), nil
}

// release makes a folder of links to every program, building what is missing.
func release(home, version string) (string, error) {
	if err := installPackages(); err != nil {
		return "", err
	}
	cache, err := cacheFolder()
	if err != nil {
		return "", err
	}
	all, err := components(home, version)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, c := range all {
		if err := c.ensure(cache); err != nil {
			return "", err
		}
		fmt.Fprintln(sum, c.folder(cache))
	}
	folder := filepath.Join(cache, fmt.Sprintf("release-%.6x", sum.Sum(nil)))
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	unfinished, err := os.MkdirTemp(cache, "release-")
	if err != nil {
		return "", err
	}
	for _, c := range all {
		for name, target := range c.programs {
			if err := os.Symlink(filepath.Join(c.folder(cache), target), filepath.Join(unfinished, name)); err != nil {
				return "", err
			}
		}
	}
	if err := os.Chmod(unfinished, 0o755); err != nil {
		return "", err
	}
	// Two of us may be at it: the one that comes second finds the same content.
	if err := os.Rename(unfinished, folder); err != nil {
		if _, found := os.Stat(folder); found != nil {
			return "", err
		}
		return folder, os.RemoveAll(unfinished)
	}
	return folder, nil
}

func cacheFolder() (string, error) {
	cache := os.Getenv("VISNYK_CACHE")
	if cache == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(base, "visnyk")
	}
	cache, err := filepath.Abs(filepath.Join(cache, "bin"))
	if err != nil {
		return "", err
	}
	return cache, os.MkdirAll(cache, 0o755)
}
