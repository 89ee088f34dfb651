package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// component is one build: the programs it yields and all that decides them.
type component struct {
	name     string
	inputs   []string          // files, by content
	settings []string          // module versions and sums, flags
	programs map[string]string // name in the release -> file of the build
	build    func(into string) error
}

// Without inlining and debug data a cold build takes two thirds of the time.
// The programs are a little slower for it, and run for minutes only.
const quickly = "-gcflags=all=-dwarf=false -l"

// The modules built as they are. The sum is the module proxy's own (go.sum's
// h1:), checked before each build; a new version needs a new one.
var modules = []struct {
	path, version, sum string
	commands           []string
	tags               string
}{
	{"github.com/containerd/containerd/v2", "v2.4.2", "h1:p6Qg+xbEz8lvwdhHDx0U469xENvp4LgGBx+E7djXkGw=",
		[]string{"containerd", "containerd-shim-runc-v2", "ctr"}, "no_btrfs,no_devmapper,no_zfs"},
	{"sigs.k8s.io/metrics-server", "v0.9.0", "h1:nlqqZ2H0Xfko8eJC/1qaNVVT17hu4rxndkOi22KTZ4w=", []string{"metrics-server"}, ""},
	{"helm.sh/helm/v4", "v4.3.1", "h1:UndCoLe9UPmNoL7IvWzaUXveL7T5t/ijoorEmgJdI9g=", []string{"helm"}, ""},
}

func components(home, version string) ([]component, error) {
	kubernetes, err := kubernetesComponent(home, version)
	if err != nil {
		return nil, err
	}
	all := []component{kubernetes, ownModule(home, "coredns"), pauseImage(home)}
	for _, m := range modules {
		programs := map[string]string{}
		for _, command := range m.commands {
			programs[command] = command
		}
		all = append(all, component{
			name:     filepath.Base(m.commands[0]),
			settings: append([]string{m.path, m.version, m.sum, m.tags, quickly}, m.commands...),
			programs: programs,
			build: func(into string) error {
				if err := verify(m.path, m.version, m.sum); err != nil {
					return err
				}
				args := []string{"install", "-trimpath", quickly, "-ldflags=-s -w", "-tags=" + m.tags}
				for _, command := range m.commands {
					args = append(args, m.path+"/cmd/"+command+"@"+m.version)
				}
				return runTool(os.TempDir(), []string{"GOBIN=" + into}, "go", args...)
			},
		})
	}
	return all, nil
}

// kubernetesComponent is the multi-call binary, of the default or a pinned version.
func kubernetesComponent(home, version string) (component, error) {
	modfile := filepath.Join(home, "go.mod")
	found, err := pinnedVersion(modfile)
	if err != nil {
		return component{}, err
	}
	if version != "" && version != found {
		modfile = filepath.Join(home, "versions", version, "go.mod")
		if found, err = pinnedVersion(modfile); err != nil {
			return component{}, fmt.Errorf("KUBERNETES_VERSION=%s is not pinned (go run -C tests/cluster/bootstrap . pin %[1]s pins it): %w", version, err)
		}
	}
	parts := strings.Split(found, ".")
	const versions = "k8s.io/component-base/version."
	flags := fmt.Sprintf("-s -w -X %[1]sgitVersion=v%[2]s -X %[1]sgitMajor=%[3]s -X %[1]sgitMinor=%[4]s", versions, found, parts[0], parts[1])
	inputs, err := sources(home)
	if err != nil {
		return component{}, err
	}
	programs := map[string]string{"cluster": "cluster"}
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl"} {
		programs[name] = "cluster"
	}
	return component{
		name:     "kubernetes-" + found,
		inputs:   append(inputs, modfile, strings.TrimSuffix(modfile, ".mod")+".sum"),
		settings: []string{flags, quickly},
		programs: programs,
		build: func(into string) error {
			return runTool(home, nil, "go", "build", "-trimpath", "-buildvcs=false", quickly, "-modfile="+modfile, "-ldflags="+flags, "-o", filepath.Join(into, "cluster"), ".")
		},
	}, nil
}

// ownModule is a folder of ours with a main and a go.mod.
func ownModule(home, name string) component {
	folder := filepath.Join(home, name)
	return component{
		name:     name,
		inputs:   []string{filepath.Join(folder, "main.go"), filepath.Join(folder, "go.mod"), filepath.Join(folder, "go.sum")},
		settings: []string{quickly},
		programs: map[string]string{name: name},
		build: func(into string) error {
			return runTool(folder, nil, "go", "build", "-trimpath", "-buildvcs=false", quickly, "-ldflags=-s -w", "-o", filepath.Join(into, name), ".")
		},
	}
}

func (c component) folder(cache string) string {
	sum := sha256.New()
	fmt.Fprintln(sum, runtime.Version(), strings.Join(c.settings, "\n"))
	for _, input := range c.inputs {
		if file, err := os.Open(input); err == nil { // coredns has a go.sum, pause needs none
			_, _ = io.Copy(sum, file)
			_ = file.Close()
		}
	}
	return filepath.Join(cache, c.name+"-"+hex.EncodeToString(sum.Sum(nil)[:6]))
}

// ensure builds the component unless the cache has it. A build that fails
// leaves nothing that could be taken for a result.
func (c component) ensure(cache string) error {
	if _, err := os.Stat(c.folder(cache)); err == nil {
		return nil
	}
	began := time.Now()
	fmt.Fprintf(os.Stderr, "building %s\n", c.name)
	unfinished, err := os.MkdirTemp(cache, c.name+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(unfinished)
	if err := c.build(unfinished); err != nil {
		return fmt.Errorf("build %s: %w", c.name, err)
	}
	if err := os.Chmod(unfinished, 0o755); err != nil {
		return err
	}
	if err := os.Rename(unfinished, c.folder(cache)); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "built %s in %.0f s\n", c.name, time.Since(began).Seconds())
	return nil
}

// runTool runs a tool with its output where people see it; stdout is for results.
func runTool(folder string, environment []string, program string, args ...string) error {
	command := exec.Command(program, args...)
	command.Dir = folder
	command.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off"), environment...)
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", program, strings.Join(args, " "), err)
	}
	return nil
}
