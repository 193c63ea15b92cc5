// Command recall measures whether a mixer can remember pairs: it writes sequences of random key–value pairs followed by
// queries, trains a model of each mixer on them with `bitgpu train`, and prints which share of the queries each answers
// correctly after having seen the pairs once. What a model remembers of ordinary text is measured by bitgpu eval --reread.
//
//	go run ./bench/recall -bitgpu bin/bitgpu -dir out
//
// Two layers of width 64 (ttt_dim 64, one head), 16 pairs of 64 keys and 64 values, steps of 16 × 128 tokens, until delta
// answers 95 %; guessing gives 1.6 %:
//
//	delta   99.8 % of 200 × 16 queries answered after 250 steps
//	tied     2.2 % of 200 × 16 queries answered after 250 steps
//
// Seeds 101, 202, 303 and 404 gave 99.5, 99.8, 99.8 and 99.8 % after 250 steps. The test has 8 pairs of 32 keys and 32 values,
// and a width of 32: it takes seconds, and shows the same difference between the mixers.
//
// # Why
//
// Why train until the task is learned, and not for a number of steps? The mixer learns the task within about a hundred steps,
// but when it begins to depends on the data and on rounding. The learning rate stays high until shortly before each score:
// with a rate that falls over the whole run, a model that begins late never catches up.
//
// Why is every key asked three times, although only the first answer counts? Keys and values are random, so nothing but the
// answers can be learned. The larger their share of a sequence, the less noise there is in the gradient.
//
// Why can the tied mixer not pass? Its memory learns from one token at a time, with one projection as key, value and query: its
// state does not depend on which value followed which key.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

const (
	batch    = 16
	testSeed = 2
	learned  = 0.95
)

func main() {
	program := flag.String("bitgpu", "bitgpu", "the program to train with")
	dir := flag.String("dir", "recall", "directory for data and models")
	seed := flag.Uint64("seed", 1, "seed of the training data")
	flag.Parse()
	if _, err := full.measure(*program, *dir, *seed, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "recall: %v\n", err)
		os.Exit(1)
	}
}

// measure trains the delta mixer until it has learned the task or reached the limit, then the tied mixer for as many steps, and
// returns the share of right answers of each.
func (t task) measure(program, dir string, seed uint64, out io.Writer) (map[string]float64, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for _, mixer := range []string{"delta", "tied"} {
		if _, err := os.Stat(filepath.Join(dir, mixer)); err == nil {
			return nil, fmt.Errorf("%s: a model is there already; choose another -dir", filepath.Join(dir, mixer))
		}
	}
	data := filepath.Join(dir, "train.u32")
	if err := t.write(data, t.limit*batch, seed); err != nil {
		return nil, err
	}
	figures := map[string]float64{}
	steps := 0
	for figures["delta"] < learned && steps < t.limit {
		steps += t.every
		if err := t.trainAndScore(program, data, dir, "delta", steps, figures, out); err != nil {
			return nil, err
		}
	}
	return figures, t.trainAndScore(program, data, dir, "tied", steps, figures, out)
}

// trainAndScore trains a mixer up to a number of steps, going on from where it is, and notes and prints its share of right
// answers.
func (t task) trainAndScore(program, data, dir, mixer string, steps int, figures map[string]float64, out io.Writer) error {
	model := filepath.Join(dir, mixer)
	if err := t.train(program, data, model, mixer, steps); err != nil {
		return err
	}
	right, err := t.score(model, testSeed)
	if err != nil {
		return err
	}
	figures[mixer] = right
	_, err = fmt.Fprintf(out, "%-5s  %5.1f %% of %d × %d queries answered after %d steps\n", mixer, 100*right, t.tests, t.pairs, steps)
	return err
}

// train runs the program to train a model of two layers, or to go on with it.
func (t task) train(program, data, model, mixer string, steps int) error {
	args := []string{"train", "--preset", "seed", "--backend", "cpu", "--output-dir", model, "--steps", strconv.Itoa(steps)}
	if _, err := os.Stat(filepath.Join(model, "checkpoints")); err == nil {
		args = append(args, "--resume")
	} else {
		args = append(args, "--data", data, "--dim", strconv.Itoa(t.width), "--layers", "2", "--mixer", mixer,
			"--order", "sequential", "--context-len", strconv.Itoa(t.sequence()), "--batch-size", strconv.Itoa(batch),
			"--lr", "0.01", "--warmup-steps", "50", "--decay-steps", strconv.Itoa(t.fall), "--weight-decay", "0")
		if mixer == "delta" {
			args = append(args, "--ttt-dim", strconv.Itoa(t.width))
		}
	}
	if log, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("bitgpu train --mixer %s: %w: %s", mixer, err, log)
	}
	return nil
}
