package safetensors

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// shards writes files with one-number tensors of the names given, and an index.
func shards(t *testing.T, index string, files map[string][]string) string {
	t.Helper()
	dir := t.TempDir()
	for file, names := range files {
		var tensors []Tensor
		for i, name := range names {
			tensors = append(tensors, FromFloat32s(name, []int{1}, []float32{float32(i)}))
		}
		if err := WriteFile(filepath.Join(dir, file), tensors, nil); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, IndexName)
	if err := os.WriteFile(path, []byte(index), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSharded(t *testing.T) {
	path := shards(t, `{"metadata":{"total_size":12},"weight_map":{"c":"2","a":"1","b":"1"}}`, map[string][]string{"1": {"a", "b"}, "2": {"c"}})
	s, err := OpenIndex(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !slices.Equal(s.Names(), []string{"a", "b", "c"}) {
		t.Errorf("%v", s.Names())
	}
	b, ok := s.Tensor("b")
	if v, err := b.Float32s(); !ok || err != nil || v[0] != 1 {
		t.Errorf("%v (%v)", v, err)
	}
	if _, ok := s.Tensor("d"); ok {
		t.Error("found what is not there")
	}
	if s.Size() < 24 {
		t.Errorf("%d bytes", s.Size())
	}
}

func TestShardedRefusals(t *testing.T) {
	two := map[string][]string{"1": {"a"}, "2": {"b"}}
	for want, c := range map[string]struct {
		index string
		files map[string][]string
	}{
		"not JSON":                               {`{"weight_map":`, nil},
		`want an object with a "weight_map"`:     {`[]`, nil},
		`that names tensors`:                     {`{"weight_map":{}}`, nil},
		"weight_map: want one object":            {`{"weight_map":["a"]}`, nil},
		"weight_map: a is there twice":           {`{"weight_map":{"a":"1","a":"1"}}`, nil},
		"weight_map: a: not a string":            {`{"weight_map":{"a":1}}`, nil},
		"a is in ../1, want the name of a file":  {`{"weight_map":{"a":"../1"}}`, nil},
		"a is in /etc/1, want the name":          {`{"weight_map":{"a":"/etc/1"}}`, nil},
		"a is in .., want the name of a file":    {`{"weight_map":{"a":".."}}`, nil},
		"a is in sub/1, want the name of a file": {`{"weight_map":{"a":"sub/1"}}`, nil},
		`a is in "", want the name of a file`:    {`{"weight_map":{"a":""}}`, nil},
		"3: no such file":                        {`{"weight_map":{"a":"1","b":"3"}}`, two},
		"a is in two files, 1 and 2":             {`{"weight_map":{"a":"1","b":"2"}}`, map[string][]string{"1": {"a"}, "2": {"b", "a"}}},
		"a is in 1, but the index says in 2":     {`{"weight_map":{"a":"2","b":"1"}}`, two},
		"c is not in 2, where the index says":    {`{"weight_map":{"a":"1","b":"2","c":"2"}}`, two},
		"b is in 2, but not in the index":        {`{"weight_map":{"a":"1","c":"2"}}`, map[string][]string{"1": {"a"}, "2": {"b", "c"}}},
	} {
		path := shards(t, c.index, c.files)
		s, err := OpenIndex(path)
		wantError(t, err, want)
		wantError(t, err, "safetensors: "+filepath.Dir(path))
		if s != nil {
			t.Error("an index that was refused is open")
		}
	}
	_, err := OpenIndex(filepath.Join(t.TempDir(), IndexName))
	wantError(t, err, "no such file")
}
