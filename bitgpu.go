// Package bitgpu runs ternary (1.58-bit) language models whose memory learns while they read: on any GPU through WebGPU, and
// on the CPU. It prints nothing and keeps no global state. Training is in package nn/train.
//
//	model, err := bitgpu.Load("model.bitt")
//	if err != nil {
//		return err
//	}
//	defer model.Close()
//	err = model.StreamCompletion(ctx, "ROMEO:", 100, 0.8, func(token string) bool {
//		fmt.Print(token)
//		return true
//	})
//
// A [Model] holds weights and may be used from many goroutines. A [Session] is one text: it has a memory of its own, whose
// size does not grow with the text, and is for one goroutine. A [Batch] writes many texts side by side.
//
// # Why
//
// Why do sessions of a model take turns? A device computes one thing at a time, and so do the CPU's cores together. A session
// lets others go ahead after each piece of a prompt and whenever it passes text to the caller. The tokens of sessions that
// write at the same time are read in one pass over the weights, with bit for bit the results that each would get alone.
//
// Why is there no fallback from GPU to CPU? A caller who asks for a GPU wants to know if there is none. [Auto] chooses, and
// [Model.Device] says what it chose.
package bitgpu

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"bitgpu/io/chat"
	"bitgpu/io/regular"
	"bitgpu/io/tokenizer"
	"bitgpu/nn"
	"bitgpu/nn/cpu/freemem"
	"bitgpu/nn/storage"
)

var (
	// ErrNoGPU is returned if a GPU is asked for and the machine has no usable adapter, or not the one named. The text says what
	// to install, or what there is.
	ErrNoGPU = errors.New("no GPU adapter")
	// ErrNoTokenizer is returned if text is given to a model without a tokenizer.
	ErrNoTokenizer = errors.New("the model has no tokenizer: it takes token ids only")
	// ErrTokenRange is returned for a token id that is not below the size of the vocabulary.
	ErrTokenRange = errors.New("token id out of range")
	// ErrEmptyPrompt is returned if a session that has read nothing is asked to write.
	ErrEmptyPrompt = errors.New("the prompt is empty: there is nothing to go on from")
	// ErrClosed is returned by a model, session, batch or sequence after Close.
	ErrClosed = errors.New("the model or session is closed")
	// ErrBusy is returned if a session is used while it is at work, for example from its own stream.
	ErrBusy = errors.New("the session is in use: a session is for one goroutine")
	// ErrOtherModel is returned for a memory learned by another model.
	ErrOtherModel = errors.New("the memory belongs to another model")
	// ErrNotFinite is returned if the model's numbers become NaN or infinite, because its memory has diverged or its weights are
	// too large. The text, and a [NotFiniteError], name the token. The session returns nothing else until [Session.Reset] or
	// [Session.LoadMemory].
	ErrNotFinite = nn.ErrNotFinite
	// ErrConfig is returned by [Load] for a file that contradicts [WithConfig]. The text names the field.
	ErrConfig = storage.ErrConfig
	// ErrContext is returned if a session of a model with attention has no room for tokens, whether from text or from a saved
	// memory.
	ErrContext = nn.ErrContext
	// ErrOption is returned for an option out of range. The text names it.
	ErrOption = errors.New("invalid option")
)

// Config describes a model: sizes, and the variant of each part.
type Config = nn.Config

// LayerMemory is what a layer has learned, see [Session.Memory].
type LayerMemory = nn.LayerMemory

// NotFiniteError is an [ErrNotFinite] that names the token.
type NotFiniteError = nn.NotFiniteError

// Model is a model with its weights on a device.
type Model struct {
	config    Config
	name      string               // for messages
	tok       *tokenizer.Tokenizer // nil if the model has none
	ends      []uint32             // the ids that end a text
	chat      *chat.Template       // nil if the model has none
	chatError error                // why the model's template cannot be used
	id        string               // identifies the model in memories
	place     place
	bytes     int64
	trained   int          // the context that the files of a public family name
	context   atomic.Int64 // as far as it was raised, or 0
	sessions  int          // that are to have it at once
	piece     int          // see PieceTokens

	controlOnce sync.Once
	control     []string // texts of control tokens, see controlTexts

	mu     sync.Mutex // guards the following fields and the engine, which is for one goroutine at a time
	engine engine
	active int // operations in progress, of which all but one are waiting
	closed bool
	gathering
}

// Load reads the model at path: a .bitt file, a model directory, a .safetensors file beside its config.json, or a model of a
// public family as a GGUF file or a directory in Hugging Face's layout. Apart from errors in the file, the error is
// [ErrOption], [ErrConfig], [ErrNoGPU], gpu.ErrOutOfMemory, or [storage.ErrPublic] if [WithConfig] describes a public model.
func Load(path string, opts ...Option) (*Model, error) {
	o := newOptions(opts)
	files, err := o.storage()
	if err != nil {
		return nil, err
	}
	loaded, err := storage.Load(path, files)
	if err != nil {
		return nil, err
	}
	return newModel(loaded, o)
}

// LoadBytes reads the bytes of a .bitt file, which must not change until Close. name is for messages. Errors are those of
// [Load].
func LoadBytes(name string, data []byte, opts ...Option) (*Model, error) {
	o := newOptions(opts)
	s, err := o.storage()
	if err != nil {
		return nil, err
	}
	loaded, err := storage.Parse(name, data, s)
	if err != nil {
		return nil, err
	}
	return newModel(loaded, o)
}

// LoadReader reads a .bitt file of size bytes from r. name is for messages. Errors are those of [Load], and of r.
func LoadReader(name string, r io.ReaderAt, size int64, opts ...Option) (*Model, error) {
	if size < 1 {
		return nil, fmt.Errorf("%s: got %d, want a size above 0", name, size)
	}
	// Read the last byte first, so that a wrong size is detected before memory is allocated.
	var last [1]byte
	if n, err := r.ReadAt(last[:], size-1); n < 1 {
		return nil, fmt.Errorf("%s: cannot read %d bytes: %w", name, size, err)
	}
	data := make([]byte, size)
	if n, err := r.ReadAt(data, 0); int64(n) < size {
		return nil, fmt.Errorf("%s: read %d of %d bytes: %w", name, n, size, err)
	}
	return LoadBytes(name, data, opts...)
}

func newModel(l *storage.Loaded, o options) (m *Model, err error) {
	// The mapped file is read for the last time here.
	err = regular.Guard(func() (err error) {
		m, err = makeModel(l, o)
		return err
	})
	if err != nil {
		l.Close()
		return nil, err
	}
	return m, nil
}

func makeModel(l *storage.Loaded, o options) (*Model, error) {
	if err := o.numbers.Apply(l); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOption, err)
	}
	adapter, err := openLoRA(l.Config, o.lora)
	if err != nil {
		return nil, err
	}
	l.Config.Adapter = adapter
	m := &Model{config: l.Config, name: l.Path, tok: l.Tokenizer, ends: l.Ends, chat: l.Template, id: l.ID(), bytes: nn.HostBytes(l.Weights)}
	m.arrived.L = &m.mu
	if l.Public != nil {
		m.chatError = l.Public.TemplateError
		m.sessions = max(o.sessions, 1)
		if err := m.fitContext(l, o.context, m.sessions, freemem.Free()); err != nil {
			return nil, err
		}
	}
	m.engine, m.place, err = openEngine(l, o)
	l.TokenizerJSON = nil // as large as the table made from it
	if l.Files != nil {
		l.Files.Tokenizer = nil
	} else {
		l.Public.TokenizerJSON = nil
	}
	if err != nil {
		return nil, err
	}
	m.piece = pieceTokens(m.config.ParamCount(), m.place.backend)
	return m, nil
}

// Close frees the model's memory. Streams in progress end with [ErrClosed] at their next token.
func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	m.arrived.Broadcast()
	return m.release()
}

// release closes the engine once nobody is using it; the last user calls it.
func (m *Model) release() error {
	if !m.closed || m.active > 0 || m.engine == nil {
		return nil
	}
	e := m.engine
	m.engine = nil
	return e.close()
}

// enter begins an operation on the engine. It returns holding the lock, or with an error and without the lock.
func (m *Model) enter() error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return ErrClosed
	}
	m.active++
	return nil
}

// leave ends what enter began.
func (m *Model) leave() {
	m.active--
	m.release()
	m.mu.Unlock()
}

// yield lets others use the engine while f runs. The error is [ErrClosed] if the model was closed meanwhile.
func (m *Model) yield(f func()) error {
	func() {
		m.mu.Unlock()
		defer m.mu.Lock() // even if f panics
		f()
	}()
	if m.closed {
		return ErrClosed
	}
	return nil
}

// Backend returns what the model runs on: [CPU] or [GPU].
func (m *Model) Backend() Backend { return m.place.backend }

// Device describes what the model runs on.
func (m *Model) Device() string { return m.place.device }

// DeviceNote says why the model runs there if that may be surprising: [Auto] found no hardware GPU, or [GPU] found only a
// software driver. Otherwise it is empty.
func (m *Model) DeviceNote() string { return m.place.note }

// WeightBytes returns the memory of the weights.
func (m *Model) WeightBytes() int64 { return m.bytes }

// PeakDeviceBytes returns the largest amount of GPU memory used by the model and its sessions so far, all included. It is 0
// on the CPU, and once the model is closed.
func (m *Model) PeakDeviceBytes() int64 {
	if m.enter() != nil {
		return 0
	}
	defer m.leave()
	return m.engine.peakBytes()
}

// ID identifies the model in memories that it has learned. It is the same for all files with the same weights.
func (m *Model) ID() string { return m.id }

// ChatTemplate returns the model's own chat template, nil if it has none that can be used: [NewChat] says why.
func (m *Model) ChatTemplate() *chat.Template { return m.chat }

// Encode turns text into token ids. With special they include the tokens that the tokenizer puts around a text. Invalid UTF-8
// counts as U+FFFD. The error is [ErrNoTokenizer], or says what the tokenizer cannot express.
func (m *Model) Encode(text string, special bool) ([]uint32, error) {
	if m.tok == nil {
		return nil, m.noTokenizer()
	}
	return m.tok.Encode(text, special)
}

// Decode turns token ids into text, without special tokens. The error is [ErrNoTokenizer] or [ErrTokenRange].
func (m *Model) Decode(ids []uint32) (string, error) {
	if m.tok == nil {
		return "", m.noTokenizer()
	}
	return m.tok.Decode(ids, true), m.checkTokens(ids)
}

func (m *Model) noTokenizer() error { return fmt.Errorf("%s: %w", m.name, ErrNoTokenizer) }

// checkTokens refuses ids that the model does not have.
func (m *Model) checkTokens(ids []uint32) error {
	for i, id := range ids {
		if int64(id) >= int64(m.config.Vocab) {
			return fmt.Errorf("%w: token %d: got %d, want an id below %d", ErrTokenRange, i, id, m.config.Vocab)
		}
	}
	return nil
}
