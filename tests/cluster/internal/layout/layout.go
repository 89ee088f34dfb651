// Package layout says where everything of one cluster is: its folder, its
// names, its addresses. It reads and writes cluster.json and nothing else.
//
// Everybody else gets a Cluster and asks it; no other package joins paths to
// the state folder or knows an address by heart.
package layout

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// A cluster is alone in its network namespace, so every cluster uses the same
// addresses; two of them never meet.
const (
	NodeName       = "node-1"
	NodeIP         = "10.77.0.1"
	ServiceCIDR    = "10.96.0.0/16"
	FirstServiceIP = "10.96.0.1" // the Service default/kubernetes
	PodCIDR        = "10.244.0.0/16"
	Domain         = "cluster.local"
	APIServer      = "https://" + NodeIP + ":6443"
	MetricsPort    = 4443
)

// The two tiers: an API server that answers, or a node that also runs pods.
const (
	ControlPlane = "control-plane"
	Node         = "node"
)

// Cluster is what cluster.json holds: all that a restart must find again.
type Cluster struct {
	Name       string `json:"name"`
	Tier       string `json:"tier"`
	Kubernetes string `json:"kubernetes"` // "1.37.2"
	Bin        string `json:"bin"`        // the release folder with every program
	Folder     string `json:"-"`
}

// Names end up in cgroups and file names, and the folder in a Unix socket's path.
var validName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// Folder is where the cluster of that name keeps its state.
func Folder(name string) (string, error) {
	if !validName.MatchString(name) {
		return "", fmt.Errorf("cluster name %q: use at most 32 lowercase letters, digits and dashes", name)
	}
	cache := os.Getenv("VISNYK_CACHE")
	if cache == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("look for the cache folder: %w", err)
		}
		cache = filepath.Join(base, "visnyk")
	}
	folder, err := filepath.Abs(filepath.Join(cache, "clusters", name))
	if err != nil {
		return "", err
	}
	// Inside the sandbox these three are the cluster's own (see package sandbox),
	// so a state folder below one of them would be hidden from its own programs.
	for _, taken := range []string{"/run", "/var/run", "/var/lib", "/var/log"} {
		if strings.HasPrefix(folder, taken+"/") {
			return "", fmt.Errorf("state folder %s is below %s: set VISNYK_CACHE to another folder", folder, taken)
		}
	}
	if socket := filepath.Join(folder, "control.sock"); len(socket) > 107 {
		return "", fmt.Errorf("socket path %s is longer than the 107 bytes a Unix socket may have: set VISNYK_CACHE to a shorter folder", socket)
	}
	return folder, nil
}

// Open reads cluster.json; an error for which os.IsNotExist holds means that
// there is no such cluster.
func Open(folder string) (Cluster, error) {
	cluster := Cluster{Folder: folder}
	text, err := os.ReadFile(cluster.Path("cluster.json"))
	if err != nil {
		return cluster, err
	}
	if err := json.Unmarshal(text, &cluster); err != nil {
		return cluster, fmt.Errorf("read %s: %w", cluster.Path("cluster.json"), err)
	}
	return cluster, nil
}

// Save writes cluster.json and the link to the programs, creating the folder.
func (c Cluster) Save() error {
	if err := os.MkdirAll(c.Folder, 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.Path("cluster.json"), append(text, '\n'), 0o644); err != nil {
		return err
	}
	// For the wrapper scripts, which look for programs here.
	if err := os.Remove(c.Path("bin")); err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.Symlink(c.Bin, c.Path("bin"))
}

// Path joins parts to the cluster's folder.
func (c Cluster) Path(parts ...string) string {
	return filepath.Join(append([]string{c.Folder}, parts...)...)
}

// Program is the path of a program of the release.
func (c Cluster) Program(name string) string { return filepath.Join(c.Bin, name) }

// Log is the file that a program's output goes to.
func (c Cluster) Log(program string) string { return c.Path("log", program+".log") }

// Kubeconfig is the administrator's; it works inside the cluster's network.
func (c Cluster) Kubeconfig() string { return c.Path("kubeconfig") }

// AuditLog holds one JSON line for each request the API server has answered.
func (c Cluster) AuditLog() string { return c.Path("log", "audit.jsonl") }

// CgroupParent is the one cgroup that all pods of this cluster are below.
func (c Cluster) CgroupParent() string { return "/cluster-" + c.Name }

// RunsPods says whether there is a kubelet.
func (c Cluster) RunsPods() bool { return c.Tier == Node }
