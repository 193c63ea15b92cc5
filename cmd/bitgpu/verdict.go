package main

import (
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"

	"bitgpu/io/dataset"
	"bitgpu/io/modeldir"
	"bitgpu/io/tokenizer"
	"bitgpu/nn/train"
)

// verdict ends a training with three lines: how good the model is, what to try next, how to run it.
func verdict(w io.Writer, run *train.Run, out train.Outcome, best *train.Checkpoint) error {
	if run.Tokenizer == nil {
		return nil // nothing can be written, and a token can be anything
	}
	tok, err := tokenizer.Parse(modeldir.TokenizerName, run.Tokenizer)
	if err != nil {
		return err
	}
	if best != nil && run.Val.Marks() != nil {
		fmt.Fprintf(w, "how good: %.3f nats a token of answers that it was not trained on\n", best.State.Loss)
	} else if best != nil {
		text, err := dataset.Text(tok, run.Val.All())
		if err != nil {
			return err
		}
		// The first token is read but not predicted.
		nats := best.State.Loss * float64(run.Val.Len()-1)
		fmt.Fprintf(w, "how good: %.3f bits a byte on %d bytes that it was not trained on%s\n",
			train.Evaluation{Nats: nats}.BitsPerByte(max(int64(len(text)), 1)), len(text), compressors(text))
	} else {
		fmt.Fprintln(w, "how good: nobody knows: there was no text to validate with (--val-ratio)")
	}
	lines, err := train.ReadMetrics(filepath.Join(run.Dir, train.MetricsName))
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "try next: %s\n", advise(run.Options, out.Steps, lines, out.Settled, run.Public == nil, shellWord(run.Dir)))
	fmt.Fprintf(w, "run it:   bitgpu run -m %s -p \"...\"\n", shellWord(filepath.Join(run.Dir, "model.bitt")))
	return nil
}

// compressors says how small installed programs compress a text.
func compressors(text []byte) (said string) {
	for _, name := range []string{"gzip", "xz"} {
		cmd := exec.Command(name, "-9", "-c")
		cmd.Stdin = bytes.NewReader(text)
		if packed, err := cmd.Output(); err == nil && len(text) > 0 {
			said += fmt.Sprintf("; %s -9: %.3f", name, 8*float64(len(packed))/float64(len(text)))
		}
	}
	return said
}

// advise says what would most likely give a better model, judging by the losses. shaped says that the size of the model can
// be changed.
func advise(o train.Options, done int, lines []train.Metric, settled, shaped bool, dir string) string {
	var val []train.Metric
	for _, m := range lines {
		if m.ValLoss != nil {
			val = append(val, m)
		}
	}
	more := fmt.Sprintf("more steps: bitgpu train --resume --output-dir %s --steps %d --decay-steps %d", dir, max(done*3/2, done+1), max(done/8, 1))
	if len(val) < 2 {
		return more
	}
	best := val[0]
	for _, m := range val {
		if *m.ValLoss < *best.ValLoss {
			best = m
		}
	}
	last := val[len(val)-1]
	training, n := 0.0, 0
	for _, m := range lines {
		if m.Step > val[len(val)-2].Step && m.Step <= last.Step {
			training += float64(m.Loss)
			n++
		}
	}
	gap := *last.ValLoss - training/float64(max(n, 1))
	switch {
	case gap > 0.5 && best.Step < last.Step || settled:
		dropout := min(max(o.Dropout+0.1, 0.2), 0.5)
		if !shaped {
			return fmt.Sprintf("more text, or a lower --lr: training stands %.2f nats below validation, so the text is being learned by heart", gap)
		}
		return fmt.Sprintf("more text, or --dropout %.1f, or a smaller --dim: training stands %.2f nats below validation, so the text is being learned by heart", dropout, gap)
	case best.Step == last.Step && gap < 0.2 && shaped:
		return more + ", or a larger --dim: it has not learned by heart yet"
	case best.Step == last.Step:
		return more
	}
	return "a lower --lr: the best was before the end"
}
