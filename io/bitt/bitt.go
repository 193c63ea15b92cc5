// Package bitt reads and writes .bitt, a whole model in one file: the four bytes BITT, eight bytes of header
// length, a JSON header with the config and the tokenizer, and a safetensors file.
//
// Config and tokenizer are JSON for others to interpret, and the tensors belong to package safetensors.
//
// # Why
//
// Why are there two variants to read? Existing files contain the tokenizer as an object, or as a string with the JSON inside,
// and their header ends anywhere, so that tensors are unaligned. Both variants can be read. Only one is written: the object,
// in a header padded with spaces so that the body begins at a multiple of 64 bytes, which lets [safetensors.Tensor.FloatView]
// return weights without a copy. Older readers accept it too.
package bitt

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"bitgpu/io/atomicfile"
	"bitgpu/io/internal/jsonscan"
	"bitgpu/io/internal/mapfile"
	"bitgpu/io/safetensors"
)

// Magic begins every .bitt file.
const Magic = "BITT"

const (
	// prefix is the length of what precedes the header: the magic and the header's length.
	prefix = len(Magic) + 8
	// bodyAlign is the alignment of the body in files that we write, which is that of the tensors inside.
	bodyAlign = 64
)

// File is an open .bitt file.
type File struct {
	Config    json.RawMessage   // an object
	Tokenizer json.RawMessage   // an object, or nil when the file has none
	Tensors   *safetensors.File // valid until Close
	mapped    *mapfile.File     // nil after Parse
}

// Open maps the file at path and checks both headers.
func Open(path string) (*File, error) {
	mapped, err := mapfile.Open(path)
	if err != nil {
		return nil, fmt.Errorf("bitt: %w", err)
	}
	f, err := Parse(path, mapped.Data)
	if err != nil {
		mapped.Close()
		return nil, err
	}
	f.mapped = mapped
	return f, nil
}

// Parse reads data as a whole file, at any alignment. The tensors are views of it; config and tokenizer are copies. name is
// for messages.
func Parse(name string, data []byte) (*File, error) {
	if !bytes.HasPrefix(data, []byte(Magic)) {
		return nil, fmt.Errorf("bitt: %s: begins with %q, want %q", name, data[:min(len(data), len(Magic))], Magic)
	}
	if len(data) < prefix {
		return nil, fmt.Errorf("bitt: %s: got %d bytes, want at least %d", name, len(data), prefix)
	}
	length := binary.LittleEndian.Uint64(data[len(Magic):])
	if rest := uint64(len(data) - prefix); length > rest {
		return nil, fmt.Errorf("bitt: %s: header of %d bytes announced, %d bytes follow", name, length, rest)
	}
	end := prefix + int(length)
	f, err := parseHeader(data[prefix:end])
	if err != nil {
		return nil, fmt.Errorf("bitt: %s: %w", name, err)
	}
	f.Tensors, err = safetensors.Parse(name, data[end:])
	if err != nil {
		return nil, fmt.Errorf("bitt: %w", err)
	}
	return f, nil
}

// Close closes the file. The data of its tensors become invalid; config and tokenizer stay.
func (f *File) Close() error {
	if f.mapped == nil {
		return nil
	}
	return f.mapped.Close()
}

func parseHeader(header []byte) (*File, error) {
	if err := jsonscan.Check(header); err != nil {
		return nil, fmt.Errorf("header is not JSON: %w", err)
	}
	if !jsonscan.IsObject(header) {
		return nil, errors.New("header is not a JSON object")
	}
	parts := map[string][]byte{}
	for member := range jsonscan.Members(header) {
		switch key := string(member.Name[1 : len(member.Name)-1]); key {
		case "config", "tokenizer":
			if parts[key] != nil {
				return nil, fmt.Errorf("the header has %s twice", key)
			}
			parts[key] = member.Value
		}
	}
	config, tokenizer := parts["config"], parts["tokenizer"]
	if config == nil {
		return nil, errors.New("the header has no config")
	}
	if !jsonscan.IsObject(config) {
		return nil, errors.New("config: not a JSON object")
	}
	f := &File{Config: bytes.Clone(config)}
	switch {
	case tokenizer == nil || string(tokenizer) == "null":
	case jsonscan.IsObject(tokenizer):
		f.Tokenizer = bytes.Clone(tokenizer)
	case jsonscan.IsString(tokenizer):
		var text unquoted
		if err := json.Unmarshal(tokenizer, &text); err != nil {
			return nil, fmt.Errorf("tokenizer: %w", err)
		}
		if err := checkObject(text); err != nil {
			return nil, fmt.Errorf("tokenizer: not a string with a JSON object inside: %w", err)
		}
		f.Tokenizer = json.RawMessage(text)
	default:
		return nil, errors.New("tokenizer: neither a JSON object nor a string that holds one")
	}
	return f, nil
}

// unquoted receives the text of a JSON string with one copy fewer than a Go string needs.
type unquoted []byte

func (u *unquoted) UnmarshalText(text []byte) error {
	*u = bytes.Clone(text)
	return nil
}

// checkObject returns an error unless text is one JSON object.
func checkObject(text []byte) error {
	if err := jsonscan.Check(text); err != nil {
		return err
	}
	if !jsonscan.IsObject(text) {
		return errors.New("not an object")
	}
	return nil
}

// Write writes a file. Config and tokenizer must be JSON objects; a nil tokenizer is written as null.
func Write(w io.Writer, config, tokenizer json.RawMessage, tensors []safetensors.Tensor, metadata map[string]string) error {
	header, err := encodeHeader(config, tokenizer)
	if err != nil {
		return fmt.Errorf("bitt: %w", err)
	}
	if err := write(w, header, tensors, metadata); err != nil {
		return fmt.Errorf("bitt: %w", err)
	}
	return nil
}

// WriteFile replaces the file at path as a whole; after an error the old file is still there.
func WriteFile(path string, config, tokenizer json.RawMessage, tensors []safetensors.Tensor, metadata map[string]string) error {
	header, err := encodeHeader(config, tokenizer)
	if err != nil {
		return fmt.Errorf("bitt: %s: %w", path, err)
	}
	err = atomicfile.Write(path, func(w io.Writer) error { return write(w, header, tensors, metadata) })
	if err != nil {
		return fmt.Errorf("bitt: %w", err)
	}
	return nil
}

func write(w io.Writer, header []byte, tensors []safetensors.Tensor, metadata map[string]string) error {
	if _, err := w.Write(header); err != nil {
		return err
	}
	return safetensors.Write(w, tensors, metadata)
}

// encodeHeader returns everything before the body, including padding.
func encodeHeader(config, tokenizer json.RawMessage) ([]byte, error) {
	if err := checkObject(config); err != nil {
		return nil, fmt.Errorf("config: not a JSON object: %w", err)
	}
	if tokenizer == nil {
		tokenizer = json.RawMessage("null")
	} else if err := checkObject(tokenizer); err != nil {
		return nil, fmt.Errorf("tokenizer: not a JSON object: %w", err)
	}
	out := bytes.NewBufferString(Magic)
	out.Write(make([]byte, 8))
	out.WriteString(`{"config":`)
	if err := json.Compact(out, config); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	out.WriteString(`,"tokenizer":`)
	if err := json.Compact(out, tokenizer); err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	out.WriteByte('}')
	for out.Len()%bodyAlign != 0 {
		out.WriteByte(' ')
	}
	binary.LittleEndian.PutUint64(out.Bytes()[len(Magic):], uint64(out.Len()-prefix))
	return out.Bytes(), nil
}
