// Verify says whether crypto/x509 takes a certificate for what somebody claims it to be.
//
//	verify version
//	verify BUNDLE CHAIN server NAME
//	verify BUNDLE CHAIN client
//
// BUNDLE and CHAIN are PEM files; NAME is the IP or DNS name that was dialled. It prints "accepted" or
// "refused: WHY"; whatever else ends it is a fault of the question.
package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"runtime"
	"strings"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "version" {
		fmt.Println(strings.TrimPrefix(runtime.Version(), "go"))
		return
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(read(os.Args[1])) {
		fail("no root in the bundle")
	}
	var chain []*x509.Certificate
	for rest := read(os.Args[2]); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			refuse(err)
		}
		chain = append(chain, certificate)
	}
	options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, above := range chain[1:] {
		options.Intermediates.AddCert(above)
	}
	switch os.Args[3] {
	case "server":
		options.DNSName = os.Args[4]
		options.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	case "client":
		options.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	default:
		fail("neither server nor client")
	}
	if _, err := chain[0].Verify(options); err != nil {
		refuse(err)
	}
	fmt.Println("accepted")
}

func read(path string) []byte {
	text, err := os.ReadFile(path)
	if err != nil {
		fail(err.Error())
	}
	return text
}

func refuse(err error) {
	fmt.Println("refused:", strings.ReplaceAll(err.Error(), "\n", " "))
	os.Exit(0)
}

func fail(why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}
