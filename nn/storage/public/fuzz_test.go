package public

import (
	"bytes"
	"strings"
	"testing"

	"bitgpu/io/gguf"
	"bitgpu/nn/storage/public/publictest"
)

// FuzzParseHF: no config.json makes parseHF panic, or describes what Validate lets pass and no layer can be.
func FuzzParseHF(f *testing.F) {
	for _, config := range hfConfigs {
		f.Add([]byte(config))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		IsHF(data)
		d, _, err := parseHF(data)
		if err != nil {
			return
		}
		d.Vocab = 1
		if d.Validate() == nil && d.HeadWidth < 1<<12 {
			d.Rope.Angles(0, 1)
		}
	})
}

// FuzzOpenGGUF: no file makes the reader panic; one that it takes has every weight of its shape. Edits are groups of four bytes, a place
// and what is changed there: files as a whole would be too long for the fuzzer. Nothing is written to the disk, which would take longer
// than all that is tried.
func FuzzOpenGGUF(f *testing.F) {
	var files [][]byte
	var headers []int
	read := func(data []byte) (*Model, error) {
		file, err := gguf.Parse("fuzz", data)
		if err != nil {
			return nil, err
		}
		g, m := &ggufFile{File: file}, &Model{Path: "fuzz"}
		if err := g.open(m); err != nil {
			return nil, err
		}
		if m.Decoder.Vocab, err = g.rows("embed.weight"); err != nil {
			return nil, err
		}
		return m, m.fill(g, Options{})
	}
	for _, family := range publictest.Families {
		var out bytes.Buffer
		keys, tensors := publictest.SmallParts(family)
		if err := gguf.Write(&out, keys, tensors); err != nil {
			f.Fatal(err)
		}
		if _, err := read(out.Bytes()); err != nil {
			f.Fatal(err)
		}
		file, err := gguf.Parse(family, out.Bytes())
		if err != nil {
			f.Fatal(err)
		}
		files, headers = append(files, out.Bytes()), append(headers, int(file.Tensors()[0].Offset))
	}
	f.Add(false, uint32(0), []byte{})
	f.Add(true, uint32(0), []byte{})
	f.Add(true, uint32(7), []byte{0, 0, 60, 1, 1, 2, 3, 255})
	f.Fuzz(func(t *testing.T, hybrid bool, cut uint32, edits []byte) {
		whole, header := files[0], headers[0]
		if hybrid {
			whole, header = files[1], headers[1]
		}
		data := bytes.Clone(whole)
		for ; len(edits) >= 4; edits = edits[4:] {
			at := int(edits[0])<<16 | int(edits[1])<<8 | int(edits[2])
			if at < 1<<23 { // mostly what describes the weights
				at %= header
			}
			data[at%len(data)] ^= edits[3]
		}
		if cut > 0 {
			data = data[:int(cut)%len(data)]
		}
		m, err := read(data)
		if err != nil {
			if !strings.Contains(err.Error(), "fuzz: ") || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%q: want one sentence that names the file", err)
			}
			return
		}
		if err := m.Decoder.Validate(); err != nil {
			t.Fatal(err)
		}
		for _, h := range *m.Weights {
			if h.Bytes() == 0 {
				t.Fatalf("a weight of shape %v is empty", h.Shape)
			}
		}
	})
}
