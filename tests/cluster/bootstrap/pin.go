package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// The storage library is the one dependency that is not decided by Kubernetes.
const storageLibrary = "sigs.k8s.io/sig-storage-lib-external-provisioner/v13 v13.1.0"

// Modules that Kubernetes needs in the version it was released with, and of which
// something else wants a newer one that it does not compile with.
var heldBack = []string{"github.com/container-storage-interface/spec"}

var stagingLine = regexp.MustCompile(`(?m)^\t(k8s\.io/\S+) => \./staging/`)

// pin writes versions/VERSION/go.mod and go.sum. k8s.io/kubernetes refers to
// its libraries by folders of its own repository, which a module that depends
// on it has to replace by their published v0 twins.
func pin(home, version string) error {
	output, err := exec.Command("go", "mod", "download", "-json", "k8s.io/kubernetes@v"+version).Output()
	if err != nil {
		return fmt.Errorf("download k8s.io/kubernetes v%s: %w: %s", version, err, output)
	}
	var module struct{ GoMod string }
	if err := json.Unmarshal(output, &module); err != nil {
		return err
	}
	kubernetes, err := os.ReadFile(module.GoMod)
	if err != nil {
		return err
	}
	minor, err := minorAndPatch(version)
	if err != nil {
		return err
	}
	text := &bytes.Buffer{}
	fmt.Fprintf(text, "// Written by: go run -C tests/cluster/bootstrap . pin %s\n", version)
	fmt.Fprintf(text, "module visnyk.dev/cluster\n\ngo 1.26.0\n\nrequire (\n\tk8s.io/kubernetes v%s\n\t%s\n)\n\nreplace (\n", version, storageLibrary)
	for _, found := range stagingLine.FindAllSubmatch(kubernetes, -1) {
		fmt.Fprintf(text, "\t%[1]s => %[1]s v0.%[2]s\n", found[1], minor)
	}
	for _, path := range heldBack {
		if found := regexp.MustCompile(`(?m)^\t` + path + ` (v\S+)`).FindSubmatch(kubernetes); found != nil {
			fmt.Fprintf(text, "\t%[1]s => %[1]s %[2]s\n", path, found[1])
		}
	}
	fmt.Fprintln(text, ")")
	folder := filepath.Join(home, "versions", version)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	modfile := filepath.Join(folder, "go.mod")
	if err := os.WriteFile(modfile, text.Bytes(), 0o644); err != nil {
		return err
	}
	return runTool(home, nil, "go", "mod", "tidy", "-modfile="+modfile)
}

// minorAndPatch is "37.2" of "1.37.2".
func minorAndPatch(version string) (string, error) {
	rest, found := strings.CutPrefix(version, "1.")
	if !found {
		return "", fmt.Errorf("version %q: say it as 1.37.2", version)
	}
	return rest, nil
}
