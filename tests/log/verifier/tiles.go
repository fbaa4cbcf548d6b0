package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	height = 8
	width  = 1 << height
)

// tiles reads the files of a log as it is at some size. It is a tlog.TileReader.
type tiles struct{ source }

// path is where the tile lies. The checksum database has its tiles at "tile/8/LEVEL/N" and calls the
// level of the entries "data"; a tlog-tiles log leaves the height out and calls it "entries". The
// spelling of N is the same.
func path(tile tlog.Tile) string {
	rest := strings.TrimPrefix(tile.Path(), "tile/8/")
	return "tile/" + strings.Replace(rest, "data/", "entries/", 1)
}

// bytes reads a tile or a bundle. Where a partial one is gone, a full one has taken its place.
func (t tiles) bytes(tile tlog.Tile) (bytes []byte, full bool, err error) {
	bytes, err = t.read(path(tile))
	if tile.W < width && errors.Is(err, fs.ErrNotExist) {
		tile.W, full = width, true
		bytes, err = t.read(path(tile))
	}
	return bytes, full, err
}

// hashes reads a hash tile of exactly its width.
func (t tiles) hashes(tile tlog.Tile) ([]byte, error) {
	bytes, full, err := t.bytes(tile)
	if err != nil {
		return nil, err
	}
	wanted := tile.W * tlog.HashSize
	switch {
	case full && len(bytes) == width*tlog.HashSize:
		return bytes[:wanted], nil
	case !full && len(bytes) == wanted:
		return bytes, nil
	}
	return nil, fmt.Errorf("%s has %d bytes instead of %d hashes", path(tile), len(bytes), tile.W)
}

// entries reads an entry bundle: each entry behind its length in two bytes.
func (t tiles) entries(tile tlog.Tile) ([][]byte, error) {
	bytes, full, err := t.bytes(tile)
	if err != nil {
		return nil, err
	}
	count := tile.W
	if full {
		count = width
	}
	var entries [][]byte
	for len(entries) < count {
		if len(bytes) < 2 {
			return nil, fmt.Errorf("%s ends before entry %d of %d", path(tile), len(entries), count)
		}
		length := int(binary.BigEndian.Uint16(bytes))
		bytes = bytes[2:]
		if len(bytes) < length {
			return nil, fmt.Errorf("%s ends within entry %d of %d", path(tile), len(entries), count)
		}
		entries, bytes = append(entries, bytes[:length]), bytes[length:]
	}
	if len(bytes) != 0 {
		return nil, fmt.Errorf("%s goes on for %d bytes after its entries", path(tile), len(bytes))
	}
	return entries[:tile.W], nil
}

func (t tiles) Height() int { return height }

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var read [][]byte
	for _, tile := range wanted {
		bytes, err := t.hashes(tile)
		if err != nil {
			return nil, err
		}
		read = append(read, bytes)
	}
	return read, nil
}

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}
