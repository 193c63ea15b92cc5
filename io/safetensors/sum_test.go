package safetensors

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSum: in a file with a checksum, every flipped bit is either refused or changes nothing that the file says; a file without a
// checksum is not checked.
func TestSum(t *testing.T) {
	tensors := []Tensor{FromFloat32s("b", []int{2}, []float32{1, 2}), FromUint8s("a", []int{4}, []byte("text"))}
	metadata := map[string]string{"format": "pt", "n": "12"}
	data := encode(t, tensors, Summed(tensors, metadata))
	whole, err := Parse("test", data)
	if err != nil || whole.CheckSum() != nil {
		t.Fatal(err, whole.CheckSum())
	}
	if got := whole.Metadata()[SumKey]; got != "941c3de3" { // computed by another program
		t.Errorf("got the checksum %s", got)
	}
	same := func(f *File) bool {
		for i, tensor := range whole.tensors {
			if !cmp.Equal(f.tensors[i], tensor) {
				return false
			}
		}
		return f.metadata["format"] == "pt" && f.metadata["n"] == "12"
	}
	for i := range 8 * len(data) {
		damaged := bytes.Clone(data)
		damaged[i/8] ^= 1 << (i % 8)
		f, err := Parse("test", damaged)
		if err == nil {
			err = f.CheckSum()
		}
		if err == nil && !same(f) {
			t.Errorf("bit %d of byte %d, %q: accepted", i%8, i/8, damaged[i/8])
		}
	}
	plain, err := Parse("test", encode(t, tensors, metadata))
	if err != nil || plain.CheckSum() != nil {
		t.Errorf("got %v and %v without a checksum", err, plain.CheckSum())
	}
}
