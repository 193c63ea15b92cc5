package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"bitgpu/internal/units"
	"bitgpu/io/tensorboard"
	"bitgpu/nn/train"
	"bitgpu/nn/train/device"
	"bitgpu/nn/train/ranks"
)

// progress shows the progress of a run: a line that is overwritten on a terminal, otherwise a new line from time to time.
type progress struct {
	out   io.Writer
	line  *statusLine // nil if lines cannot be overwritten
	total int
	step  float64   // tokens per step
	next  time.Time // when the next line is due
	last  string    // text of the status line
	board *tensorboard.Writer

	loss     float64 // of the training since the last validation, summed up
	count    int
	best     float64 // validation loss, 0 before the first
	bestStep int
}

// betweenLines keeps the log of a long run short.
const betweenLines = 5 * time.Second

func newProgress(out io.Writer, o train.Options) *progress {
	return &progress{out: out, line: newStatusLine(out), total: o.Steps, step: float64(o.Shape().TokensPerStep())}
}

// Progress shows the last of the lines, and every validation.
func (p *progress) Progress(lines []train.Metric) {
	if len(lines) == 0 {
		return
	}
	validation := ""
	for _, m := range lines {
		if v := p.see(m); v != "" {
			validation = v
		}
		p.write(m)
	}
	last := lines[len(lines)-1]
	done := last.Step + 1
	// The most important comes first, because a narrow terminal cuts the end.
	perStep := p.step / last.TokensPerSecond
	left := time.Duration(float64(p.total-done) * perStep * float64(time.Second)).Round(time.Second)
	text := fmt.Sprintf("step %d/%d  loss %.4f", done, p.total, last.Loss)
	if p.line == nil {
		text += validation
	}
	text += fmt.Sprintf("  %v left  %.0f tokens/s  lr %.2e", left, last.TokensPerSecond, last.LR)
	if p.line != nil {
		p.last = p.line.withBar(done, p.total, text)
		if validation != "" {
			p.note("step %d:%s", done, validation)
		}
		p.line.show(p.last)
		return
	}
	now := time.Now()
	if last.ValLoss == nil && done < p.total && now.Before(p.next) {
		return
	}
	p.next = now.Add(betweenLines)
	fmt.Fprintln(p.out, text)
}

// see counts a line, and returns what its validation showed, "" for none.
func (p *progress) see(m train.Metric) string {
	p.loss += float64(m.Loss)
	p.count++
	if m.ValLoss == nil {
		return ""
	}
	text := fmt.Sprintf("  validation loss %.4f  training %.4f", *m.ValLoss, p.loss/float64(p.count))
	p.loss, p.count = 0, 0
	if p.bestStep == 0 || *m.ValLoss < p.best {
		p.best, p.bestStep = *m.ValLoss, m.Step+1
		return text + ", the best so far"
	}
	return text + fmt.Sprintf(", best %.4f at step %d", p.best, p.bestStep)
}

// goOn continues the lines of a resumed run.
func (p *progress) goOn(run *train.Run) {
	if run.Resumed == nil {
		return
	}
	lines, _ := train.ReadMetrics(filepath.Join(run.Dir, train.MetricsName)) // the run itself reports what is wrong with it
	for _, m := range lines {
		if m.Step < run.Resumed.State.Step {
			p.see(m)
			p.write(m)
		}
	}
}

// write sends a line to TensorBoard. Errors are reported once.
func (p *progress) write(m train.Metric) {
	if p.board == nil {
		return
	}
	scalars := []tensorboard.Scalar{
		{Tag: "loss/train", Value: m.Loss}, {Tag: "learning_rate", Value: float32(m.LR)}, {Tag: "grad_norm", Value: m.GradNorm},
		{Tag: "tokens", Value: float32(m.Tokens)}, {Tag: "tokens_per_second", Value: float32(m.TokensPerSecond)},
	}
	if m.ValLoss != nil {
		scalars = append(scalars, tensorboard.Scalar{Tag: "loss/validation", Value: float32(*m.ValLoss)})
	}
	p.wrote(p.board.Scalars(int64(m.Step), time.Now(), scalars...))
}

func (p *progress) wrote(err error) {
	if err != nil {
		p.board = nil
		p.Warned(fmt.Errorf("--tensorboard: %w; nothing more is written there", err))
	}
}

// withBar puts a bar before a text if the line has room for both.
func (l *statusLine) withBar(done, total int, text string) string {
	if both := bar(done, total) + text; len(both) < l.width() {
		return both
	}
	return text
}

// bar draws how much is done.
func bar(done, total int) string {
	const width = 20
	full := min(width*done/max(total, 1), width)
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", width-full) + "] "
}

// Saved reports a checkpoint.
func (p *progress) Saved(path string, _ train.State) { p.note("saved %s", path) }

// Warned shows a problem that was found and repaired.
func (p *progress) Warned(err error) { p.note("warning: %v", err) }

// note writes a line, above the status line if there is one.
func (p *progress) note(format string, args ...any) {
	if p.line != nil {
		p.line.clear()
	}
	fmt.Fprintf(p.out, format+"\n", args...)
}

// close leaves the last status line on the screen.
func (p *progress) close() {
	if p.board != nil {
		p.wrote(p.board.Close())
	}
	if p.line != nil && p.last != "" {
		p.line.draw(p.last)
		fmt.Fprintln(p.out)
	}
}

// announce says what will be trained, on what, and from where on.
func announce(out io.Writer, e train.Trainer, b *device.Device, resumed *train.Checkpoint, r *ranks.Ranks) {
	c, s := e.Config(), e.Shape()
	note := ""
	if s.Recompute {
		note = ", blocks computed again in backward"
	}
	kind := fmt.Sprintf("%s mixer, scale %s, %s rule", c.Mixer, c.WeightScale, c.Rule)
	if d := c.Decoder; d != nil {
		kind = fmt.Sprintf("a %s model, rounded by matrices", d.Family)
		if d.Masters.Group > 0 {
			kind = fmt.Sprintf("a %s model, rounded by groups of %d", d.Family, d.Masters.Group)
		}
	}
	fmt.Fprintf(out, "%d parameters: width %d, %d layers, %d tokens, %s\n", c.ParamCount(), c.Width, c.Layers, c.Vocab, kind)
	if sums := train.SumsBytes(c, s, false); s.Shards > 0 && !b.OnCPU {
		note += fmt.Sprintf(", %s of the host's for sums", units.Bytes(sums))
	}
	io.WriteString(out, r.Describe(s))
	each := ""
	if r.Size() > 1 {
		each = " a rank"
		note += fmt.Sprintf(", %s more of the host's while it saves", units.Bytes(train.CopyBytes(c, s)))
	}
	fmt.Fprintf(out, "%s; %s of memory%s%s\n", withNote(b.Name, b.Note), units.Bytes(b.Bytes(c, s)), each, note)
	if resumed != nil {
		fmt.Fprintf(out, "resumed from step %d\n", resumed.State.Step)
	}
}
