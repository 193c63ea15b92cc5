package safetensors

import (
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"
	"strings"
)

// SumKey is the metadata entry with a file's checksum, if it has one: the CRC-32C, in eight hexadecimal digits, of all other
// entries and all tensors, each in the order of their names. Each contributes its name, a zero byte, the entry's text or the
// tensor's data, and a zero byte.
const SumKey = "bitgpu.crc32c"

// castagnoli has its own instruction on most processors.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Summed returns metadata with the checksum of the metadata and the tensors added.
func Summed(tensors []Tensor, metadata map[string]string) map[string]string {
	all := maps.Clone(metadata)
	if all == nil {
		all = map[string]string{}
	}
	all[SumKey] = sum(slices.Clone(tensors), metadata)
	return all
}

// CheckSum returns an error if the file does not match its checksum. A file without one passes: those of other programs have none.
func (f *File) CheckSum() error {
	want, ok := f.metadata[SumKey]
	if !ok {
		return nil
	}
	if got := sum(slices.Clone(f.tensors), f.metadata); got != want {
		return fmt.Errorf("got the checksum %s, want %.40q: the file is damaged, take a copy of it if there is one", got, want)
	}
	return nil
}

func sum(tensors []Tensor, metadata map[string]string) string {
	h := crc32.New(castagnoli)
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		if key != SumKey {
			io.WriteString(h, key+"\x00"+metadata[key]+"\x00")
		}
	}
	slices.SortFunc(tensors, func(a, b Tensor) int { return strings.Compare(a.Name, b.Name) })
	for _, t := range tensors {
		io.WriteString(h, t.Name+"\x00")
		h.Write(t.Data)
		h.Write([]byte{0})
	}
	return fmt.Sprintf("%08x", h.Sum32())
}
