package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"bitgpu"
	"bitgpu/bench"
	"bitgpu/bench/family"
	"bitgpu/gpu"
	"bitgpu/nn/webgpu"
	"bitgpu/nn/webgpu/tuned"

	"github.com/urfave/cli/v2"
)

func benchCommand() *cli.Command {
	return &cli.Command{
		Name:      "bench",
		Usage:     "hold the engines against the reference, and measure how fast they are",
		UsageText: "bitgpu bench [flags]\nbitgpu bench --family NAME,… [--peer COMMAND] [flags]\nbitgpu bench --write-gguf FILE --family NAME [--type TYPE]\nbitgpu bench --from REPORT [flags]\nbitgpu bench [--html FILE] --compare BEFORE NOW",
		Description: example("Runs the CPU engine and, where there is an adapter, the GPU engine, one after the other. Exits with 1 when a\n"+
			"bound of parity is broken, or a token costs more after many. Rows are called by paths such as\n"+
			"op/NormLinear/decode/… or model/256x8/…; --only takes those that match. Let nothing else run meanwhile. Ctrl-C shows\n"+
			"what was measured until then.",
			"bitgpu bench --quick",
			"bitgpu bench --only '^parity|^op/LinearAdd' --html report.html",
			"bitgpu bench --family 1.7B,bitnet-2B4T --json families.json",
			"bitgpu bench --write-gguf random.gguf --family 1.7B --type TQ2_0",
			"bitgpu bench --dim 768 --layers 12 --batch 1,16 --json new.json --compare old.json",
			"bitgpu bench --from new.json --html report.html",
			"bitgpu bench --html report.html --compare old.json new.json"),
		ArgsUsage: "[NOW]",
		Flags: slices.Concat(
			group("Compute",
				&cli.StringFlag{
					Name: "backend", Value: string(bitgpu.Auto), EnvVars: []string{"BITGPU_BACKEND"},
					Usage: "`auto|gpu|cpu`: what to measure; auto is both, and a software adapter where there is no GPU",
				},
				&cli.StringFlag{
					Name: "adapter", EnvVars: []string{"BITGPU_ADAPTER"},
					Usage: "`N|NAME|software`: which GPU, by its number or a part of its name in the list of bitgpu devices",
				},
				threadsFlag(),
			),
			group("Model",
				&cli.IntFlag{Name: "dim", Usage: "width `N` of the model, instead of the usual three sizes"},
				&cli.IntFlag{Name: "layers", Usage: "`N` layers of the model, instead of the usual three sizes"},
				&cli.IntFlag{Name: "vocab", Usage: "vocabulary of `N` tokens"},
				&cli.StringFlag{Name: "mixer", Usage: "`tied|delta`: one mixer instead of both"},
				&cli.StringFlag{
					Name:  "family",
					Usage: "`NAMES` of public models, " + strings.Join(family.Names(), ", ") + ": their shapes with random weights instead of everything else; 1.7B will do for a name",
				},
				&cli.StringFlag{Name: "type", Usage: "`TYPES` of the weights: of --write-gguf one, PQ2_0 where none is named, or Q2_0, TQ2_0; of --peer several"},
			),
			group("Measuring",
				&cli.BoolFlag{Name: "quick", Usage: "small sizes and few repetitions, below a minute on two cores"},
				&cli.BoolFlag{Name: "full", Usage: "all batches, more repetitions, a million tokens; takes hours without a GPU"},
				&cli.StringFlag{Name: "only", Usage: "only rows whose path matches `REGEXP`"},
				&cli.StringFlag{Name: "batch", Usage: "`1,8,…` sequences at once, up to 64"},
				&cli.StringFlag{Name: "peer", Usage: "`COMMAND` of another program to measure in the same run; see bench/peers"},
			),
			group("Output",
				&cli.StringFlag{Name: "json", Usage: "write the report as JSON to `FILE`"},
				&cli.StringFlag{Name: "html", Usage: "write the report as a web page to `FILE`"},
				&cli.StringFlag{Name: "from", Usage: "measure nothing: show the report that was kept in `FILE`"},
				&cli.StringFlag{Name: "compare", Usage: "show what changed since the report in `FILE`, up to this run, or to the report that is named after it"},
				&cli.StringFlag{Name: "write-gguf", Usage: "measure nothing: write the one --family with random weights to `FILE`, the tiny shape with --quick"},
			),
		),
		Action: func(c *cli.Context) error {
			kept, err := keptReport(c)
			if err != nil {
				return err
			}
			families := familyFlags{callOf(c), list(c.String("family")), list(c.String("type"))}
			if c.IsSet("write-gguf") {
				return families.write(c.String("write-gguf"), c.Bool("quick"))
			}
			line := newStatusLine(c.App.ErrWriter)
			options, err := benchOptions(c, families, line)
			if err != nil {
				return err
			}
			var before *bench.Report
			if path := c.String("compare"); path != "" {
				if before, err = bench.LoadReport(path); err != nil {
					return err
				}
			}
			for _, flag := range []string{"json", "html"} { // check before spending minutes on measuring
				if path := c.String(flag); path != "" {
					if err := bench.CanWrite(path); err != nil {
						return fmt.Errorf("bench: --%s: %w", flag, err)
					}
				}
			}
			if kept != "" {
				report, err := bench.LoadReport(kept)
				if err != nil {
					return err
				}
				return showReport(c, report, before)
			}
			backends, done, err := benchBackends(c, tuned.OpenAdapter)
			if err != nil {
				return err
			}
			defer done()
			ctx, stop := interruptible(c.Context)
			defer stop()
			ignoreLostReaders() // write the files even if nobody reads stdout
			report, err := bench.Run(ctx, options, backends...)
			if line != nil {
				line.clear()
			}
			if err != nil {
				return err
			}
			err = showReport(c, report, before)
			if err == nil && ctx.Err() != nil {
				err = errInterrupted
			}
			return err
		},
	}
}

// keptReport returns the file of the report to show instead of measuring: that of --from, or the argument after --compare's
// file. "" means to measure.
func keptReport(c *cli.Context) (string, error) {
	path := c.String("from")
	switch {
	case c.NArg() > 1 || c.NArg() == 1 && (!c.IsSet("compare") || path != ""):
		return "", usagef("bench: %q: want no argument but one report after --compare FILE", c.Args().Get(c.NArg()-1))
	case c.NArg() == 1:
		path = c.Args().First()
	}
	if path == "" {
		return "", nil
	}
	return path, refuseIdle(callOf(c), path+" is shown as it was measured", "quick", "full", "only", "dim", "layers", "vocab", "mixer", "batch", "family", "write-gguf", "type", "peer", "json")
}

// benchOptions reads the flags. line, if not nil, shows the rows in progress.
func benchOptions(c *cli.Context, families familyFlags, line *statusLine) (bench.Options, error) {
	o := bench.Options{Command: benchLine(c), Peer: strings.Fields(c.String("peer"))}
	switch {
	case c.Bool("quick") && c.Bool("full"):
		return o, usagef("bench: --quick and --full exclude each other")
	case c.Bool("quick"):
		o.Mode = bench.Quick
	case c.Bool("full"):
		o.Mode = bench.Full
	}
	if text := c.String("only"); text != "" {
		only, err := regexp.Compile(text)
		if err != nil {
			return o, usagef("bench: --only: not a regular expression: %v", err)
		}
		o.Only = only
	}
	if c.IsSet("dim") || c.IsSet("layers") || c.IsSet("vocab") {
		size := bench.Size{Width: 256, Layers: 8, Vocab: 16384}
		for flag, value := range map[string]*int{"dim": &size.Width, "layers": &size.Layers, "vocab": &size.Vocab} {
			if c.IsSet(flag) {
				*value = c.Int(flag)
			}
		}
		o.Sizes = []bench.Size{size}
	}
	if mixer := c.String("mixer"); mixer != "" {
		o.Mixers = []string{mixer}
	}
	for _, text := range strings.FieldsFunc(c.String("batch"), func(r rune) bool { return r == ',' }) {
		batch, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return o, usagef("bench: --batch: got %q, want whole numbers such as 1,8", text)
		}
		o.Batches = append(o.Batches, batch)
	}
	if err := families.options(&o); err != nil {
		return o, err
	}
	if line != nil {
		o.Progress = line.draw
	}
	if err := o.Validate(); err != nil {
		return o, usagef("bench: %v", err)
	}
	// An adapter from the environment only applies if there is a choice.
	if c.String("backend") == string(bitgpu.CPU) && c.String("adapter") != os.Getenv("BITGPU_ADAPTER") {
		return o, usagef("bench: --adapter %s chooses a GPU, --backend cpu measures none", c.String("adapter"))
	}
	return o, nil
}

// benchLine returns the command line without names of files, which are the caller's own.
func benchLine(c *cli.Context) string {
	line := "bitgpu bench"
	for _, flag := range c.Command.Flags {
		name := flag.Names()[0]
		switch {
		case !c.IsSet(name) || name == "json" || name == "html" || name == "compare" || name == "from" || name == "write-gguf":
		case name == "quick" || name == "full":
			line += " --" + name
		default:
			line += fmt.Sprintf(" --%s %v", name, c.Value(name))
		}
	}
	return line
}

// benchBackends opens what the flags choose, a GPU with open; done closes it. If BITGPU_REQUIRE_GPU is 1, a missing adapter
// is an error.
func benchBackends(c *cli.Context, open func(adapter string) (*tuned.GPU, error)) (backends []bench.Target, done func(), err error) {
	by, err := computingOf(c)
	if err != nil {
		return nil, nil, err
	}
	backend, adapter := by.backend, by.adapter
	if backend != bitgpu.GPU {
		backends = append(backends, bench.CPU())
	}
	done = func() {}
	if backend == bitgpu.CPU {
		return backends, done, nil
	}
	g, err := open(adapter)
	if errors.Is(err, gpu.ErrNoAdapter) && backend == bitgpu.Auto && adapter == "" && os.Getenv("BITGPU_REQUIRE_GPU") != "1" {
		fmt.Fprintf(c.App.ErrWriter, "bitgpu: only the CPU is measured: %v\n", err)
		return backends, done, nil
	}
	if err != nil {
		return nil, nil, err
	}
	engine := bench.GPU[*webgpu.Tensor](g.Device, g.Ops)
	engine.Variants = gpuVariants(g.Ops)
	return append(backends, engine), g.Close, nil
}

// gpuVariants returns the ways to compute products and blocks that the adapter supports, one by one, and finally the choice
// among them.
func gpuVariants(ops *webgpu.Ops) []bench.Variant {
	var variants []bench.Variant
	for _, v := range webgpu.Variants() {
		if ops.Force(&v) {
			variants = append(variants, bench.Variant{Name: v.Name, Only: v.Ops, Use: func() error { ops.Force(&v); return nil }})
		}
	}
	ops.Force(nil)
	return append(variants, bench.Variant{Use: func() error { ops.Force(nil); return nil }})
}

// showReport prints a report and writes its files, each even if others fail. Results outside of the bounds of parity are an
// error.
func showReport(c *cli.Context, r, before *bench.Report) error {
	errs := []error{r.Print(c.App.Writer)}
	if before != nil {
		errs = append(errs, r.PrintComparison(c.App.Writer, before))
	}
	if path := c.String("json"); path != "" {
		errs = append(errs, r.Save(path))
	}
	if path := c.String("html"); path != "" {
		errs = append(errs, r.WriteHTML(path, before))
	}
	for _, err := range append(errs, r.Err()) {
		if err != nil {
			return err
		}
	}
	return nil
}
