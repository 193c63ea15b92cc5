//go:build cgo

package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"bitgpu"
	"bitgpu/nn/storage/public/publictest"
)

// A public model is described, bounded and talked to as its files say.
func TestPublicModel(t *testing.T) {
	opts, err := parseOptions(`{"device":"cpu","context":8}`)
	if err != nil {
		t.Fatal(err)
	}
	m, err := bitgpu.Load(publictest.File(t, "qwen35"), opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.Context() != 8 || m.TrainedContext() != publictest.Context {
		t.Errorf("got a context of %d of %d, want 8 of %d", m.Context(), m.TrainedContext(), publictest.Context)
	}
	data, err := json.Marshal(m.Config())
	if err != nil || !strings.Contains(string(data), `"family":"qwen3.5","vocab_size":258`) {
		t.Errorf("the config is %s (%v)", data, err)
	}
	text, err := render(m, `{"messages":[{"role":"user","content":"a"}],"add_generation_prompt":true}`)
	if want := "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n"; err != nil || text != want {
		t.Errorf("got %q (%v), want %q", text, err, want)
	}
	for _, wrong := range []string{`{`, `{"messages":1}`, `{"message":[]}`, `{"messages":[],"tools":{}x}`, `{"messages":[],"tools":[3]}`,
		`{"messages":[1]}`, `{"messages":[null]}`, `{"messages":[{"content":"a"}]}`, `{"messages":[{"role":"","content":"a"}]}`, `{"messages":[{"role":"user"}]}`,
		`{"messages":[{"role":"user","content":null}]}`, `{"messages":[{"role":"user","content":5}]}`, `{"messages":[{"role":"user","content":{}}]}`} {
		if _, err := render(m, wrong); !errors.Is(err, errArgument) {
			t.Errorf("%s: got %v, want an invalid argument", wrong, err)
		}
	}
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Forward(make([]uint32, 9)); status(err) != status(errArgument) {
		t.Errorf("9 tokens in a context of 8: got %v", err)
	}
	held := &model{Model: m}
	for _, tokens := range []int64{-1, 0, publictest.Context + 1, 1 << 40} {
		if err := held.raiseContext(tokens); status(err) != status(errArgument) || m.Context() != 8 {
			t.Errorf("room for %d tokens: got %v, and a context of %d", tokens, err, m.Context())
		}
	}
	if err := held.raiseContext(20); err != nil || m.Context() != 20 {
		t.Errorf("room for 20 tokens: got %v, and a context of %d", err, m.Context())
	}
	if _, err := s.Forward(make([]uint32, 9)); err != nil {
		t.Errorf("9 tokens in a context of 20: got %v", err)
	}
	if err := s.Reset(); err != nil {
		t.Error(err)
	}
	if _, err := s.Memory(); !errors.Is(err, bitgpu.ErrOption) {
		t.Errorf("Memory: got %v", err)
	}
	if states, err := s.States(); err != nil || len(states) != 4 || states[2].Name != "key.1" || states[2].Shape[0] != 0 {
		t.Errorf("States: got %+v, %v", states, err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, wrong := range []string{``, `[]`, `{"context":-1}`, `{"contxt":1}`, `{"config":{"vocab_size":"x"}}`, `{"device":"cpu"} {}`, `{"device":""}`, `{"adapter":""}`, `{"masters":""}`} {
		if _, err := parseOptions(wrong); !errors.Is(err, errArgument) {
			t.Errorf("%s: got %v, want an invalid argument", wrong, err)
		}
	}
	if _, err := render(load(t).Model, `{"messages":[]}`); !errors.Is(err, errNoTemplate) {
		t.Errorf("one of our own models: got %v, want %v", err, errNoTemplate)
	}
	for _, o := range []bitgpu.Option{bitgpu.WithMasters("up")} {
		if _, err := bitgpu.Load(reference, o); !errors.Is(err, bitgpu.ErrOption) {
			t.Errorf("got %v, want %v", err, bitgpu.ErrOption)
		}
	}
}
