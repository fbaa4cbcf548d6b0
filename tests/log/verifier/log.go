package main

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// At most about this many entries are proved one by one; all of them are in the root that is rebuilt.
const proved = 200

// verifyLog rebuilds the tree from the entries, compares it with the signed root and with every tile, and
// then does what a client does that reads only tiles: proves entries, and older checkpoints.
func verifyLog(key note.Verifier, from source, olds []string) error {
	signed, err := from.read("checkpoint")
	if err != nil {
		return err
	}
	head, err := openCheckpoint(key, signed)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	files := tiles{from}
	rebuilt, leaves, err := rebuild(files, head)
	if err != nil {
		return err
	}
	compared, err := compare(files, head, rebuilt)
	if err != nil {
		return err
	}
	inclusions, err := proveEntries(files, head, leaves)
	if err != nil {
		return err
	}
	for _, old := range olds {
		tree, err := readCheckpoint(key, old)
		if err != nil {
			return err
		}
		if err := proveExtension(files, head, tree); err != nil {
			return fmt.Errorf("the log is no extension of %s, at %d entries: %w", old, tree.N, err)
		}
	}
	fmt.Printf("verified: %d entries, %d tiles, %d inclusion proofs, %d older checkpoints\n",
		head.N, compared, inclusions, len(olds))
	return nil
}

// rebuild makes all hashes of the tree from the entries, and the hash of each entry.
func rebuild(files tiles, head tlog.Tree) (stored, []tlog.Hash, error) {
	var all stored
	var leaves []tlog.Hash
	for int64(len(leaves)) < head.N {
		bundle := tlog.Tile{H: height, L: -1, N: int64(len(leaves)) / width, W: width}
		if left := head.N - int64(len(leaves)); left < width {
			bundle.W = int(left)
		}
		entries, err := files.entries(bundle)
		if err != nil {
			return nil, nil, err
		}
		for _, entry := range entries {
			grown, err := tlog.StoredHashes(int64(len(leaves)), entry, all)
			if err != nil {
				return nil, nil, err
			}
			all, leaves = append(all, grown...), append(leaves, tlog.RecordHash(entry))
		}
	}
	if head.N == 0 {
		return all, leaves, nil
	}
	root, err := tlog.TreeHash(head.N, all)
	if err != nil {
		return nil, nil, err
	}
	if root != head.Hash {
		return nil, nil, fmt.Errorf("%d entries give the root %v, and %v is signed", head.N, root, head.Hash)
	}
	return all, leaves, nil
}

// compare reads every hash tile of the log at this size, and gives how many there are.
func compare(files tiles, head tlog.Tree, all stored) (int, error) {
	compared := 0
	for _, tile := range tilesOf(head) {
		expected, err := tlog.ReadTileData(tile, all)
		if err != nil {
			return 0, err
		}
		published, err := files.hashes(tile)
		if err != nil {
			return 0, err
		}
		if !bytes.Equal(expected, published) {
			return 0, fmt.Errorf("%s is not what the entries give", path(tile))
		}
		compared++
	}
	return compared, nil
}

// tilesOf names the hash tiles of a log at one size. (tlog.NewTiles also names every narrower partial tile,
// which a log has published only if its sizes were such.)
func tilesOf(head tlog.Tree) []tlog.Tile {
	var all []tlog.Tile
	for level, hashes := 0, head.N; hashes > 0; level, hashes = level+1, hashes>>height {
		for n := int64(0); n < hashes>>height; n++ {
			all = append(all, tlog.Tile{H: height, L: level, N: n, W: width})
		}
		if rest := int(hashes % width); rest > 0 {
			all = append(all, tlog.Tile{H: height, L: level, N: hashes >> height, W: rest})
		}
	}
	return all
}

// proveEntries proves entries from the published tiles alone: the first, the last, and some between.
func proveEntries(files tiles, head tlog.Tree, leaves []tlog.Hash) (int, error) {
	reader := tlog.TileHashReader(head, files)
	count := 0
	prove := func(index int64) error {
		proof, err := tlog.ProveRecord(head.N, index, reader)
		if err != nil {
			return fmt.Errorf("entry %d: %w", index, err)
		}
		count++
		return tlog.CheckRecord(proof, head.N, head.Hash, index, leaves[index])
	}
	step := head.N/proved + 1
	for index := int64(0); index < head.N; index += step {
		if err := prove(index); err != nil {
			return 0, err
		}
	}
	if head.N > 0 && (head.N-1)%step != 0 {
		return count + 1, prove(head.N - 1)
	}
	return count, nil
}

// proveExtension proves from the published tiles alone that the log still begins with the old tree.
func proveExtension(files tiles, head, old tlog.Tree) error {
	if old.N > head.N {
		return fmt.Errorf("the log has shrunk to %d", head.N)
	}
	// A tree of nothing begins every log. Its root was looked at when its checkpoint was read.
	if old.N == 0 {
		return nil
	}
	proof, err := tlog.ProveTree(head.N, old.N, tlog.TileHashReader(head, files))
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, head.N, head.Hash, old.N, old.Hash)
}

// stored is all hashes of a tree, in the order in which package tlog numbers them.
type stored []tlog.Hash

func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var hashes []tlog.Hash
	for _, index := range indexes {
		if index < 0 || index >= int64(len(s)) {
			return nil, errors.New("a hash beyond the log")
		}
		hashes = append(hashes, s[index])
	}
	return hashes, nil
}
