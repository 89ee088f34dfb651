package programs

import (
	"strings"

	"visnyk.dev/cluster/internal/layout"
)

func etcd(c layout.Cluster) Program {
	const client, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
	return Program{
		Name: "etcd", Path: c.Program("etcd"),
		Args: []string{
			"--data-dir=" + c.Path("etcd"),
			"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
			"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
			"--initial-cluster=default=" + peer,
			// A test cluster has to outlive its processes, not the machine's power.
			"--unsafe-no-fsync",
			"--log-level=warn",
		},
		Ready: answers(client + "/health"),
	}
}

// Every request, without bodies: who did what to which object, and how it went.
// The first stage says nothing that the later ones do not say better.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- level: Metadata
`

func apiServer(c layout.Cluster, api apiClient) (Program, error) {
	policy, err := writeConfig(c, "audit-policy.yaml", auditPolicy)
	if err != nil {
		return Program{}, err
	}
	pki := func(file string) string { return c.Path("pki", file) }
	return Program{
		Name: "kube-apiserver", Path: c.Program("kube-apiserver"),
		Args: []string{
			"--etcd-servers=http://127.0.0.1:2379",
			"--advertise-address=" + layout.NodeIP,
			"--secure-port=6443",
			"--tls-cert-file=" + pki("apiserver.crt"), "--tls-private-key-file=" + pki("apiserver.key"),
			"--cert-dir=" + c.Path("pki"),
			"--client-ca-file=" + pki("ca.crt"),
			"--service-account-issuer=https://kubernetes.default.svc." + layout.Domain,
			"--service-account-key-file=" + pki("service-account.pub"),
			"--service-account-signing-key-file=" + pki("service-account.key"),
			"--service-cluster-ip-range=" + layout.ServiceCIDR,
			"--authorization-mode=Node,RBAC",
			// The second asks for rights that some clusters want of an operator.
			"--enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement",
			"--allow-privileged=true",
			// Logs, exec and port-forward: the node's name is in no DNS, its address will do.
			"--kubelet-preferred-address-types=InternalIP",
			"--kubelet-certificate-authority=" + pki("ca.crt"),
			"--kubelet-client-certificate=" + pki("kubelet-client.crt"), "--kubelet-client-key=" + pki("kubelet-client.key"),
			"--requestheader-client-ca-file=" + pki("front-proxy-ca.crt"),
			"--requestheader-allowed-names=front-proxy-client",
			"--requestheader-username-headers=X-Remote-User",
			"--requestheader-group-headers=X-Remote-Group",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--proxy-client-cert-file=" + pki("front-proxy.crt"), "--proxy-client-key-file=" + pki("front-proxy.key"),
			"--audit-policy-file=" + policy,
			"--audit-log-path=" + c.AuditLog(),
			// In MB. Tests read one file; a day of them stays far below this.
			"--audit-log-maxsize=4096",
		},
		Needs: []string{"etcd"},
		Ready: api.answers("/readyz"),
	}, nil
}

func controllerManager(c layout.Cluster, api apiClient) Program {
	args := []string{
		kubeconfig(c, "controller-manager"),
		"--leader-elect=false",
		"--use-service-account-credentials",
		"--root-ca-file=" + c.Path("pki", "ca.crt"),
		"--service-account-private-key-file=" + c.Path("pki", "service-account.key"),
		"--cluster-signing-cert-file=" + c.Path("pki", "ca.crt"), "--cluster-signing-key-file=" + c.Path("pki", "ca.key"),
		"--cert-dir=" + c.Path("pki"),
		"--allocate-node-cidrs", "--cluster-cidr=" + layout.PodCIDR,
		"--service-cluster-ip-range=" + layout.ServiceCIDR,
	}
	return Program{
		Name: "kube-controller-manager", Path: c.Program("kube-controller-manager"), Args: args,
		Needs: []string{"kube-apiserver"},
		Ready: every(
			answers("https://127.0.0.1:10257/healthz"),
			// Before this account is there, no pod can be created.
			api.answers("/api/v1/namespaces/default/serviceaccounts/default"),
		),
	}
}

func scheduler(c layout.Cluster, _ apiClient) (Program, error) {
	return Program{
		Name: "kube-scheduler", Path: c.Program("kube-scheduler"),
		Args:  []string{kubeconfig(c, "scheduler"), "--leader-elect=false"},
		Needs: []string{"kube-apiserver"},
		Ready: answers("https://127.0.0.1:10259/healthz"),
	}, nil
}

// lines joins the lines of a configuration file.
func lines(all ...string) string { return strings.Join(all, "\n") + "\n" }
