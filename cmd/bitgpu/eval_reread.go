package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"bitgpu/internal/units"
	"bitgpu/nn/train"

	"github.com/urfave/cli/v2"
)

// rereadOnly are the flags that only eval --reread uses.
var rereadOnly = []string{"passages", "lengths"}

func rereadFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "reread", Usage: "measure the memory instead: the loss of passages when they are read first, again, and after another"},
		&cli.IntFlag{Name: "passages", Value: 40, Usage: "with --reread, `N` passages of each length, evenly from all of the data"},
		&cli.StringFlag{Name: "lengths", Value: "32,64,128", Usage: "with --reread, passages of `N,M,…` tokens"},
	}
}

// rereadAction measures what the memory keeps of a passage.
func rereadAction(c *cli.Context, by computing) error {
	if err := refuseIdle(callOf(c), "--reread reads one passage after another, each whole", "context-len", "batch-size"); err != nil {
		return err
	}
	passages := c.Int("passages")
	if passages < 2 {
		return usagef("eval: --passages: got %d, want 2 or more", passages)
	}
	var lengths []int
	for _, text := range strings.Split(c.String("lengths"), ",") {
		length, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || length < 2 {
			return usagef("eval: --lengths: got %q, want whole numbers from 2 on, such as 32,64", text)
		}
		lengths = append(lengths, length)
	}
	o, err := publicOptions(c)
	if err != nil {
		return err
	}
	if o.Context == 0 {
		o.Context = 2 * slices.Max(lengths) // for two readings in a row
	}
	model, err := loadModel(c.String("model"), o)
	if err != nil {
		return err
	}
	defer model.Close()
	if err := adapt(c, model); err != nil {
		return err
	}
	if capacity := model.Config.Capacity(); capacity > 0 && capacity < 2*slices.Max(lengths) {
		return usagef("eval: --lengths: got %d, want %d at most: a passage is read twice in a context of %d tokens", slices.Max(lengths), capacity/2, capacity)
	}
	ctx, stop := interruptible(c.Context)
	defer stop()
	tokens, _, err := openEvaluation(ctx, c.String("data"), readingOf(c), model)
	if err != nil {
		return err
	}
	stop()
	for _, length := range lengths { // check before measuring anything
		if most := tokens.Len() / length; passages > most {
			return fmt.Errorf("--data: %s: its %d tokens hold %s of %d tokens, want %d", c.String("data"), tokens.Len(), units.Count(most, "passage"), length, passages)
		}
	}
	backend, err := openDevice(by)
	if err != nil {
		return err
	}
	defer backend.Close()
	announceDevice(c.App.ErrWriter, backend.Name, backend.Note)
	results := make([]train.Reread, len(lengths))
	for i, length := range lengths {
		if results[i], err = backend.Reread(model.Config, model.Weights, tokens, passages, length); err != nil {
			return err
		}
	}
	w := c.App.Writer
	if c.Bool("json") {
		return json.NewEncoder(w).Encode(results)
	}
	fmt.Fprintf(w, "nats a token of %d passages\n", passages)
	fmt.Fprintf(w, "%6s  %13s  %6s  %13s\n", "tokens", "first reading", "second", "after another")
	for _, r := range results {
		fmt.Fprintf(w, "%6d  %13.4f  %6.4f  %13.4f\n", r.Length, r.First, r.Again, r.After)
	}
	return nil
}
