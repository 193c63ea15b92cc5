package ranks

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"slices"

	"bitgpu/nn"
	"bitgpu/nn/op"
	"bitgpu/nn/train"
)

// Facts are what must be the same on all ranks, by name.
type Facts map[string]string

// Add adds the members of a value that is an object in JSON, with word before each name.
func (f Facts) Add(word string, value any) error {
	text, err := json.Marshal(value)
	var keys map[string]json.RawMessage
	if err == nil {
		err = json.Unmarshal(text, &keys)
	}
	for key, value := range keys {
		f[word+key] = string(value)
	}
	return err
}

// Same refuses ranks whose facts differ from those of rank 0. The error is as for [Ranks.Agree].
func (r *Ranks) Same(found Facts) error {
	mine, err := json.Marshal(found)
	if err != nil {
		return err
	}
	theirs, err := train.Broadcast(r, mine)
	if err != nil {
		return err
	}
	want := Facts{}
	err = json.Unmarshal(theirs, &want)
	all := maps.Clone(want)
	maps.Copy(all, found)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err == nil && found[name] != want[name] {
			err = fmt.Errorf("%s: got %s, want %s as rank 0 has", name, cmp.Or(found[name], "none"), cmp.Or(want[name], "none"))
		}
	}
	return r.Agree(err)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Program identifies a program, and distinguishes builds of the same version.
func Program(version string) (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := crc32.New(castagnoli)
	_, err = io.Copy(sum, file)
	return fmt.Sprintf("%s, CRC-32C %08x", version, sum.Sum32()), err
}

// Weights returns a checksum of all numbers of weights, whatever their format.
func Weights(w *nn.Weights[op.HostTensor]) string {
	sum := crc32.New(castagnoli)
	for _, h := range *w {
		addNumbers(sum, h.F32)
		addNumbers(sum, h.F16)
		addNumbers(sum, h.I8)
		addNumbers(sum, h.Codes)
		addNumbers(sum, h.Scales)
		addNumbers(sum, h.GroupScales)
	}
	return fmt.Sprintf("CRC-32C %08x", sum.Sum32())
}

// addNumbers adds numbers in pieces.
func addNumbers[N any](sum io.Writer, x []N) {
	for ; len(x) > 0; x = x[min(len(x), 4096):] {
		binary.Write(sum, binary.LittleEndian, x[:min(len(x), 4096)])
	}
}
