package safetensors

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"bitgpu/io/internal/clip"
	"bitgpu/io/internal/jsonscan"
	"bitgpu/io/internal/mapfile"
)

// File is an open safetensors file.
type File struct {
	size     int64
	tensors  []Tensor // in the order of their data
	byName   map[string]int
	metadata map[string]string
	mapped   *mapfile.File // nil after Parse
}

// Open maps the file at path and checks its header. Nothing else is read until it is used.
func Open(path string) (*File, error) {
	mapped, err := mapfile.Open(path)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	f, err := Parse(path, mapped.Data)
	if err != nil {
		mapped.Close()
		return nil, err
	}
	f.mapped = mapped
	return f, nil
}

// Parse reads data as a whole file, at any alignment. The tensors are views of it. name is for messages.
func Parse(name string, data []byte) (*File, error) {
	f, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %s: %w", name, err)
	}
	return f, nil
}

// Close closes the file, and the data of its tensors become invalid. After [Parse] it does nothing.
func (f *File) Close() error {
	if f.mapped == nil {
		return nil
	}
	return f.mapped.Close()
}

// Names lists the tensors in the order of their data.
func (f *File) Names() []string {
	names := make([]string, len(f.tensors))
	for i, t := range f.tensors {
		names[i] = t.Name
	}
	return names
}

// Tensor finds a tensor by name.
func (f *File) Tensor(name string) (Tensor, bool) {
	i, ok := f.byName[name]
	if !ok {
		return Tensor{}, false
	}
	return f.tensors[i], true
}

// Metadata returns a copy of the file's free-text entries; it is never nil.
func (f *File) Metadata() map[string]string { return maps.Clone(f.metadata) }

// Size returns the size of the file in bytes.
func (f *File) Size() int64 { return f.size }

// entry is a tensor with its offsets, before these are checked.
type entry struct {
	tensor     Tensor
	begin, end int
}

func parse(data []byte) (*File, error) {
	if len(data) < 8 {
		return nil, fmt.Errorf("got %d bytes, a safetensors file has at least 8", len(data))
	}
	length := binary.LittleEndian.Uint64(data)
	switch {
	case length > uint64(len(data)-8):
		return nil, fmt.Errorf("header of %d bytes announced, %d bytes follow", length, len(data)-8)
	case length > maxHeader:
		return nil, fmt.Errorf("got a header of %d bytes, want at most %d", length, maxHeader)
	}
	header, body := data[8:8+length], data[8+length:]
	if err := jsonscan.Check(header); err != nil {
		return nil, fmt.Errorf("header is not JSON: %w", err)
	}
	if !jsonscan.IsObject(header) {
		return nil, errors.New("header is not a JSON object")
	}
	f := &File{size: int64(len(data)), byName: map[string]int{}, metadata: map[string]string{}}
	entries, err := f.readHeader(header)
	if err != nil {
		return nil, err
	}
	return f, f.place(entries, body)
}

func (f *File) readHeader(header []byte) ([]entry, error) {
	var entries []entry
	seen := map[string]bool{}
	for member := range jsonscan.Members(header) {
		name, err := readName(member.Name)
		if err != nil {
			return nil, err
		}
		if seen[name] {
			return nil, fmt.Errorf("%s: the header has this name twice", clip.Name(name))
		}
		seen[name] = true
		if len(seen) > maxEntries {
			return nil, fmt.Errorf("more than %d tensors", maxEntries)
		}
		if name == metadataName {
			err = f.readMetadata(member.Value)
		} else {
			var e entry
			e, err = readEntry(name, member.Value)
			entries = append(entries, e)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", clip.Name(name), err)
		}
	}
	return entries, nil
}

func readName(text []byte) (string, error) {
	if len(text) > maxName {
		return "", fmt.Errorf("got a name of %d bytes, want at most %d", len(text), maxName)
	}
	return jsonscan.String(text)
}

func (f *File) readMetadata(value []byte) error {
	if string(value) == "null" { // no metadata, as in the format's first implementation
		return nil
	}
	if !jsonscan.IsObject(value) {
		return errors.New("not a JSON object")
	}
	for member := range jsonscan.Members(value) {
		key, err := readName(member.Name)
		if err != nil {
			return err
		}
		text, err := jsonscan.String(member.Value)
		if err != nil {
			return fmt.Errorf("%s: %w", clip.Name(key), err)
		}
		if _, twice := f.metadata[key]; twice {
			return fmt.Errorf("%s: this key is there twice", clip.Name(key))
		}
		f.metadata[key] = text
		if len(f.metadata) > maxEntries {
			return fmt.Errorf("more than %d keys", maxEntries)
		}
	}
	return nil
}

func readEntry(name string, value []byte) (entry, error) {
	if !jsonscan.IsObject(value) {
		return entry{}, errors.New("not a JSON object with dtype, shape and data_offsets")
	}
	fields := map[string][]byte{}
	for member := range jsonscan.Members(value) {
		// Other keys are ignored, as in the format's first implementation.
		switch key := string(member.Name[1 : len(member.Name)-1]); key {
		case "dtype", "shape", "data_offsets":
			if fields[key] != nil {
				return entry{}, fmt.Errorf("%s is there twice", key)
			}
			fields[key] = member.Value
		}
	}
	for _, key := range []string{"dtype", "shape", "data_offsets"} {
		if fields[key] == nil {
			return entry{}, fmt.Errorf("%s is missing", key)
		}
	}
	dtype, err := readType(fields["dtype"])
	if err != nil {
		return entry{}, err
	}
	shape, err := readNumbers(fields["shape"], maxRank)
	if err != nil {
		return entry{}, fmt.Errorf("shape: %w", err)
	}
	offsets, err := readNumbers(fields["data_offsets"], 2)
	if err != nil {
		return entry{}, fmt.Errorf("data_offsets: %w", err)
	}
	if len(offsets) != 2 {
		return entry{}, fmt.Errorf("data_offsets: got %d numbers, want 2", len(offsets))
	}
	if offsets[0] > offsets[1] {
		return entry{}, fmt.Errorf("data_offsets: end %d lies before begin %d", offsets[1], offsets[0])
	}
	size, err := byteSize(dtype, shape)
	if err != nil {
		return entry{}, err
	}
	if found := offsets[1] - offsets[0]; found != size {
		return entry{}, fmt.Errorf("got data_offsets that span %d bytes, want %d for shape %s of %s", found, size, FormatShape(shape), dtype)
	}
	return entry{Tensor{Name: name, DType: dtype, Shape: shape}, offsets[0], offsets[1]}, nil
}

func readType(value []byte) (DType, error) {
	// The longest name of any type is far shorter, so longer strings need not be decoded.
	if !jsonscan.IsString(value) || len(value) > 32 {
		return "", errors.New("dtype: not the name of a type")
	}
	name, err := jsonscan.String(value)
	if err != nil {
		return "", fmt.Errorf("dtype: %w", err)
	}
	if bits[DType(name)] == 0 {
		return "", unknownType(name)
	}
	return DType(name), nil
}

// readNumbers reads an array of at most limit whole numbers that are not negative.
func readNumbers(value []byte, limit int) ([]int, error) {
	if !jsonscan.IsArray(value) {
		return nil, errors.New("not a list of numbers")
	}
	numbers := []int{}
	for element := range jsonscan.Elements(value) {
		if len(numbers) == limit {
			return nil, fmt.Errorf("more than %d numbers", limit)
		}
		text := string(element[:min(len(element), clip.Max+1)])
		n, err := strconv.ParseUint(text, 10, strconv.IntSize-1)
		if errors.Is(err, strconv.ErrRange) {
			return nil, fmt.Errorf("%s is more than %d", clip.Name(text), math.MaxInt)
		}
		if err != nil {
			return nil, fmt.Errorf("got %s, want a whole number from 0 on", clip.Name(text))
		}
		numbers = append(numbers, int(n))
	}
	return numbers, nil
}

// place gives each tensor its part of body, and requires that the tensors fill body without gaps or overlaps.
func (f *File) place(entries []entry, body []byte) error {
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end), cmp.Compare(a.tensor.Name, b.tensor.Name))
	})
	f.tensors = make([]Tensor, len(entries))
	at := 0
	for i, e := range entries {
		switch {
		case e.end > len(body):
			return fmt.Errorf("%s: lies at bytes %d to %d, the file has %d bytes of data", clip.Name(e.tensor.Name), e.begin, e.end, len(body))
		case e.begin < at:
			return fmt.Errorf("%s: begins at byte %d, inside %s, which ends at %d", clip.Name(e.tensor.Name), e.begin, clip.Name(entries[i-1].tensor.Name), at)
		case e.begin > at:
			return fmt.Errorf("%s: begins at byte %d, which leaves a gap after byte %d", clip.Name(e.tensor.Name), e.begin, at)
		}
		f.tensors[i] = e.tensor
		f.tensors[i].Data = body[e.begin:e.end:e.end]
		f.byName[e.tensor.Name] = i
		at = e.end
	}
	if at != len(body) {
		return fmt.Errorf("%d bytes follow the last tensor", len(body)-at)
	}
	return nil
}
