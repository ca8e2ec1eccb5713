package audit

import (
	"crypto/sha256"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	blockLevel = 8               // of the tree: a node there has a block of records below it
	blockSize  = 1 << blockLevel // records
)

// Tree is the Merkle tree over a log, by RFC 6962. It holds the hashes from the level of blocks of 256 records on, which is a quarter of a byte for each record; what lies below is computed again from the records of one
// block, and held against the block's hash. The zero value is the tree of an empty log.
type Tree struct {
	// Block reads a block's records again, the first of which is given; more than a block's are passed over. nil: the tree keeps the hash of every record.
	Block func(first int64) ([]Record, error)

	size   int64
	upper  [][]tlog.Hash // by level, from blockLevel on
	leaves []tlog.Hash   // of the last block that is not whole; of all records where Block is nil

	again struct { // the block that was read last
		number int64
		hashes []tlog.Hash
	}
}

// Size is how many records the tree has.
func (t *Tree) Size() int64 { return t.size }

// Grow adds a record.
func (t *Tree) Grow(r *Record) error {
	if r.Seq != t.size {
		return fmt.Errorf("the tree has %d records and was given record %d", t.size, r.Seq)
	}
	t.leaves = append(t.leaves, tlog.RecordHash(r.Encode()))
	t.size++
	if t.size%blockSize != 0 {
		return nil
	}
	h := node(t.leaves[len(t.leaves)-blockSize:], blockLevel, 0)
	if t.Block != nil {
		t.leaves = t.leaves[:0]
	}
	for level := 0; ; level++ {
		if level == len(t.upper) {
			t.upper = append(t.upper, nil)
		}
		t.upper[level] = append(t.upper[level], h)
		n := len(t.upper[level])
		if n%2 != 0 {
			return nil
		}
		h = tlog.NodeHash(t.upper[level][n-2], t.upper[level][n-1])
	}
}

// node is the hash of the n-th node of a level over leaves.
func node(leaves []tlog.Hash, level int, n int64) tlog.Hash {
	if level == 0 {
		return leaves[n]
	}
	return tlog.NodeHash(node(leaves, level-1, 2*n), node(leaves, level-1, 2*n+1))
}

// ReadHashes implements tlog.HashReader.
func (t *Tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, n := tlog.SplitStoredHashIndex(index)
		if (n+1)<<level > t.size {
			return nil, fmt.Errorf("the tree of %d records has no hash %d", t.size, index)
		}
		if level >= blockLevel {
			out[i] = t.upper[level-blockLevel][n]
			continue
		}
		block := n << level >> blockLevel
		leaves, err := t.block(block)
		if err != nil {
			return nil, err
		}
		out[i] = node(leaves, level, n-block<<blockLevel>>level)
	}
	return out, nil
}

// block is the hashes of a block's records.
func (t *Tree) block(number int64) ([]tlog.Hash, error) {
	first := number << blockLevel
	switch {
	case t.Block == nil:
		return t.leaves[first:min(first+blockSize, t.size)], nil
	case number == t.size>>blockLevel:
		return t.leaves, nil
	case t.again.hashes != nil && t.again.number == number:
		return t.again.hashes, nil
	}
	records, err := t.Block(first)
	if err != nil {
		return nil, fmt.Errorf("reading records again from %d on: %w", first, err)
	}
	if len(records) < blockSize {
		return nil, &Tampered{Seq: first + int64(len(records)), What: "it was there when the log was read before, and is not any more"}
	}
	leaves := make([]tlog.Hash, blockSize)
	for i := range leaves {
		leaves[i] = tlog.RecordHash(records[i].Encode())
	}
	if node(leaves, blockLevel, 0) != t.upper[0][number] {
		return nil, &Tampered{Seq: first, What: fmt.Sprintf("it, or one of the %d after it, is not what it was when the log was read before", blockSize-1)}
	}
	t.again.number, t.again.hashes = number, leaves
	return leaves, nil
}

// Root is the tree's root when it had size records.
func (t *Tree) Root(size int64) (Hash, error) {
	if size == 0 {
		return sha256.Sum256(nil), nil
	}
	if size > t.size {
		return Hash{}, fmt.Errorf("the tree has %d records: it has no root of %d", t.size, size)
	}
	h, err := tlog.TreeHash(size, t)
	if err != nil {
		return Hash{}, fmt.Errorf("the root of %d records: %w", size, err)
	}
	return Hash(h), nil
}

// Extends proves to somebody who knows the root of old records that the tree of size records begins with them (RFC 6962, 2.1.2). From nothing, and from the same size, there is nothing to prove.
func (t *Tree) Extends(old, size int64) ([]Hash, error) {
	if old < 0 || old > size || size > t.size {
		return nil, fmt.Errorf("the tree has %d records: it cannot show that %d extend %d", t.size, size, old)
	}
	if old == 0 || old == size {
		return nil, nil
	}
	proof, err := tlog.ProveTree(size, old, t)
	if err != nil {
		return nil, fmt.Errorf("proving that %d records extend %d: %w", size, old, err)
	}
	return hashesOf(proof), nil
}

func hashesOf(list []tlog.Hash) []Hash {
	out := make([]Hash, len(list))
	for i, h := range list {
		out[i] = Hash(h)
	}
	return out
}
