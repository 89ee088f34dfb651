package pki

import (
	"crypto/x509"
	"fmt"
	"os"

	"visnyk.dev/cluster/internal/layout"
)

// Create makes every certificate and kubeconfig of a new cluster. A cluster
// that has them keeps them: pods and users hold on to the authority.
func Create(c layout.Cluster) error {
	// Written last, so its presence says that everything else is there too.
	if _, err := os.Stat(c.Kubeconfig()); err == nil {
		return nil
	}
	authority, err := NewAuthority(c.Path("pki"), "ca", "cluster-"+c.Name)
	if err != nil {
		return fmt.Errorf("create the cluster's authority: %w", err)
	}
	for _, who := range identities() {
		if err := authority.Issue(who); err != nil {
			return fmt.Errorf("issue certificate %s: %w", who.File, err)
		}
	}
	// The API server proves to metrics-server, by an authority of its own, that
	// it speaks for the user named in a header: a user's certificate must not do.
	front, err := NewAuthority(c.Path("pki"), "front-proxy-ca", "front-proxy-"+c.Name)
	if err != nil {
		return fmt.Errorf("create the front proxy's authority: %w", err)
	}
	if err := front.Issue(Identity{File: "front-proxy", Name: "front-proxy-client"}); err != nil {
		return fmt.Errorf("issue certificate front-proxy: %w", err)
	}
	if err := newServiceAccountKey(c); err != nil {
		return fmt.Errorf("create the service account key: %w", err)
	}
	for _, user := range []string{"controller-manager", "scheduler", "proxy", "node", "dns", "storage", "metrics"} {
		if err := writeKubeconfig(c, user, c.Path("conf", user+".kubeconfig")); err != nil {
			return err
		}
	}
	return writeKubeconfig(c, "admin", c.Kubeconfig())
}

func identities() []Identity {
	masters := []string{"system:masters"}
	return []Identity{
		{File: "apiserver", Name: "kube-apiserver", Hosts: []string{
			"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
			"kubernetes.default.svc." + layout.Domain, "127.0.0.1", layout.NodeIP, layout.FirstServiceIP}},
		{File: "kubelet-client", Name: "kube-apiserver-kubelet-client", Groups: masters},
		{File: "node", Name: "system:node:" + layout.NodeName, Groups: []string{"system:nodes"},
			Hosts: []string{layout.NodeName, layout.NodeIP}},
		{File: "controller-manager", Name: "system:kube-controller-manager"},
		{File: "scheduler", Name: "system:kube-scheduler"},
		{File: "proxy", Name: "system:kube-proxy"},
		{File: "admin", Name: "admin", Groups: masters},
		// The cluster's own helpers: a name each, so that the audit log tells them apart.
		{File: "dns", Name: "cluster:dns", Groups: masters},
		{File: "storage", Name: "cluster:storage", Groups: masters},
		{File: "metrics", Name: "cluster:metrics", Groups: masters,
			Hosts: []string{"metrics-server.kube-system.svc", layout.NodeIP}},
	}
}

func newServiceAccountKey(c layout.Cluster) error {
	key, err := newKey(c.Path("pki", "service-account.key"))
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	return writePEM(c.Path("pki", "service-account.pub"), "PUBLIC KEY", der, 0o644)
}

// writeKubeconfig embeds the certificates, so that the file alone can be handed on.
func writeKubeconfig(c layout.Cluster, user, file string) error {
	authority, certificate, key, err := readBase64(c, user)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Path("conf"), 0o755); err != nil {
		return err
	}
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- name: %[1]s
  cluster:
    server: %[2]s
    certificate-authority-data: %[3]s
users:
- name: %[4]s
  user:
    client-certificate-data: %[5]s
    client-key-data: %[6]s
contexts:
- name: %[1]s
  context: {cluster: %[1]s, user: %[4]s}
current-context: %[1]s
`, c.Name, layout.APIServer, authority, user, certificate, key)
	return os.WriteFile(file, []byte(text), 0o600)
}
