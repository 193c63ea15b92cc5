package safetensors

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"bitgpu/io/internal/clip"
	"bitgpu/io/internal/jsonscan"
	"bitgpu/io/internal/mapfile"
)

// U32 is the type of MLX's packed weights.
const U32 DType = "U32"

// IndexName is the file beside a model's parts that says which part contains which tensor.
const IndexName = "model.safetensors.index.json"

// Sharded holds the tensors of a model that is split into several files.
type Sharded struct {
	files  []*File // sorted by name
	names  []string
	byName map[string]int // index into files
}

// OpenIndex opens an index and the files that it names, in the same directory. The files must contain exactly the tensors
// that the index assigns to them.
func OpenIndex(path string) (*Sharded, error) {
	index, err := mapfile.Open(path)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	defer index.Close()
	where, err := readIndex(index.Data)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %s: %w", path, err)
	}
	s := &Sharded{byName: map[string]int{}}
	if err := s.open(filepath.Dir(path), where); err != nil {
		s.Close()
		if !errors.As(err, new(misplaced)) {
			return nil, err // already names the file
		}
		return nil, fmt.Errorf("safetensors: %s: %w", path, err)
	}
	return s, nil
}

// misplaced is an error about which file contains what.
type misplaced struct{ error }

// readIndex reads which file contains each tensor.
func readIndex(data []byte) (map[string]string, error) {
	if len(data) > maxHeader {
		return nil, fmt.Errorf("got %d bytes, want at most %d", len(data), maxHeader)
	}
	if err := jsonscan.Check(data); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	where := map[string]string{}
	found := false
	for member := range jsonscan.Members(data) {
		if string(member.Name) != `"weight_map"` {
			continue
		}
		if found || !jsonscan.IsObject(member.Value) {
			return nil, errors.New("weight_map: want one object")
		}
		found = true
		for entry := range jsonscan.Members(member.Value) {
			name, err := readName(entry.Name)
			if err != nil {
				return nil, fmt.Errorf("weight_map: %w", err)
			}
			file, err := readName(entry.Value)
			switch _, twice := where[name]; {
			case err != nil:
				return nil, fmt.Errorf("weight_map: %s: %w", clip.Name(name), err)
			case twice:
				return nil, fmt.Errorf("weight_map: %s is there twice", clip.Name(name))
			case file == "" || file == "." || filepath.Base(file) != file || !filepath.IsLocal(file):
				return nil, fmt.Errorf("weight_map: %s is in %s, want the name of a file in the index's own directory", clip.Name(name), clip.Name(file))
			}
			if where[name] = file; len(where) > maxEntries {
				return nil, fmt.Errorf("weight_map: more than %d tensors", maxEntries)
			}
		}
	}
	if len(where) == 0 {
		return nil, errors.New(`want an object with a "weight_map" that names tensors`)
	}
	return where, nil
}

func (s *Sharded) open(dir string, where map[string]string) error {
	parts := slices.Compact(slices.Sorted(maps.Values(where)))
	for i, part := range parts {
		f, err := Open(filepath.Join(dir, part))
		if err != nil {
			return err
		}
		s.files = append(s.files, f)
		for _, name := range f.Names() {
			if other, twice := s.byName[name]; twice {
				return misplaced{fmt.Errorf("%s is in two files, %s and %s", clip.Name(name), parts[other], part)}
			}
			if _, ok := where[name]; !ok {
				return misplaced{fmt.Errorf("%s is in %s, but not in the index", clip.Name(name), part)}
			}
			s.byName[name] = i
			s.names = append(s.names, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(where)) {
		i, ok := s.byName[name]
		switch {
		case !ok:
			return misplaced{fmt.Errorf("%s is not in %s, where the index says it is", clip.Name(name), where[name])}
		case parts[i] != where[name]:
			return misplaced{fmt.Errorf("%s is in %s, but the index says in %s", clip.Name(name), parts[i], where[name])}
		}
	}
	return nil
}

// Names lists the tensors, file by file.
func (s *Sharded) Names() []string { return slices.Clone(s.names) }

// Tensor finds a tensor by name.
func (s *Sharded) Tensor(name string) (Tensor, bool) {
	i, ok := s.byName[name]
	if !ok {
		return Tensor{}, false
	}
	return s.files[i].Tensor(name)
}

// Size returns the size of all files together in bytes, without the index.
func (s *Sharded) Size() int64 {
	size := int64(0)
	for _, f := range s.files {
		size += f.Size()
	}
	return size
}

// Close closes the files, and the data of their tensors become invalid.
func (s *Sharded) Close() error {
	var all []error
	for _, f := range s.files {
		all = append(all, f.Close())
	}
	return errors.Join(all...)
}
