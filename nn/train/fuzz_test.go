package train_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"bitgpu/nn/train"
)

// FuzzMetrics: any file is read, or refused in one sentence.
func FuzzMetrics(f *testing.F) {
	f.Add([]byte("{\"step\":0,\"loss\":1}\n{\"step\":1"))
	f.Add([]byte("\n"))
	f.Add([]byte("[]\n{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), train.MetricsName)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		all, err := train.ReadMetrics(path)
		if err == nil && len(all) > len(data) {
			t.Errorf("%d lines of %d bytes", len(all), len(data))
		}
	})
}

// FuzzState: a checkpoint with any state.json is damaged or whole, never a panic.
func FuzzState(f *testing.F) {
	whole, err := json.Marshal(train.State{FormatVersion: 1, Step: 3, Options: train.DefaultOptions(), Checksums: map[string]string{"config.json": "00000000"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`{"format_version":1,"step":1,"crc32c":{"../../x":"0","":"1"}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, "checkpoints", "step-00000003")
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, "state.json"), data, 0o644); err != nil {
			t.Fatal(err)
		}
		// Without a model beside it, no state makes a whole checkpoint.
		if ck, err := train.Newest(dir, func(error) {}); err == nil || ck != nil {
			t.Errorf("%+v is no checkpoint", ck)
		}
	})
}
