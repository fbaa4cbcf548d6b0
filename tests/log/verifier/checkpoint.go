package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// newKey reads a verifier key.
func newKey(text string) (note.Verifier, error) {
	key, err := note.NewVerifier(text)
	if err != nil {
		return nil, fmt.Errorf("the key %q: %w", text, err)
	}
	return key, nil
}

// openCheckpoint accepts a checkpoint of the log that is named like the key, if the key signed it.
func openCheckpoint(key note.Verifier, signed []byte) (tlog.Tree, error) {
	opened, err := note.Open(signed, note.VerifierList(key))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 || lines[0] != key.Name() {
		return tlog.Tree{}, fmt.Errorf("%q is no checkpoint of %s", opened.Text, key.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return tlog.Tree{}, fmt.Errorf("%q is no size", lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("the root %q: %w", lines[2], err)
	}
	if size == 0 && root != tlog.Hash(sha256.Sum256(nil)) {
		return tlog.Tree{}, errors.New("a log without entries has another root")
	}
	return tlog.Tree{N: size, Hash: root}, nil
}

func readCheckpoint(key note.Verifier, path string) (tlog.Tree, error) {
	signed, err := os.ReadFile(path)
	if err != nil {
		return tlog.Tree{}, err
	}
	tree, err := openCheckpoint(key, signed)
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("%s: %w", path, err)
	}
	return tree, nil
}
