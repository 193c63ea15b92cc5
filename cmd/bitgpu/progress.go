package main

import (
	"fmt"
	"io"
	"time"

	"bitgpu/nn/train"

	"github.com/schollz/progressbar/v3"
)

// progress shows how a run goes: a bar on a terminal, else a line from time to time.
type progress struct {
	out   io.Writer
	bar   *progressbar.ProgressBar // nil when out is no terminal
	total int
	step  float64   // tokens of a step
	next  time.Time // of the next line
}

// betweenLines keeps the record of a long run short.
const betweenLines = 5 * time.Second

func newProgress(out io.Writer, o train.Options, done int) *progress {
	p := &progress{out: out, total: o.Steps, step: float64(o.Shape().TokensPerStep())}
	if terminal(out) {
		p.bar = progressbar.NewOptions(o.Steps, progressbar.OptionSetWriter(out), progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetWidth(20), progressbar.OptionUseANSICodes(true))
		p.bar.Set(done)
	}
	return p
}

// Progress shows the last of the lines, and every validation.
func (p *progress) Progress(lines []train.Metric) {
	if len(lines) == 0 {
		return
	}
	last := lines[len(lines)-1]
	done := last.Step + 1
	text := fmt.Sprintf("loss %.4f  lr %.2e  %.0f tokens/s", last.Loss, last.LR, last.TokensPerSecond)
	if p.bar != nil {
		p.bar.Describe(text)
		p.bar.Set(done)
		if last.ValLoss != nil {
			p.note("step %d: validation loss %.4f", done, *last.ValLoss)
		}
		return
	}
	now := time.Now()
	if last.ValLoss == nil && done < p.total && now.Before(p.next) {
		return
	}
	p.next = now.Add(betweenLines)
	if last.ValLoss != nil {
		text += fmt.Sprintf("  validation loss %.4f", *last.ValLoss)
	}
	perStep := p.step / last.TokensPerSecond
	left := time.Duration(float64(p.total-done) * perStep * float64(time.Second)).Round(time.Second)
	fmt.Fprintf(p.out, "step %d/%d  %s  %v left\n", done, p.total, text, left)
}

// Saved tells of a checkpoint.
func (p *progress) Saved(path string, _ train.State) { p.note("saved %s", path) }

// Warned tells of what was found wrong and made good.
func (p *progress) Warned(err error) { p.note("warning: %v", err) }

// note writes a line, above the bar if there is one.
func (p *progress) note(format string, args ...any) {
	if p.bar != nil {
		p.bar.Clear()
		defer p.bar.RenderBlank()
	}
	fmt.Fprintf(p.out, format+"\n", args...)
}

// close ends the bar's line.
func (p *progress) close() {
	if p.bar != nil {
		fmt.Fprintln(p.out)
	}
}

// announce says what will be trained, where, and from where on.
func announce(out io.Writer, e train.Engine, b *trainer, resumed *train.Checkpoint) {
	c, s := e.Config(), e.Shape()
	note := ""
	if s.Recompute {
		note = ", blocks computed again in backward"
	}
	fmt.Fprintf(out, "%d parameters: width %d, %d layers, %d tokens, %s mixer, scale %s, %s rule\n",
		c.ParamCount(), c.Width, c.Layers, c.Vocab, c.Mixer, c.WeightScale, c.Rule)
	fmt.Fprintf(out, "%s; %s of memory%s\n", withNote(b.device, b.note), byteCount(train.Memory(c, s)), note)
	if resumed != nil {
		fmt.Fprintf(out, "resumed from step %d\n", resumed.State.Step)
	}
}
