package modeldir

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"bitgpu/io/atomicfile"
	"bitgpu/io/safetensors"
)

// TestWriteDirFails: whichever change of the file system fails, the directory opens with the parts of one model.
func TestWriteDirFails(t *testing.T) {
	write := func(dir, name string, tokenizer json.RawMessage) error {
		w := safetensors.FromFloat32s(name, []int{1}, []float32{1})
		return WriteDir(dir, json.RawMessage(`{"of":"`+name+`"}`), tokenizer, []safetensors.Tensor{w}, nil)
	}
	for at := 0; ; at++ {
		dir := t.TempDir()
		notes := filepath.Join(dir, "notes.txt")
		if err := os.WriteFile(notes, []byte("mine"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := write(dir, "old", json.RawMessage(`{}`)); err != nil {
			t.Fatal(err)
		}
		n, broken := 0, errors.New("broken")
		atomicfile.Fault = func(string) error {
			if n++; n == at+1 {
				return broken
			}
			return nil
		}
		err := write(dir, "new", nil)
		atomicfile.Fault = nil
		m, opened := Open(dir)
		if opened != nil {
			t.Fatalf("change %d: %v", at, opened)
		}
		var config struct{ Of string }
		if err := json.Unmarshal(m.Config, &config); err != nil {
			t.Fatal(err)
		}
		_, fits := m.Tensors.Tensor(config.Of)
		if !fits || (m.Tokenizer != nil) != (config.Of == "old") || err == nil && config.Of != "new" {
			t.Errorf("change %d: got the config of the %s model and weights %v", at, config.Of, m.Tensors.Names())
		}
		m.Close()
		if text, err := os.ReadFile(notes); err != nil || string(text) != "mine" {
			t.Errorf("change %d: notes.txt: %v", at, err)
		}
		if err == nil {
			return
		}
	}
}
