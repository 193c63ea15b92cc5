package bench

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"bitgpu/bench/family"
	"bitgpu/nn"
)

// Mode is how much is measured.
type Mode int

// The modes. Quick takes less than a minute for both engines on two cores.
const (
	Normal Mode = iota
	Quick
	Full
)

// Size is the shape of a model under measurement.
type Size struct {
	Width, Layers, Vocab int
}

// String returns the size as the names of rows have it.
func (s Size) String() string { return fmt.Sprintf("%dx%d/V%d", s.Width, s.Layers, s.Vocab) }

// config returns a configuration of that size.
func (s Size) config(mixer string) nn.Config {
	return nn.Config{
		Vocab: s.Vocab, Width: s.Width, Layers: s.Layers, InnerLR: 0.1, Mixer: mixer, WeightScale: nn.ScaleAbsmean,
	}.WithDefaults()
}

// Options say what to measure.
type Options struct {
	Mode    Mode
	Only    *regexp.Regexp // rows by their path; nil for all
	Sizes   []Size         // of whole models; nil for those of the mode
	Mixers  []string       // nil for all
	Batches []int          // sequences at once; nil for those of the mode
	Command string         // how the program was called, for the report
	Peer    []string       // another program to measure: its name and first arguments; see bench/peers
	// Families are shapes of public models to be measured instead of everything else.
	Families []family.Family
	// Types are the layouts that a peer is given a family in; nil for TQ2_0 and Q2_0.
	Types []string
	// Progress is called with the name of what is measured now.
	Progress func(key string)

	unhurried bool // no row is left out for its time: a test must not depend on that of a busy machine
}

// Validate says in one sentence what cannot be measured.
func (o Options) Validate() error {
	for _, s := range o.Sizes {
		for _, mixer := range nn.Mixers() {
			if err := s.config(mixer).Validate(); err != nil {
				return fmt.Errorf("size %s: %w", s, err)
			}
		}
	}
	for _, m := range o.Mixers {
		if all := nn.Mixers(); !slices.Contains(all, m) {
			return fmt.Errorf("mixer: got %q, want %q", m, all)
		}
	}
	for _, b := range o.Batches {
		if b < 1 || b > maxBatch {
			return fmt.Errorf("batch: got %d, want 1 to %d", b, maxBatch)
		}
	}
	for _, m := range o.families() {
		if _, err := o.types(m); err != nil {
			return err
		}
	}
	if o.Only != nil && !slices.ContainsFunc(o.paths(), o.Only.MatchString) {
		return fmt.Errorf("only: got %q, which matches none, want a pattern of rows such as ^parity, ^op/LinearAdd or ^model/256x8", o.Only)
	}
	return nil
}

// maxBatch is the largest batch that the engines are made for.
const maxBatch = 64

// preset is how much each row of a mode measures, and how often.
type preset struct {
	repeats   int
	each      time.Duration // of one repetition, at least
	longest   time.Duration // a row whose single repetition would take longer is left out; 0 for no limit
	cold      int64         // bytes of all copies of an operation's tensors
	widths    []int         // of operations
	vocab     int           // of operations
	rows      int           // of operations on a prompt
	train     int           // rows of operations in training
	sizes     []Size
	batches   []int
	streams   []int // sequences of a batch, each with rules of its own
	prompt    int   // tokens of a prompt
	text      int   // tokens of text
	context   int   // tokens of a sequence in training
	positions []positionGoal
	models    int           // random models that parity is measured on
	patience  time.Duration // with a device that is disturbed, in total

	familyPrompt, familyText int   // tokens of a prompt and of text, of a public family
	familyLearn              int   // tokens of a step of an adapter
	familyBatches            []int // sequences at once of text
	contexts                 []int // tokens before one more, where a family has a long context
}

func (o Options) preset() preset {
	var e preset
	switch o.Mode {
	case Quick:
		e = preset{
			repeats: 3, each: 4 * time.Millisecond, longest: 150 * time.Millisecond, cold: 2 << 20,
			widths: []int{256}, vocab: 2048, rows: 32, train: 32,
			sizes:   []Size{{64, 2, 512}, {256, 8, 4096}},
			batches: []int{1, 8}, prompt: 64, text: 16, context: 16,
			positions: []positionGoal{{Size{64, 2, 256}, []int64{100, 10_000}}},
			models:    6, patience: 2 * time.Second,
		}
	case Full:
		e = preset{
			repeats: 9, each: 200 * time.Millisecond, cold: 512 << 20,
			widths: []int{256, 512, 1024, 2048}, vocab: 16384, rows: 256, train: 2048,
			sizes:   []Size{{256, 8, 16384}, {512, 12, 16384}, {1024, 24, 16384}},
			batches: []int{1, 2, 4, 8, 16, 32, 64}, prompt: 1024, text: 128, context: 128,
			positions: []positionGoal{{Size{256, 8, 16384}, []int64{100, 10_000, 1_000_000}}},
			models:    200, patience: time.Hour,
		}
	default:
		e = preset{
			repeats: 5, each: 40 * time.Millisecond, longest: 6 * time.Second, cold: 256 << 20,
			widths: []int{256, 1024}, vocab: 16384, rows: 256, train: 1024,
			sizes:   []Size{{256, 8, 16384}, {512, 12, 16384}, {1024, 24, 16384}},
			batches: []int{1, 8, 64}, prompt: 512, text: 64, context: 128,
			positions: []positionGoal{
				{Size{64, 2, 256}, []int64{100, 10_000, 1_000_000}},
				{Size{256, 8, 16384}, []int64{100, 10_000}},
			},
			models: 60, patience: 2 * time.Minute,
		}
	}
	e.familyLearn = 512
	e.familyPrompt, e.familyText, e.familyBatches, e.contexts = 128, 16, []int{1, 8}, []int{1 << 10, 8 << 10, 32 << 10}
	if o.Mode == Quick {
		e.familyLearn = 32
		e.familyPrompt, e.familyText, e.contexts = 16, 4, []int{32, 256}
	}
	if o.Sizes != nil {
		e.sizes = o.Sizes
	}
	if e.streams = []int{1, 8, 32, 64}; o.Batches != nil {
		e.batches, e.familyBatches, e.streams = o.Batches, o.Batches, o.Batches
	}
	if o.unhurried {
		e.longest = 0
	}
	return e
}

// mixers are those to measure.
func (o Options) mixers() []string {
	if o.Mixers != nil {
		return o.Mixers
	}
	return nn.Mixers()
}

// progress tells what is measured now.
func (o Options) progress(key string) {
	if o.Progress != nil {
		o.Progress(key)
	}
}
