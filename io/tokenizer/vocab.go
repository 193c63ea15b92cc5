package tokenizer

import (
	"fmt"
	"strconv"
)

// A model turns one word into ids.
type model interface {
	// encode appends the ids of word, which is not empty and valid UTF-8, to dst.
	encode(dst []uint32, word string, w *worker) []uint32
	// vocabulary returns what the model's ids stand for.
	vocabulary() *vocab
}

// vocab is a model's vocabulary.
type vocab struct {
	pieces []string          // by id; "" for holes in the file's ids, too
	listed bool              // the file lists the pieces, so that no id is a hole
	count  int               // of the pieces in the file
	ids    map[string]uint32 // of equal pieces the last
	bytes  [256]int32        // ids of "<0x00>" to "<0xFF>", noID if missing
}

const noID = -1

// newVocab reads a map from piece to id.
func newVocab(ids map[string]uint32) (*vocab, error) {
	v := &vocab{ids: ids, count: len(ids)}
	size := 0
	for piece, id := range ids {
		if err := checkID(piece, id, len(ids)); err != nil {
			return nil, err
		}
		size = max(size, int(id)+1)
	}
	v.pieces = make([]string, size)
	taken := make([]bool, size)
	for piece, id := range ids {
		if taken[id] {
			first, second := min(piece, v.pieces[id]), max(piece, v.pieces[id])
			return nil, fmt.Errorf("vocab: %q and %q both have id %d, want one piece an id", first, second, id)
		}
		v.pieces[id], taken[id] = piece, true
	}
	v.findBytes()
	return v, nil
}

// checkID refuses ids so far above the number of pieces that tables indexed by id would outgrow the file.
func checkID(piece string, id uint32, pieces int) error {
	if limit := 4*pieces + 1<<16; int64(id) >= int64(limit) {
		return fmt.Errorf("vocab: %q has id %d, want an id below %d in a vocabulary of %d pieces", piece, id, limit, pieces)
	}
	return nil
}

func (v *vocab) findBytes() {
	for b := range v.bytes {
		v.bytes[b] = noID
		if id, ok := v.ids[byteToken(byte(b))]; ok {
			v.bytes[b] = int32(id)
		}
	}
}

// byteToken returns the piece that stands for a byte if no other piece contains it.
func byteToken(b byte) string {
	const hex = "0123456789ABCDEF"
	return "<0x" + string(hex[b>>4]) + string(hex[b&15]) + ">"
}

// byteOf returns the byte that a piece such as "<0x0A>" stands for.
func byteOf(piece string) (byte, bool) {
	if len(piece) != 6 || piece[:3] != "<0x" || piece[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(piece[3:5], 16, 8)
	return byte(b), err == nil
}

// appendBytes appends the byte tokens of s. If one of them is missing, ok is false and dst unchanged.
func (v *vocab) appendBytes(dst []uint32, s string) (_ []uint32, ok bool) {
	before := len(dst)
	for i := 0; i < len(s); i++ {
		id := v.bytes[s[i]]
		if id == noID {
			return dst[:before], false
		}
		dst = append(dst, uint32(id))
	}
	return dst, true
}
