package tokenizer

import "math/bits"

// A table maps uint64 keys below 2⁶⁴−1 to uint64 values by open addressing: for pairs of ids it is several times faster than
// a Go map and takes half the memory. It is filled once and then only read.
type table struct {
	slots []slot
	shift uint
}

type slot struct {
	key   uint64 // plus one, so that zero is an empty slot
	value uint64
}

// newTable makes room for n keys.
func newTable(n int) table {
	size := bits.Len(uint(n + n/2 + 1)) // at most two thirds full
	return table{slots: make([]slot, 1<<size), shift: uint(64 - size)}
}

func (t *table) find(key uint64) *slot {
	mask := uint64(len(t.slots) - 1)
	for i := key * 0x9E3779B97F4A7C15 >> t.shift; ; i = (i + 1) & mask {
		if s := &t.slots[i]; s.key == key+1 || s.key == 0 {
			return s
		}
	}
}

// set must not be called for more keys than newTable made room for.
func (t *table) set(key, value uint64) { *t.find(key) = slot{key + 1, value} }

func (t *table) get(key uint64) (value uint64, ok bool) {
	s := t.find(key)
	return s.value, s.key != 0
}

// pair returns the key of two ids or two characters.
func pair(left, right uint32) uint64 { return uint64(left)<<32 | uint64(right) }
