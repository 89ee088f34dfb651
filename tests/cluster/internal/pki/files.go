package pki

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"os"

	"visnyk.dev/cluster/internal/layout"
)

// ClientConfig is the administrator's side of a TLS connection to the API server.
func ClientConfig(c layout.Cluster) (*tls.Config, error) {
	certificate, err := tls.LoadX509KeyPair(c.Path("pki", "admin.crt"), c.Path("pki", "admin.key"))
	if err != nil {
		return nil, fmt.Errorf("load the administrator's certificate: %w", err)
	}
	text, err := os.ReadFile(c.Path("pki", "ca.crt"))
	if err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("no certificate in %s", c.Path("pki", "ca.crt"))
	}
	return &tls.Config{Certificates: []tls.Certificate{certificate}, RootCAs: authorities}, nil
}

// AuthorityBase64 is the cluster's authority as Kubernetes' caBundle fields want it.
func AuthorityBase64(c layout.Cluster) (string, error) {
	return readFileBase64(c.Path("pki", "ca.crt"))
}

func readBase64(c layout.Cluster, user string) (authority, certificate, key string, err error) {
	if authority, err = AuthorityBase64(c); err != nil {
		return
	}
	if certificate, err = readFileBase64(c.Path("pki", user+".crt")); err != nil {
		return
	}
	key, err = readFileBase64(c.Path("pki", user+".key"))
	return
}

func readFileBase64(file string) (string, error) {
	text, err := os.ReadFile(file)
	return base64.StdEncoding.EncodeToString(text), err
}
