// Package pki makes a cluster's certificate authority, the certificates of its
// programs and the kubeconfig files that carry them. All of it is made once,
// when the cluster is, and dies with its folder.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// A test cluster lives for hours; a month is forgiving towards one that is kept.
const lifetime = 30 * 24 * time.Hour

// Authority signs certificates and writes them to its folder.
type Authority struct {
	folder      string
	certificate *x509.Certificate
	key         crypto.Signer
}

// Identity is what a certificate says: who (common name, groups) and, for a
// server, under which names and addresses it is reached.
type Identity struct {
	File   string
	Name   string
	Groups []string
	Hosts  []string
}

// NewAuthority makes a self-signed authority and writes FILE.crt and FILE.key.
func NewAuthority(folder, file, name string) (*Authority, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	key, err := newKey(filepath.Join(folder, file+".key"))
	if err != nil {
		return nil, err
	}
	template := newTemplate(pkix.Name{CommonName: name})
	template.IsCA = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	certificate, err := sign(template, template, key.Public(), key, filepath.Join(folder, file+".crt"))
	if err != nil {
		return nil, err
	}
	return &Authority{folder: folder, certificate: certificate, key: key}, nil
}

// Issue writes a certificate and its key, good for servers and clients alike.
func (a *Authority) Issue(who Identity) error {
	key, err := newKey(filepath.Join(a.folder, who.File+".key"))
	if err != nil {
		return err
	}
	template := newTemplate(pkix.Name{CommonName: who.Name, Organization: who.Groups})
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, host := range who.Hosts {
		if address := net.ParseIP(host); address != nil {
			template.IPAddresses = append(template.IPAddresses, address)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	_, err = sign(template, a.certificate, key.Public(), a.key, filepath.Join(a.folder, who.File+".crt"))
	return err
}

func newTemplate(subject pkix.Name) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		Subject: subject,
		// Clocks of a machine and its containers are one, but a suspended machine's may step back.
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(lifetime),
		BasicConstraintsValid: true,
	}
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer, file string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", file, err)
	}
	if err := writePEM(file, "CERTIFICATE", der, 0o644); err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func newKey(file string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writePEM(file, "PRIVATE KEY", der, 0o600)
}

func writePEM(file, kind string, der []byte, mode os.FileMode) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}
