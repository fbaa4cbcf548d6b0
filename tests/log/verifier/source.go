package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// No file of a log is larger: a bundle of 256 entries of 65 535 bytes, each behind two of length.
const maxFile = 256 * (2 + 65535)

// source is where a log is published. A file that is not there is an fs.ErrNotExist.
type source interface {
	read(path string) ([]byte, error)
}

func open(log, ca string) (source, error) {
	if !strings.HasPrefix(log, "http://") && !strings.HasPrefix(log, "https://") {
		return folder(log), nil
	}
	client := &http.Client{Timeout: time.Minute}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", ca)
		}
		client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	}
	return server{strings.TrimSuffix(log, "/"), client}, nil
}

type folder string

func (f folder) read(path string) ([]byte, error) {
	file, err := os.Open(filepath.Join(string(f), path))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return bounded(path, file)
}

type server struct {
	url    string
	client *http.Client
}

func (s server) read(path string) ([]byte, error) {
	answer, err := s.client.Get(s.url + "/" + path)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
		return bounded(path, answer.Body)
	case http.StatusNotFound:
		return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	return nil, fmt.Errorf("%s: the server answers %s", path, answer.Status)
}

func bounded(path string, from io.Reader) ([]byte, error) {
	bytes, err := io.ReadAll(io.LimitReader(from, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(bytes) > maxFile {
		return nil, errors.New(path + " is larger than any file of a log")
	}
	return bytes, nil
}
