package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const proofHeader = "c2sp.org/tlog-proof@v1"

// proof is a tlog-proof as it was read.
type proof struct {
	extra      []byte
	index      int64
	hashes     tlog.RecordProof
	checkpoint string
}

// verifyProof accepts a tlog-proof if it leads from the entry to a checkpoint that the key signed.
func verifyProof(key note.Verifier, proofFile, entryFile string) error {
	file, err := os.ReadFile(proofFile)
	if err != nil {
		return err
	}
	proof, err := parseProof(string(file))
	if err != nil {
		return fmt.Errorf("%s: %w", proofFile, err)
	}
	entry := proof.extra
	if entryFile != "" {
		if entry, err = os.ReadFile(entryFile); err != nil {
			return err
		}
	}
	if entry == nil {
		return fmt.Errorf("%s holds no entry: give it by -entry", proofFile)
	}
	tree, err := openCheckpoint(key, []byte(proof.checkpoint))
	if err != nil {
		return fmt.Errorf("the checkpoint in %s: %w", proofFile, err)
	}
	if err := tlog.CheckRecord(proof.hashes, tree.N, tree.Hash, proof.index, tlog.RecordHash(entry)); err != nil {
		return err
	}
	fmt.Printf("verified: entry %d of %d\n%s\n", proof.index, tree.N, entry)
	return nil
}

func parseProof(file string) (proof, error) {
	var read proof
	head, checkpoint, found := strings.Cut(file, "\n\n")
	lines := strings.Split(head, "\n")
	if !found || lines[0] != proofHeader {
		return read, errors.New("not a proof file")
	}
	read.checkpoint, lines = checkpoint, lines[1:]
	if len(lines) > 0 && strings.HasPrefix(lines[0], "extra ") {
		extra, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[0], "extra "))
		if err != nil {
			return read, fmt.Errorf("the extra line: %w", err)
		}
		read.extra, lines = extra, lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") {
		return read, errors.New("no index line")
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "index "), 10, 64)
	if err != nil {
		return read, fmt.Errorf("the index line: %w", err)
	}
	read.index = index
	for _, line := range lines[1:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return read, fmt.Errorf("%q: %w", line, err)
		}
		read.hashes = append(read.hashes, hash)
	}
	return read, nil
}
