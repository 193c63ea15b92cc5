package main

import (
	"context"

	"bitgpu"
)

// bare is the engine in this process, without a server: a session a text, as a program has it that uses the Go API.
type bare struct{ model *bitgpu.Model }

func (b *bare) name() string { return "the bare engine" }

func (b *bare) write(ctx context.Context, j job, piece func()) (int, error) {
	session, err := b.model.NewSession()
	if err != nil {
		return 0, err
	}
	defer session.Close()
	o := bitgpu.Options{MaxTokens: j.tokens, Temperature: temperature, Seed: seedOfTexts}
	r, err := session.Stream(ctx, j.prompt, o, func(string) bool { piece(); return true })
	return r.Tokens, err
}
