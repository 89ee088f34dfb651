package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// sources lists the files that the multi-call binary is built from: those of
// its module, without tests and without the modules in the folders below.
func sources(home string) (files []string, err error) {
	err = filepath.WalkDir(home, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil && path != home {
				return filepath.SkipDir
			}
			return nil
		}
		isSource := strings.HasSuffix(path, ".go") || strings.HasSuffix(path, ".yaml")
		if isSource && !strings.HasSuffix(path, "_test.go") {
			files = append(files, path)
		}
		return nil
	})
	return files, err
}

var kubernetesLine = regexp.MustCompile(`(?m)^\s*k8s\.io/kubernetes v(\S+)$`)

// pinnedVersion is the Kubernetes version that a go.mod requires.
func pinnedVersion(modfile string) (string, error) {
	text, err := os.ReadFile(modfile)
	if err != nil {
		return "", err
	}
	found := kubernetesLine.FindSubmatch(text)
	if found == nil {
		return "", fmt.Errorf("%s does not require k8s.io/kubernetes", modfile)
	}
	return string(found[1]), nil
}

// verify downloads a module and compares its sum with the one written here.
func verify(path, version, sum string) error {
	output, err := exec.Command("go", "mod", "download", "-json", path+"@"+version).Output()
	if err != nil {
		return fmt.Errorf("download %s@%s: %w", path, version, err)
	}
	var module struct{ Sum string }
	if err := json.Unmarshal(output, &module); err != nil {
		return err
	}
	if module.Sum != sum {
		return fmt.Errorf("%s@%s has the sum %s, not the %s written in component.go", path, version, module.Sum, sum)
	}
	return nil
}

// pauseImage is the image of the process that holds a pod together, as a file.
func pauseImage(home string) component {
	c := ownModule(home, "pause")
	c.inputs = append(c.inputs, filepath.Join(home, "pause", "Dockerfile"))
	c.programs = map[string]string{"pause.tar": "pause.tar"}
	compile := c.build
	c.build = func(into string) error {
		if err := compile(into); err != nil {
			return err
		}
		// An image store of its own, thrown away: buildah's usual one is the user's.
		store, err := os.MkdirTemp("", "pause-image-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(store)
		const image = "localhost/pause:1"
		buildah := []string{"--root", store + "/root", "--runroot", store + "/run", "--storage-driver", "vfs"}
		if err := runTool(into, nil, "buildah", append(buildah, "build", "--quiet", "--isolation", "chroot", "-t", image,
			"-f", filepath.Join(home, "pause", "Dockerfile"), into)...); err != nil {
			return err
		}
		return runTool(into, nil, "buildah", append(buildah, "push", "--quiet", image, "docker-archive:"+into+"/pause.tar:"+image)...)
	}
	return c
}
