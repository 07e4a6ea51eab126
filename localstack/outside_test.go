package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// within returns settings of the program by which it reaches these systems and no
// others, by their own names over TLS: it is told to go by a proxy that leads to them,
// and to trust who vouches for them. A browser may take the proxy, too.
func within(t *testing.T, others http.RoundTripper) (proxyURL string, settings []string) {
	t.Helper()
	authority, root := certificate(t, "made up for a test", nil)
	file := filepath.Join(t.TempDir(), "authority.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	systems := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Scheme, r.URL.Host = "https", r.Host
		answer, err := others.RoundTrip(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		for name, values := range answer.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.StatusCode)
		_, _ = io.Copy(w, answer.Body)
	}))
	var mu sync.Mutex
	leaves := map[string]*tls.Certificate{} // a browser that has put up with one wants to see it again
	systems.TLS = &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		mu.Lock()
		defer mu.Unlock()
		if leaves[hello.ServerName] == nil {
			leaves[hello.ServerName], _ = certificate(t, hello.ServerName, &issuer{authority, root})
		}
		return leaves[hello.ServerName], nil
	}}
	systems.StartTLS()
	t.Cleanup(systems.Close)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, "only for CONNECT", http.StatusMethodNotAllowed)
			return
		}
		there, err := net.Dial("tcp", systems.Listener.Addr().String())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer there.Close()
		here, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer here.Close()
		if _, err := io.WriteString(here, "HTTP/1.1 200 Connected\r\n\r\n"); err != nil {
			return
		}
		go func(from *bufio.Reader) {
			_, _ = io.Copy(there, from)
			_ = there.(*net.TCPConn).CloseWrite()
		}(buffered.Reader)
		_, _ = io.Copy(here, there)
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL, []string{"HTTPS_PROXY=" + proxy.URL, "SSL_CERT_FILE=" + file, "SSL_CERT_DIR=" + t.TempDir()}
}

// issuer is who vouches for a certificate.
type issuer struct {
	key  *tls.Certificate
	cert *x509.Certificate
}

// certificate returns a certificate of a name, or of somebody who vouches for others
// where by is nil.
func certificate(t *testing.T, name string, by *issuer) (*tls.Certificate, *x509.Certificate) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Error(err)
		return nil, nil
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, DNSNames: []string{name},
	}
	parent, signer := template, any(key)
	if by != nil {
		parent, signer = by.cert, by.key.PrivateKey
	} else {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage, template.DNSNames = true, true, x509.KeyUsageCertSign, nil
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Error(err)
		return nil, nil
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Error(err)
	}
	return &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, cert
}
