package programs

import (
	"fmt"

	"visnyk.dev/cluster/internal/layout"
)

// Inside the sandbox /run and /var/lib are the cluster's own, so this is the
// place where every tool looks for containerd anyway.
const containerdSocket = "/run/containerd/containerd.sock"

// Each pod gets a point-to-point link, so all traffic between pods is routed
// and passes kube-proxy's rules: a bridge would need the kernel's br_netfilter.
const podNetwork = `{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [
    {
      "type": "ptp",
      "ipam": {
        "type": "host-local",
        "dataDir": "/run/pod-addresses",
        "ranges": [[{"subnet": "10.244.0.0/24"}]],
        "routes": [{"dst": "0.0.0.0/0"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`

func containerd(c layout.Cluster, _ apiClient) (Program, error) {
	if _, err := writeConfig(c, "cni/pods.conflist", podNetwork); err != nil {
		return Program{}, err
	}
	config, err := writeConfig(c, "containerd.toml", lines(
		"version = 3",
		"[plugins.'io.containerd.cri.v1.images'.pinned_images]",
		"sandbox = 'localhost/pause:1'",
		"[plugins.'io.containerd.cri.v1.runtime']",
		// Without CAP_SYS_RESOURCE no process may lower its score, and every
		// sandbox would fail with "can't get final child's PID from pipe: EOF".
		"restrict_oom_score_adj = true",
		"[plugins.'io.containerd.cri.v1.runtime'.cni]",
		"bin_dirs = ['/usr/lib/cni']",
		fmt.Sprintf("conf_dir = '%s'", c.Path("conf", "cni")),
		"[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]",
		"runtime_type = 'io.containerd.runc.v2'",
	))
	if err != nil {
		return Program{}, err
	}
	return Program{
		Name: "containerd", Path: c.Program("containerd"), Args: []string{"--config", config},
		Ready: listens(containerdSocket),
	}, nil
}

// pauseImage brings the one image that every pod needs.
func pauseImage(c layout.Cluster, _ apiClient) (Program, error) {
	return Program{
		Name: "pause-image", Path: c.Program("ctr"),
		Args:  []string{"-n", "k8s.io", "images", "import", c.Program("pause.tar")},
		Needs: []string{"containerd"},
		Once:  true,
	}, nil
}

func kubelet(c layout.Cluster, api apiClient) (Program, error) {
	pki := func(file string) string { return c.Path("pki", file) }
	config, err := writeConfig(c, "kubelet.yaml", lines(
		"apiVersion: kubelet.config.k8s.io/v1beta1",
		"kind: KubeletConfiguration",
		"containerRuntimeEndpoint: unix://"+containerdSocket,
		"address: "+layout.NodeIP,
		"authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: "+pki("ca.crt")+"}}",
		"authorization: {mode: Webhook}",
		"tlsCertFile: "+pki("node.crt"),
		"tlsPrivateKeyFile: "+pki("node.key"),
		"clusterDomain: "+layout.Domain,
		"clusterDNS: ["+layout.NodeIP+"]",
		"resolvConf: ''",
		"cgroupDriver: cgroupfs",
		"cgroupRoot: "+c.CgroupParent(),
		"failCgroupV1: false",
		"failSwapOn: false",
		"enforceNodeAllocatable: []",
		// The machine is shared with builds: a full disk is theirs to answer for,
		// and images that tests have loaded cannot be pulled again.
		"evictionHard: {memory.available: 100Mi, nodefs.available: 0%, imagefs.available: 0%}",
		"imageGCHighThresholdPercent: 100",
	))
	if err != nil {
		return Program{}, err
	}
	return Program{
		Name: "kubelet", Path: c.Program("kubelet"),
		Args: []string{
			"--config=" + config, kubeconfig(c, "node"),
			"--hostname-override=" + layout.NodeName, "--node-ip=" + layout.NodeIP,
		},
		Needs: []string{"containerd", "pause-image", "kube-apiserver"},
		Ready: every(
			answers("http://127.0.0.1:10248/healthz"),
			api.condition("/api/v1/nodes/"+layout.NodeName, "Ready"),
		),
	}, nil
}

func kubeProxy(c layout.Cluster, _ apiClient) (Program, error) {
	return Program{
		Name: "kube-proxy", Path: c.Program("kube-proxy"),
		Args: []string{
			kubeconfig(c, "proxy"), "--proxy-mode=iptables", "--cluster-cidr=" + layout.PodCIDR,
			"--hostname-override=" + layout.NodeName,
			// The limit is the machine's, and not ours to change.
			"--conntrack-max-per-core=0",
		},
		// It gives up when it finds no node to ask for its address.
		Needs: []string{"kubelet"},
		Ready: answers("http://127.0.0.1:10256/healthz"),
	}, nil
}
