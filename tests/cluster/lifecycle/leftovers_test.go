package lifecycle

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// leftovers lists all that the machine has of a cluster: processes, mounts,
// network namespaces, links, loop devices, cgroups, files. It looks for itself,
// and believes nothing that the cluster has written down.
func leftovers(t *testing.T, name string) (left []string) {
	t.Helper()
	cache := os.Getenv("VISNYK_CACHE")
	if cache == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		cache = filepath.Join(base, "visnyk")
	}
	folder := filepath.Join(cache, "clusters", name)
	add := func(kind, found string) { left = append(left, kind+" "+found) }

	for _, process := range glob(t, "/proc/[0-9]*") {
		command, _ := os.ReadFile(process + "/cmdline")
		groups, _ := os.ReadFile(process + "/cgroup")
		in := strings.Contains(string(groups), "/cluster-"+name+"/")
		if in || strings.Contains(string(command), folder+"/") || strings.Contains(string(command), folder+"\x00") {
			add("process", filepath.Base(process)+" "+strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(mounts), "\n") {
		if strings.Contains(line, folder) || strings.Contains(line, "/cni-") {
			add("mount", line)
		}
	}
	for _, file := range append(glob(t, "/run/netns/cni-*"), glob(t, "/sys/class/net/node0")...) {
		add("network", file)
	}
	for _, file := range glob(t, "/sys/block/loop*/loop/backing_file") {
		if image, _ := os.ReadFile(file); strings.Contains(string(image), folder+"/") {
			add("loop device", string(image))
		}
	}
	for _, cgroup := range append(glob(t, "/sys/fs/cgroup/cluster-"+name), glob(t, "/sys/fs/cgroup/*/cluster-"+name)...) {
		add("cgroup", cgroup)
	}
	for _, file := range glob(t, folder) {
		add("folder", file)
	}
	return left
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return found
}
