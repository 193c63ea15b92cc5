// Package modeldir opens a model in any form: a directory with config.json, model.safetensors and perhaps tokenizer.json; a
// .bitt file; or a single safetensors file beside its config.json. The content decides which of these a path is, not its
// name.
//
// It does not interpret what it finds: it guarantees that config and tokenizer are JSON objects, and that the header of the
// tensors is sound. Whether they make a model is decided elsewhere.
//
// # Why
//
// Why does opening a directory write to it? It only does so if a writer was killed after it had committed to replacing
// several files together; see [atomicfile.Recover].
//
// Why name foreign formats? A user with a GGUF or PyTorch file has to convert it, and should not have to guess that from
// "wrong magic".
package modeldir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"bitgpu/io/atomicfile"
	"bitgpu/io/bitt"
	"bitgpu/io/internal/jsonscan"
	"bitgpu/io/regular"
	"bitgpu/io/safetensors"
)

// The names of the files in a model directory.
const (
	ConfigName    = "config.json"
	TokenizerName = "tokenizer.json"
	TensorsName   = "model.safetensors"
)

// Form is how a model is stored.
type Form int

// The accepted forms.
const (
	Dir Form = iota
	Bitt
	Safetensors
)

func (f Form) String() string {
	return [...]string{"directory", ".bitt file", "safetensors file"}[f]
}

// Model is an open model. The three paths name the parts in messages; for a .bitt file they all begin with its path.
type Model struct {
	Path          string
	Form          Form
	Config        json.RawMessage // an object
	Tokenizer     json.RawMessage // an object, or nil if there is none
	ConfigPath    string
	Described     bool   // the caller provided the config
	TokenizerPath string // where the tokenizer is, or would be
	TensorsPath   string
	Tensors       *safetensors.File // valid until Close
	bitt          *bitt.File        // nil in the other forms
}

// Open opens the model at path. An error says what was looked for and what was found.
func Open(path string) (*Model, error) { return OpenDescribed(path, nil) }

// OpenDescribed is Open for a caller who has a config, which replaces the missing config.json of a safetensors file. A nil
// config does not.
func OpenDescribed(path string, config json.RawMessage) (*Model, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("modeldir: %s: %w, want a model directory, a .bitt, a .safetensors or a GGUF file", path, regular.Cause(err))
	}
	m, err := open(path, info.IsDir(), config)
	if err != nil {
		return nil, fmt.Errorf("modeldir: %w", err)
	}
	return m, nil
}

func open(path string, isDir bool, config json.RawMessage) (*Model, error) {
	if isDir {
		return atomicfile.Open(path, func() (*Model, error) {
			if err := checkDir(path); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			return openParts(path, Dir, path, filepath.Join(path, TensorsName), nil)
		})
	}
	dir := filepath.Dir(path)
	if err := atomicfile.Recover(dir); err != nil {
		return nil, err
	}
	form, err := recognize(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if form == Safetensors {
		return atomicfile.Open(dir, func() (*Model, error) { return openParts(path, Safetensors, dir, path, config) })
	}
	f, err := bitt.Open(path)
	if err != nil {
		return nil, err
	}
	return fromBitt(path, f), nil
}

// Parse reads the bytes of a .bitt file. name is for messages.
func Parse(name string, data []byte) (*Model, error) {
	f, err := bitt.Parse(name, data)
	if err != nil {
		return nil, fmt.Errorf("modeldir: %w", err)
	}
	return fromBitt(name, f), nil
}

// Close closes the model. The data of its tensors become invalid; config and tokenizer stay.
func (m *Model) Close() error {
	if m.bitt != nil {
		return m.bitt.Close()
	}
	return m.Tensors.Close()
}

func fromBitt(path string, f *bitt.File) *Model {
	return &Model{
		Path: path, Form: Bitt,
		Config: f.Config, Tokenizer: f.Tokenizer, Tensors: f.Tensors,
		ConfigPath: path + ": config", TokenizerPath: path + ": tokenizer", TensorsPath: path,
		bitt: f,
	}
}

// openParts opens a safetensors file and the two JSON files in dir; config may replace a missing one.
func openParts(path string, form Form, dir, tensors string, config json.RawMessage) (*Model, error) {
	m := &Model{
		Path: path, Form: form,
		ConfigPath: filepath.Join(dir, ConfigName), TokenizerPath: filepath.Join(dir, TokenizerName), TensorsPath: tensors,
	}
	var err error
	m.Config, err = readObject(m.ConfigPath)
	if errors.Is(err, fs.ErrNotExist) && config != nil {
		m.ConfigPath, m.Described, m.Config = "the config given for "+path, true, config
		err = checkObject(m.ConfigPath, config)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: a safetensors file needs its %s beside it, none found in %s", path, ConfigName, dir)
	}
	if err != nil {
		return nil, err
	}
	m.Tokenizer, err = readObject(m.TokenizerPath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	m.Tensors, err = safetensors.Open(tensors)
	if err != nil {
		return nil, err
	}
	return m, nil
}

// readObject reads a file that contains one JSON object.
func readObject(path string) (json.RawMessage, error) {
	data, err := regular.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, regular.Cause(err))
	}
	// Some editors put a byte order mark at the start, which JSON does not allow.
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if err := checkObject(path, data); err != nil {
		return nil, err
	}
	return data, nil
}

func checkObject(path string, data []byte) error {
	if err := jsonscan.Check(data); err != nil {
		return fmt.Errorf("%s: is not JSON: %w", path, err)
	}
	if !jsonscan.IsObject(data) {
		return fmt.Errorf("%s: not a JSON object", path)
	}
	return nil
}

// checkDir refuses a directory without one of the parts, and says what it has instead.
func checkDir(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return regular.Cause(err)
	}
	if len(entries) == 0 {
		return fmt.Errorf("an empty directory, want %s and %s", ConfigName, TensorsName)
	}
	found := map[string]bool{}
	var names []string
	for _, e := range entries {
		found[e.Name()] = true
		names = append(names, e.Name())
	}
	if found[TensorsName+".index.json"] && !found[TensorsName] {
		return fmt.Errorf("the weights are split into several files (%s.index.json found), want one %s", TensorsName, TensorsName)
	}
	for _, name := range []string{ConfigName, TensorsName} {
		if !found[name] {
			return fmt.Errorf("no %s in this directory; found %s", name, list(names))
		}
	}
	return nil
}

// list joins the first few names.
func list(names []string) string {
	const few = 6
	if len(names) > few {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
	}
	return strings.Join(names, ", ")
}

// foreign lists beginnings of files that people mistake for a model, and what to tell them.
var foreign = []struct{ magic, say string }{
	{"GGUF", "is a GGUF file of llama.cpp"},
	{"ggml", "is a GGML file of llama.cpp"},
	{"PK\x03\x04", "is a ZIP archive, as PyTorch writes its pickle files"},
	{"\x80\x02", "is a Python pickle file"},
	{"\x80\x03", "is a Python pickle file"},
	{"\x80\x04", "is a Python pickle file"},
	{"\x80\x05", "is a Python pickle file"},
	{"\x89HDF", "is an HDF5 file"},
	{"\x93NUMPY", "is a NumPy array"},
	{"\x1f\x8b", "is compressed with gzip; unpack it first"},
	{"version https://git-lfs", "is a Git LFS pointer, not the file itself; fetch it with git lfs pull"},
}

// recognize finds the form of a file by its first bytes.
func recognize(path string) (Form, error) {
	head, err := readHead(path)
	if err != nil {
		return 0, err
	}
	const (
		own  = "a .bitt or a .safetensors file"
		want = "a .bitt, a .safetensors or a GGUF file"
	)
	if len(head) == 0 {
		return 0, fmt.Errorf("an empty file, want %s", want)
	}
	if bytes.HasPrefix(head, []byte(bitt.Magic)) {
		return Bitt, nil
	}
	// A sound safetensors file begins with the eight bytes of a length, of which at least one is zero, and then its header.
	tensors := len(head) > 8 && head[8] == '{' && (head[0] != '{' || bytes.IndexByte(head[:8], 0) >= 0)
	for _, f := range foreign {
		// Two bytes could also be part of the length of a safetensors header.
		if bytes.HasPrefix(head, []byte(f.magic)) && !(tensors && len(f.magic) == 2) {
			return 0, fmt.Errorf("%s, want %s", f.say, own)
		}
	}
	if tensors {
		return Safetensors, nil
	}
	if text := bytes.TrimSpace(head); len(text) > 0 && text[0] == '{' {
		return 0, fmt.Errorf("is JSON, want the directory that holds it, or %s", want)
	}
	return 0, fmt.Errorf("begins with %q, which no model does, want %s", head[:min(len(head), 8)], want)
}

func readHead(path string) ([]byte, error) {
	f, err := regular.Open(path)
	if err != nil {
		return nil, regular.Cause(err)
	}
	defer f.Close()
	head := make([]byte, 32)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, regular.Cause(err)
	}
	return head[:n], nil
}

// WriteDir writes a model directory, creating it if necessary. Its files are replaced together or not at all, and other files
// stay. With a nil tokenizer, an old tokenizer file is removed.
func WriteDir(dir string, config, tokenizer json.RawMessage, tensors []safetensors.Tensor, metadata map[string]string) error {
	if err := writeDir(dir, config, tokenizer, tensors, metadata); err != nil {
		return fmt.Errorf("modeldir: %w", err)
	}
	return nil
}

func writeDir(dir string, config, tokenizer json.RawMessage, tensors []safetensors.Tensor, metadata map[string]string) error {
	configPath, tokenizerPath := filepath.Join(dir, ConfigName), filepath.Join(dir, TokenizerName)
	if err := checkObject(configPath, config); err != nil {
		return err
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, config, "", "  "); err != nil {
		return fmt.Errorf("%s: %w", configPath, err)
	}
	if tokenizer != nil {
		if err := checkObject(tokenizerPath, tokenizer); err != nil {
			return err
		}
	}
	set, err := atomicfile.CreateSet(dir)
	if err != nil {
		return err
	}
	defer set.Discard()
	bytesOf := func(data []byte) func(io.Writer) error {
		return func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		}
	}
	if err := set.Write(ConfigName, bytesOf(append(bytes.TrimSpace(pretty.Bytes()), '\n'))); err != nil {
		return err
	}
	var remove []string
	if tokenizer == nil {
		remove = []string{TokenizerName}
	} else if err := set.Write(TokenizerName, bytesOf(tokenizer)); err != nil {
		return err
	}
	err = set.Write(TensorsName, func(w io.Writer) error { return safetensors.Write(w, tensors, metadata) })
	if err != nil {
		return err
	}
	set.Guard(ConfigName, nil) // other programs read the directory, too, and begin with it
	return set.Commit(remove...)
}
