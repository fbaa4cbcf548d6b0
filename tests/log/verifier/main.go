// Verifier checks a Dockmaster log with nothing of Dockmaster's: the notes, the tree and its proofs are
// those of golang.org/x/mod, which the Go project made for its checksum database. What is written here is
// only what the two formats do not share: where the files lie and how a bundle holds its entries
// (c2sp.org/tlog-tiles), the lines of a checkpoint (c2sp.org/tlog-checkpoint), and those of a proof file
// (c2sp.org/tlog-proof).
//
//	verifier -key KEY [-ca FILE] [-old FILE]... LOG
//	verifier -key KEY [-entry FILE] -proof FILE
//
// LOG is a folder with "checkpoint" and "tile/", or the http(s) URL of one. KEY is the log's verifier key,
// the first line of a trust bundle. Each -old names a checkpoint of the log that was kept from before.
// It says what it verified and ends with 0, or says what is wrong and ends with 1.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "not verified: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	key := flag.String("key", "", "the log's verifier `KEY`: NAME+HASH+BASE64")
	ca := flag.String("ca", "", "trust only the certificates in this `FILE` (PEM) for https")
	proof := flag.String("proof", "", "verify this `FILE`, a tlog-proof, and no log")
	entry := flag.String("entry", "", "the entry that the proof is for, as a `FILE`; else the one in its extra line")
	var olds list
	flag.Var(&olds, "old", "a `FILE` with an older checkpoint that the log has to be an extension of")
	flag.Parse()

	verifier, err := newKey(*key)
	if err != nil {
		return err
	}
	if *proof != "" {
		if flag.NArg() != 0 {
			return fmt.Errorf("a proof stands for itself: give no log")
		}
		return verifyProof(verifier, *proof, *entry)
	}
	if flag.NArg() != 1 {
		return fmt.Errorf("give one log: a folder or a URL")
	}
	source, err := open(flag.Arg(0), *ca)
	if err != nil {
		return err
	}
	return verifyLog(verifier, source, olds)
}

// list is a flag that may be given more than once.
type list []string

func (l *list) String() string { return strings.Join(*l, " ") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}
