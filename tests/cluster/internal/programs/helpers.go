package programs

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"strings"

	"visnyk.dev/cluster/internal/layout"
	"visnyk.dev/cluster/internal/pki"
	"visnyk.dev/cluster/internal/storage"
)

// dns answers on the node's address, for pods and for tests beside them alike.
func dns(c layout.Cluster, api apiClient) (Program, error) {
	config, err := writeConfig(c, "Corefile", lines(
		".:53 {",
		"    bind "+layout.NodeIP,
		"    errors",
		"    ready "+layout.NodeIP+":8181",
		"    kubernetes "+layout.Domain+" in-addr.arpa {",
		"        kubeconfig "+c.Path("conf", "dns.kubeconfig"),
		"        ttl 1", // a test that moves a Service should not wait for a cache
		"    }",
		"}",
	))
	if err != nil {
		return Program{}, err
	}
	// Bound over /etc/resolv.conf by `enter`, so that it reads as a pod's own.
	resolver := lines("nameserver "+layout.NodeIP,
		"search default.svc."+layout.Domain+" svc."+layout.Domain+" "+layout.Domain, "options ndots:5")
	if _, err := writeConfig(c, "resolv.conf", resolver); err != nil {
		return Program{}, err
	}
	return Program{
		Name: "coredns", Path: c.Program("coredns"), Args: []string{"-conf", config},
		Needs: []string{"kube-apiserver"},
		Ready: every(answers("http://"+layout.NodeIP+":8181/ready"), resolves("kubernetes.default.svc."+layout.Domain)),
	}, nil
}

// resolves is ready when the cluster's DNS knows the name.
func resolves(name string) Check {
	resolver := &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: checkTimeout}).DialContext(ctx, network, layout.NodeIP+":53")
		},
	}
	return func(ctx context.Context) error {
		_, err := resolver.LookupHost(ctx, name+".")
		return err
	}
}

func provisioner(c layout.Cluster, _ apiClient) (Program, error) {
	return Program{
		Name: "provisioner", Path: c.Program("cluster"), Args: []string{"provisioner", c.Folder},
		Needs: []string{"kube-apiserver"},
		Ready: answers("http://" + storage.HealthAddress + "/healthz"),
	}, nil
}

func metricsServer(c layout.Cluster, api apiClient) (Program, error) {
	return Program{
		Name: "metrics-server", Path: c.Program("metrics-server"),
		Args: []string{
			kubeconfig(c, "metrics"),
			"--authentication-kubeconfig=" + c.Path("conf", "metrics.kubeconfig"),
			"--authorization-kubeconfig=" + c.Path("conf", "metrics.kubeconfig"),
			fmt.Sprintf("--secure-port=%d", layout.MetricsPort),
			"--tls-cert-file=" + c.Path("pki", "metrics.crt"), "--tls-private-key-file=" + c.Path("pki", "metrics.key"),
			"--kubelet-preferred-address-types=InternalIP",
			"--kubelet-certificate-authority=" + c.Path("pki", "ca.crt"),
			// The shortest it accepts: an autoscaler's test waits for two of these.
			"--metric-resolution=10s", "--kubelet-request-timeout=5s",
		},
		Needs: []string{"kubelet"},
		// While a registered API is not served, no namespace can be deleted.
		Ready: api.condition("/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io", "Available"),
	}, nil
}

//go:embed objects.yaml
var objectsTemplate string

// objects are what a cluster's users expect to find: the storage class, and
// metrics-server's API.
func objects(c layout.Cluster, _ apiClient) (Program, error) {
	authority, err := pki.AuthorityBase64(c)
	if err != nil {
		return Program{}, err
	}
	text := strings.NewReplacer(
		"${PROVISIONER}", storage.Name,
		"${NODE_IP}", layout.NodeIP,
		"${METRICS_PORT}", fmt.Sprint(layout.MetricsPort),
		"${CA}", authority,
	).Replace(objectsTemplate)
	file, err := writeConfig(c, "objects.yaml", text)
	if err != nil {
		return Program{}, err
	}
	return Program{
		Name: "objects", Path: c.Program("kubectl"),
		Args:  []string{"--kubeconfig=" + c.Kubeconfig(), "apply", "--server-side", "--force-conflicts", "-f", file},
		Needs: []string{"kube-apiserver"},
		Once:  true,
	}, nil
}
