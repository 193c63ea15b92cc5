package main

import (
	"fmt"
	"time"

	"bitgpu/io/modeldir"
	"bitgpu/io/tokenizer"
	"bitgpu/nn/op"
	"bitgpu/nn/train"
	"bitgpu/nn/train/device"
)

// sampleTokens is how many tokens a model in training writes as a sample.
const sampleTokens = 40

// newSampler makes the model of a run write a few words, with the same prompt and seed each time.
func newSampler(b *device.Device, run *train.Run, p *progress) (func(done int), error) {
	tok, err := tokenizer.Parse(modeldir.TokenizerName, run.Tokenizer)
	if err != nil {
		return nil, err
	}
	prompt := tok.EndOfText()
	prompt = prompt[:min(len(prompt), 1)]
	if len(prompt) == 0 {
		prompt = []uint32{0}
	}
	return func(done int) {
		weights, err := run.Trainer.Download(train.Masters)
		if err == nil {
			var ids []uint32
			if ids, err = b.Write(run.Trainer.Config(), weights, prompt, sampleTokens, op.Sampling{Temperature: 0.8, Seed: run.Options.Seed}); err == nil {
				text := tok.Decode(ids, true)
				p.note("step %d writes: %q", done, text) // quoted, so that nothing moves the terminal's cursor
				if p.board != nil {
					p.wrote(p.board.Text(int64(done-1), time.Now(), "sample", text))
				}
			}
		}
		if err != nil {
			p.Warned(fmt.Errorf("no sample at step %d: %w", done, err))
		}
	}, nil
}
