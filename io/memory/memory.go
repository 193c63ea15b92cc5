// Package memory reads and writes memory files: what a model's test-time-training layers have learned from one sequence, so
// that a later run can continue where this one stopped.
//
// A memory file is a safetensors file with a tensor layer_{i} per layer, (d, d) or with heads (h, c, c). The delta mixer adds
// layer_{i}.conv, (3, 3, d): the last inputs of the convolutions of key, query and value, oldest first. Models of public
// families have key.{i} and value.{i}, (tokens, heads, width), for layers with attention, and state.{i} and conv.{i} for
// layers with the gated delta rule, instead. With a conversation there may be mark.{i}, the states at the last boundary
// between turns. The last prediction is in the metadata, where readers that do not know it ignore it: logits, the logits of
// the next token as little-endian float32 in base64; recent, the last tokens, separated by commas, the latest last; and chat,
// the conversation as JSON in a form that only its writer knows. The entry [safetensors.SumKey] is a checksum of all of it; a
// file without one, from an earlier version or another program, is read without a check. The package does not know the model:
// the caller checks that shapes and identity fit.
//
// # Why
//
// Why are the values copied out of the file? A state changes with every token, and the file it came from is usually replaced
// at the end of the run.
//
// Why a checksum? A state with a flipped bit is still a valid state, so nothing else would show the damage.
//
// Why is NaN refused? One such value spreads over the whole state with the next token, and nothing repairs it later.
package memory

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"bitgpu/io/regular"
	"bitgpu/io/safetensors"
)

// Format is the metadata entry "format" of files written by this package.
const Format = "bitgpu-memory-1"

const (
	layerPrefix = "layer_"
	convSuffix  = ".conv"
	// convInputs is how many inputs each of the three convolutions keeps.
	convInputs = 3
)

// Memory is the state of all layers after a sequence.
type Memory struct {
	Layers []Layer
	States []State   // of a public family, instead of Layers
	Model  string    // identity of the model; "" if the file does not say
	Tokens int64     // how many tokens have been read; 0 if the file does not say, by metadata or by its keys
	Logits []float32 // (V) of the next token; empty if the file does not say
	Recent []uint32  // the last tokens, the latest last
	Mark   []State   // states at the last boundary of turns, whose position is in Chat; nil if there is none
	Chat   []byte    // the conversation, as JSON; nil if there was none
}

// Layer is the state of one layer, row-major.
type Layer struct {
	Shape     []int     // (d, d) or (h, c, c)
	W         []float32 // Shape
	ConvShape []int     // (3, 3, d), nil without convolutions
	Conv      []float32 // ConvShape
}

// State is a tensor that a layer of a public family keeps.
type State struct {
	Name   string // key.N, value.N, state.N or conv.N
	Shape  []int
	Values []float32
}

var markName = regexp.MustCompile(`^mark\.(0|[1-9][0-9]{0,5})$`)

const markPrefix = "mark."

var stateName = regexp.MustCompile(`^(key|value|state|conv)\.(0|[1-9][0-9]{0,5})$`)

// Read reads the file at path.
func Read(path string) (*Memory, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, fmt.Errorf("memory: %w", err)
	}
	defer f.Close()
	return fromFile(path, f)
}

// Parse reads data as a whole file and keeps no reference to it. name is for messages.
func Parse(name string, data []byte) (*Memory, error) {
	f, err := safetensors.Parse(name, data)
	if err != nil {
		return nil, fmt.Errorf("memory: %w", err)
	}
	return fromFile(name, f)
}

// WriteFile replaces the file at path as a whole.
func WriteFile(path string, m *Memory) error {
	tensors, metadata, err := m.parts()
	if err != nil {
		return fmt.Errorf("memory: %s: %w", path, err)
	}
	if err := safetensors.WriteFile(path, tensors, safetensors.Summed(tensors, metadata)); err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	return nil
}

// parts returns what a file of the memory consists of.
func (m *Memory) parts() (tensors []safetensors.Tensor, metadata map[string]string, err error) {
	if m.Tokens < 0 || len(m.Layers)+len(m.States) == 0 {
		return nil, nil, fmt.Errorf("%d tokens and %d layers are no memory", m.Tokens, len(m.Layers))
	}
	for _, s := range m.States {
		tensors = append(tensors, safetensors.FromFloat32s(s.Name, s.Shape, s.Values))
		if err := checkFinite(s.Name, s.Values); err != nil {
			return nil, nil, err
		}
	}
	for _, s := range m.Mark {
		tensors = append(tensors, safetensors.FromFloat32s(markPrefix+s.Name, s.Shape, s.Values))
		if err := checkFinite(markPrefix+s.Name, s.Values); err != nil {
			return nil, nil, err
		}
	}
	for i, layer := range m.Layers {
		name := layerName(i)
		tensors = append(tensors, safetensors.FromFloat32s(name, layer.Shape, layer.W))
		if layer.Conv != nil {
			tensors = append(tensors, safetensors.FromFloat32s(name+convSuffix, layer.ConvShape, layer.Conv))
		}
		if err := layer.check(i); err != nil {
			return nil, nil, err
		}
	}
	metadata = map[string]string{"format": Format, "model": m.Model, "tokens": strconv.FormatInt(m.Tokens, 10)}
	if len(m.Logits) > 0 {
		if err := checkFinite("logits", m.Logits); err != nil {
			return nil, nil, err
		}
		raw, _ := binary.Append(nil, binary.LittleEndian, m.Logits)
		metadata["logits"] = base64.StdEncoding.EncodeToString(raw)
	}
	if len(m.Recent) > 0 {
		metadata["recent"] = strings.Trim(strings.ReplaceAll(fmt.Sprint(m.Recent), " ", ","), "[]")
	}
	if m.Chat != nil {
		metadata["chat"] = string(m.Chat)
	}
	return tensors, metadata, nil
}

func layerName(i int) string { return layerPrefix + strconv.Itoa(i) }

func fromFile(name string, f *safetensors.File) (m *Memory, err error) {
	err = regular.Guard(func() (err error) {
		m, err = fromTensors(f)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("memory: %s: %w", name, err)
	}
	return m, nil
}

func fromTensors(f *safetensors.File) (*Memory, error) {
	if err := f.CheckSum(); err != nil {
		return nil, err
	}
	m := &Memory{}
	if err := m.readMetadata(f.Metadata()); err != nil {
		return nil, err
	}
	marks, names := []string{}, []string{}
	for _, name := range f.Names() {
		if markName.MatchString(name) {
			marks = append(marks, name)
		} else {
			names = append(names, name)
		}
	}
	var err error
	if m.Mark, err = readStates(f, marks); err != nil {
		return nil, err
	}
	for i := range m.Mark {
		m.Mark[i].Name = strings.TrimPrefix(m.Mark[i].Name, markPrefix)
	}
	if len(names) > 0 && !slices.ContainsFunc(names, func(name string) bool { return !stateName.MatchString(name) }) {
		m.States, err = readStates(f, names)
		if _, said := f.Metadata()["tokens"]; !said {
			m.Tokens = cached(m.States)
		}
		return m, err
	}
	left := map[string]bool{}
	for _, name := range names {
		left[name] = true
	}
	for i := 0; left[layerName(i)]; i++ {
		layer, err := readLayer(f, i)
		if err != nil {
			return nil, err
		}
		m.Layers = append(m.Layers, layer)
		delete(left, layerName(i))
		delete(left, layerName(i)+convSuffix)
	}
	if len(left) > 0 {
		stray := slices.Min(slices.Collect(maps.Keys(left)))
		if len(stray) > 100 {
			stray = stray[:100] + "…"
		}
		return nil, fmt.Errorf("tensor %q does not belong into a memory file of %d layers; it has layer_0, layer_1 … without a gap, and layer_0.conv …", stray, len(m.Layers))
	}
	if len(m.Layers) == 0 {
		return nil, fmt.Errorf("no tensor layer_0, so it holds no memory")
	}
	return m, nil
}

// cached returns of how many tokens there are keys, 0 without attention.
func cached(states []State) int64 {
	for _, s := range states {
		if strings.HasPrefix(s.Name, "key.") && len(s.Shape) > 0 {
			return int64(s.Shape[0])
		}
	}
	return 0
}

func readStates(f *safetensors.File, names []string) (states []State, err error) {
	for _, name := range names {
		t, _ := f.Tensor(name)
		values, err := t.Float32s()
		if err == nil {
			err = checkFinite(name, values)
		}
		if err != nil {
			return nil, err
		}
		states = append(states, State{name, t.Shape, values})
	}
	return states, nil
}

func (m *Memory) readMetadata(metadata map[string]string) error {
	// Other programs may have a format entry of their own, but a later version of ours cannot be read.
	if format := metadata["format"]; strings.HasPrefix(format, "bitgpu-") && format != Format {
		return fmt.Errorf("got format %q, want %q", format, Format)
	}
	m.Model = metadata["model"]
	if text, ok := metadata["tokens"]; ok {
		tokens, err := strconv.ParseInt(text, 10, 64)
		if err != nil || tokens < 0 {
			return fmt.Errorf("metadata tokens: got %.40q, want a count", text)
		}
		m.Tokens = tokens
	}
	if metadata["format"] != Format { // the following entries are our own
		return nil
	}
	if text := metadata["logits"]; text != "" {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(raw)%4 != 0 {
			return fmt.Errorf("metadata logits: got %.40q, want float32 numbers in base64", text)
		}
		m.Logits = make([]float32, len(raw)/4)
		for i := range m.Logits {
			m.Logits[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
		if err := checkFinite("metadata logits", m.Logits); err != nil {
			return err
		}
	}
	if text := metadata["chat"]; text != "" {
		m.Chat = []byte(text)
	}
	if text := metadata["recent"]; text != "" {
		for field := range strings.SplitSeq(text, ",") {
			id, err := strconv.ParseUint(field, 10, 32)
			if err != nil {
				return fmt.Errorf("metadata recent: got %.40q, want token ids separated by commas", text)
			}
			m.Recent = append(m.Recent, uint32(id))
		}
	}
	return nil
}

func readLayer(f *safetensors.File, i int) (Layer, error) {
	var layer Layer
	var err error
	w, _ := f.Tensor(layerName(i))
	layer.Shape = w.Shape
	if layer.W, err = w.Float32s(); err != nil {
		return Layer{}, err
	}
	if conv, ok := f.Tensor(layerName(i) + convSuffix); ok {
		layer.ConvShape = conv.Shape
		if layer.Conv, err = conv.Float32s(); err != nil {
			return Layer{}, err
		}
	}
	return layer, layer.check(i)
}

// check refuses a state that no layer can have.
func (l Layer) check(i int) error {
	name := layerName(i)
	heads, side := 1, 0
	switch len(l.Shape) {
	case 2:
		side = l.Shape[0]
	case 3:
		heads, side = l.Shape[0], l.Shape[1]
	}
	if side == 0 || heads == 0 || l.Shape[len(l.Shape)-1] != side {
		return fmt.Errorf("%s: got %s, want shape (d, d) or (h, c, c)", name, safetensors.FormatShape(l.Shape))
	}
	if err := checkFinite(name, l.W); err != nil {
		return err
	}
	if l.Conv == nil {
		return nil
	}
	name += convSuffix
	if wanted := []int{3, convInputs, heads * side}; !slices.Equal(l.ConvShape, wanted) {
		return fmt.Errorf("%s: got shape %s, want %s", name, safetensors.FormatShape(l.ConvShape), safetensors.FormatShape(wanted))
	}
	return checkFinite(name, l.Conv)
}

func checkFinite(name string, values []float32) error {
	for i, v := range values {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return fmt.Errorf("%s: value %d is %g, want a finite number", name, i, v)
		}
	}
	return nil
}
