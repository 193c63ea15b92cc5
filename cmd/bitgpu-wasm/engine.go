//go:build js && wasm

package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"time"

	"bitgpu"
	"bitgpu/io/chat"
)

// engine is a model with one memory: that of a text, or that of a conversation.
type engine struct {
	model   *bitgpu.Model
	session *bitgpu.Session // for learn and generate, made when needed
	talk    *bitgpu.Chat    // the conversation, nil before the first turn; at most one of session and talk is set
	loop    *eventLoop
}

var errNoModel = errors.New("no model is loaded")

type loadOptions struct {
	Path        string `json:"path"`
	Backend     string `json:"backend"`
	Context     int    `json:"context"`
	Masters     string `json:"masters"`
	Activations string `json:"activations"`
}

// info describes what was loaded.
type info struct {
	Name         string `json:"name"`
	ID           string `json:"id"`
	Family       string `json:"family,omitempty"`
	Layers       int    `json:"layers"`
	Width        int    `json:"width"`
	Vocabulary   int    `json:"vocabulary"`
	Context      int    `json:"context,omitempty"` // tokens that there is room for, 0 without a limit
	Backend      string `json:"backend"`
	Device       string `json:"device"`
	Note         string `json:"note,omitempty"`
	WeightBytes  int64  `json:"weightBytes"`
	SessionBytes int64  `json:"sessionBytes"`
	Chat         bool   `json:"chat"`
	Thinks       bool   `json:"thinks,omitempty"`
}

func (e *engine) load(o loadOptions) (any, error) {
	if err := e.close(); err != nil {
		return nil, err
	}
	path := folder + o.Path
	m, err := bitgpu.Load(path, bitgpu.WithBackend(bitgpu.Backend(o.Backend)), bitgpu.WithContext(o.Context), bitgpu.WithMasters(o.Masters),
		bitgpu.WithActivations(o.Activations))
	debug.FreeOSMemory() // garbage from loading would take room from the sessions
	if err != nil {
		return nil, err
	}
	e.model = m
	if e.loop == nil {
		e.loop = newEventLoop()
	}
	c := m.Config()
	i := info{
		Name: o.Path, ID: m.ID(), Layers: c.Layers, Width: c.Width, Vocabulary: c.Vocab, Backend: string(m.Backend()), Device: m.Device(),
		Note: m.DeviceNote(), WeightBytes: m.WeightBytes(), SessionBytes: c.Footprint(1, 1).Session, Chat: m.ChatTemplate() != nil && m.HasTokenizer(),
	}
	if c.Decoder != nil {
		i.Family, i.Context = c.Decoder.Family, m.Context()
	}
	if i.Chat {
		i.Thinks = m.ChatTemplate().Features().Thinking
	}
	return i, nil
}

func (e *engine) close() error {
	err := e.reset()
	if e.model != nil {
		err = errors.Join(err, e.model.Close())
		e.model = nil
	}
	return err
}

// reset forgets everything that was read.
func (e *engine) reset() (err error) {
	switch {
	case e.talk != nil:
		err = e.talk.Close()
	case e.session != nil:
		err = e.session.Close()
	}
	e.talk, e.session = nil, nil
	return err
}

// text returns the session for texts. If there is a conversation, it starts again empty.
func (e *engine) text() (*bitgpu.Session, error) {
	if e.model == nil {
		return nil, errNoModel
	}
	if e.talk != nil {
		if err := e.reset(); err != nil {
			return nil, err
		}
	}
	if e.session == nil {
		s, err := e.model.NewSession()
		if err != nil {
			return nil, err
		}
		e.session = s
	}
	return e.session, nil
}

// conversation returns the current conversation, or a new one.
func (e *engine) conversation() (*bitgpu.Chat, error) {
	if e.model == nil {
		return nil, errNoModel
	}
	if e.talk != nil {
		return e.talk, nil
	}
	if err := e.reset(); err != nil {
		return nil, err
	}
	s, err := e.model.NewSession()
	if err != nil {
		return nil, err
	}
	c, err := bitgpu.NewChat(s, bitgpu.ChatOptions{})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	e.talk = c
	return c, nil
}

type writeOptions struct {
	Prompt        string   `json:"prompt"`
	MaxTokens     *int     `json:"maxTokens"` // default 200; for an answer, as many as there is room for
	Temperature   *float64 `json:"temperature"`
	TopK          int      `json:"topK"`
	TopP          float64  `json:"topP"`
	MinP          float64  `json:"minP"`
	RepeatPenalty float64  `json:"repeatPenalty"`
	Seed          *uint64  `json:"seed"` // a new one each time by default
	Stop          []string `json:"stop"`
	System        string   `json:"system"`
	Think         *bool    `json:"think"`
	Again         bool     `json:"again"` // answers the last turn again
}

func (o writeOptions) options(maxTokens int) bitgpu.Options {
	w := bitgpu.Options{MaxTokens: maxTokens, Temperature: 0.8, TopK: o.TopK, TopP: o.TopP, MinP: o.MinP, RepeatPenalty: o.RepeatPenalty, Stop: o.Stop, Seed: uint64(rand.Uint32())}
	if o.MaxTokens != nil {
		w.MaxTokens = *o.MaxTokens
	}
	if o.Temperature != nil {
		w.Temperature = *o.Temperature
	}
	if o.Seed != nil {
		w.Seed = *o.Seed
	}
	return w
}

// result is a text with what it took.
type result struct {
	Reason       string  `json:"reason"`
	Seed         uint64  `json:"seed"`
	Tokens       int     `json:"tokens"`
	PromptTokens int     `json:"promptTokens"`
	Kept         int     `json:"kept,omitempty"`
	PromptMS     float64 `json:"promptMs"`
	TextMS       float64 `json:"textMs"`
	Position     int64   `json:"position"`
}

func resultOf(r bitgpu.Result, s *bitgpu.Session, seed uint64) result {
	return result{Reason: string(r.Reason), Seed: seed, Tokens: r.Tokens, PromptTokens: r.PromptTokens,
		PromptMS: float64(r.PromptTime.Microseconds()) / 1000, TextMS: float64(r.TextTime.Microseconds()) / 1000, Position: s.Position()}
}

// readPart reports how far a text has been read.
type readPart struct {
	Read int `json:"read"`
	Of   int `json:"of"`
}

type textPart struct {
	Text    string `json:"text,omitempty"`
	Thought string `json:"thought,omitempty"`
}

// learn reads a text and returns how many tokens it was.
func (e *engine) learn(ctx context.Context, o learnOptions, part func(any)) (any, error) {
	s, err := e.text()
	if err != nil {
		return nil, err
	}
	n, err := e.read(ctx, s, o.Text, part)
	return struct {
		Tokens   int   `json:"tokens"`
		Position int64 `json:"position"`
	}{n, s.Position()}, err
}

type learnOptions struct {
	Text string `json:"text"`
}

// read makes a session read a text in the pieces that it would use anyway, so that a stop can come between them.
func (e *engine) read(ctx context.Context, s *bitgpu.Session, text string, part func(any)) (int, error) {
	ids, err := e.model.Encode(text, s.Position() == 0)
	if err != nil {
		return 0, err
	}
	if err := s.CheckRoom(len(ids)); err != nil {
		return 0, err
	}
	for at := 0; at < len(ids); at += e.model.PieceTokens() {
		end := min(at+e.model.PieceTokens(), len(ids))
		if _, err := s.ReadTokens(ctx, ids[at:end]); err != nil {
			return at, err
		}
		part(readPart{end, len(ids)})
		e.loop.visit(ctx)
	}
	return len(ids), nil
}

// generate continues the memory with a prompt.
func (e *engine) generate(ctx context.Context, o writeOptions, part func(any)) (any, error) {
	s, err := e.text()
	if err != nil {
		return nil, err
	}
	write := o.options(200)
	if err := write.Validate(); err != nil {
		return nil, err
	}
	start := time.Now()
	read, err := e.read(ctx, s, strings.ToValidUTF8(o.Prompt, "\ufffd"), part)
	if err != nil {
		return nil, err
	}
	took := time.Since(start)
	r, err := s.Stream(ctx, "", write, func(text string) bool {
		part(textPart{Text: text})
		e.loop.visit(ctx)
		return true // a stop takes effect at the next token
	})
	r.PromptTokens, r.PromptTime = read, took
	return resultOf(r, s, write.Seed), err
}

// chat says something and streams the answer.
func (e *engine) chat(ctx context.Context, o writeOptions, part func(any)) (any, error) {
	c, err := e.conversation()
	if err != nil {
		return nil, err
	}
	if len(c.Messages()) == 0 {
		c.SetSystem(o.System)
	}
	c.SetThink(o.Think)
	stream := func(d chat.Delta) bool {
		if d.Content != "" || d.Reasoning != "" {
			part(textPart{d.Content, d.Reasoning})
		}
		e.loop.visit(ctx)
		return true // a stop takes effect at the next token
	}
	write := o.options(0)
	var r bitgpu.Reply
	if o.Again {
		r, err = c.Again(ctx, write, stream)
	} else {
		r, err = c.Send(ctx, o.Prompt, write, stream)
	}
	v := resultOf(r.Result, c.Session(), write.Seed)
	v.Kept = r.Kept
	return v, err
}

// memoryPath is the file that saveMemory writes and loadMemory reads.
const memoryPath = folder + "memory"

func (e *engine) saveMemory() error {
	if e.talk != nil {
		return e.talk.Save(memoryPath)
	}
	s, err := e.text()
	if err != nil {
		return err
	}
	return s.SaveMemory(memoryPath)
}

// loadMemory loads a memory or a conversation. If the file is refused, nothing changes.
func (e *engine) loadMemory() (any, error) {
	if e.model == nil {
		return nil, errNoModel
	}
	s, err := e.model.NewSession()
	if err != nil {
		return nil, err
	}
	next := engine{session: s}
	if err = s.LoadMemory(memoryPath); err == nil && e.model.ChatTemplate() != nil {
		next, err = withConversation(s)
	}
	if err != nil {
		return nil, errors.Join(err, next.reset())
	}
	if err := e.reset(); err != nil {
		return nil, err
	}
	e.session, e.talk = next.session, next.talk
	return e.state()
}

// withConversation returns an engine with the conversation in the memory that a session has loaded, if there is one.
func withConversation(s *bitgpu.Session) (engine, error) {
	other, err := s.Model().NewSession()
	if err != nil {
		return engine{session: s}, err
	}
	c, err := bitgpu.NewChat(other, bitgpu.ChatOptions{})
	if err != nil {
		return engine{session: s}, errors.Join(err, other.Close())
	}
	if c.Load(memoryPath) != nil { // a valid memory without a conversation
		return engine{session: s}, c.Close()
	}
	return engine{talk: c}, s.Close()
}

// current returns the current session, or nil.
func (e *engine) current() *bitgpu.Session {
	if e.talk != nil {
		return e.talk.Session()
	}
	return e.session
}

// memoryState describes the memory.
type memoryState struct {
	Position int64                `json:"position"`
	Left     int64                `json:"left,omitempty"` // tokens that there is room for, omitted without a limit
	Messages []bitgpu.ChatMessage `json:"messages,omitempty"`
}

func (e *engine) state() (any, error) {
	if e.model == nil {
		return nil, errNoModel
	}
	var v memoryState
	if e.talk != nil {
		v.Messages = e.talk.Messages()
	}
	if s := e.current(); s != nil {
		v.Position = s.Position()
	}
	if e.model.Config().Decoder != nil {
		v.Left = int64(e.model.Context()) - v.Position
	}
	return v, nil
}
