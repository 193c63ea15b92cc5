package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"

	"bitgpu/gpu"
	"bitgpu/internal/units"
	"bitgpu/nn"
	"bitgpu/nn/arch/known"
	"bitgpu/nn/cpu/freemem"
	"bitgpu/nn/cpu/parallel"
	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
	"bitgpu/nn/ternary"
	"bitgpu/nn/train"
	"bitgpu/nn/webgpu"

	"github.com/urfave/cli/v2"
)

func devicesCommand() *cli.Command {
	return &cli.Command{
		Name:  "devices",
		Usage: "list what can compute, and which models fit",
		Description: example("Lists the CPU and the GPU adapters, and what models of three sizes need to run and to be trained, with all\n"+
			"activations kept or with blocks computed again in backward (train --recompute). A GPU's own memory\n"+
			"is not known to WebGPU: there, fits means that no buffer is larger than the adapter allows, and, where it\n"+
			"shares the computer's memory, that all of it fits in there. Then what public models need to run, with room for 4,096 and\n"+
			"for 32,768 tokens: weights as they are packed, work, states, and keys and values in float32, as the engines have them, or in\n"+
			"float16; bitgpu models says where to get them. Last, what it takes to learn beside them, with an adapter of rank 8 and rows of\n"+
			"512 tokens.",
			"bitgpu devices"),
		Action: func(c *cli.Context) error {
			adapters := gpu.Adapters()
			w := c.App.Writer
			writeCPU(w)
			writeAdapters(w, adapters)
			if err := writeSizes(w, adapters, freemem.Total()); err != nil {
				return err
			}
			if err := writePublicSizes(w, adapters, freemem.Total()); err != nil {
				return err
			}
			return writeLearning(w, adapters, freemem.Total())
		},
	}
}

func writeCPU(w io.Writer) {
	fmt.Fprintf(w, "CPU: %d threads, %s, %s", parallel.Workers(), simd.Instructions(), runtime.GOARCH)
	if n := freemem.Total(); n > 0 {
		fmt.Fprintf(w, ", %s of memory", units.Bytes(n))
	}
	fmt.Fprintln(w)
}

func writeAdapters(w io.Writer, adapters []gpu.AdapterInfo) {
	if len(adapters) == 0 {
		fmt.Fprintf(w, "\n%v\n", cmp.Or(gpu.Supported(), gpu.ErrNoAdapter))
		return
	}
	for _, a := range adapters {
		l, kind := a.Limits, string(a.Type)
		if !a.Hardware() {
			kind += " (software)"
		}
		fmt.Fprintf(w, "\nadapter %d: %s\n", a.Index, a.Name)
		fmt.Fprintf(w, "  type %s, %s by %s, driver %s\n", kind, a.Backend, a.Vendor, a.Driver)
		fmt.Fprintf(w, "  buffers up to %s, bindings up to %s, %d a kernel\n", units.Bytes(int64(min(l.MaxBufferSize, 1<<62))),
			units.Bytes(int64(min(l.MaxStorageBufferBindingSize, 1<<62))), l.MaxStorageBuffersPerShaderStage)
		fmt.Fprintf(w, "  workgroups of %d invocations and %s, %d a dimension\n", l.MaxInvocationsPerWorkgroup, units.Bytes(int64(l.MaxWorkgroupMemory)), l.MaxWorkgroupsPerDimension)
		fmt.Fprintf(w, "  timestamps: %v\n", a.Timestamps)
	}
}

// trainingShape is the default of train.
var trainingShape = train.Shape{Batch: 16, Time: 128, Accumulate: 1}

// writeSizes shows what three models need and which devices have room for them.
func writeSizes(out io.Writer, adapters []gpu.AdapterInfo, ram int64) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\nmodel, V 16,384\tparameters\tto run\tto train, %d × %d\t--recompute\tCPU: run\ttrain", trainingShape.Batch, trainingShape.Time)
	for _, a := range adapters {
		fmt.Fprintf(w, "\tadapter %d: run\ttrain", a.Index)
	}
	fmt.Fprintln(w)
	for _, size := range [][2]int{{256, 8}, {512, 12}, {1024, 24}} {
		c := nn.Config{Vocab: 16384, Width: size[0], Layers: size[1], InnerLR: 0.1}.WithDefaults()
		need, onCPU := c.Footprint(1, webgpu.Lookahead), c.Footprint(1, 1)
		run, training := need.Weights+need.Copies+need.Workspace+need.Session+webgpu.Overhead, train.DeviceBytes(c, trainingShape)
		again := trainingShape
		again.Recompute = true
		recomputed := train.DeviceBytes(c, again)
		fmt.Fprintf(w, "%d × %d\t%.0f million\t%s\t%s\t%s\t%s\t%s", size[0], size[1], float64(c.ParamCount())/1e6,
			units.Bytes(run), units.Bytes(training), units.Bytes(recomputed), fits(onCPU.Weights+onCPU.Workspace+onCPU.Session, ram), fitsEither(fits(training, ram), fits(recomputed, ram)))
		for _, a := range adapters {
			largest := largestTensor(c, trainingShape.Batch*trainingShape.Time, true)
			fmt.Fprintf(w, "\t%s\t%s", fitsAdapter(a, run, largestTensor(c, 1, false), ram),
				fitsEither(fitsAdapter(a, training, largest, ram), fitsAdapter(a, recomputed, largest, ram)))
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// writePublicSizes shows what public models need with a short and a long context, and which devices have room for them.
func writePublicSizes(out io.Writer, adapters []gpu.AdapterInfo, ram int64) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "\npublic model\tweights\tstates\tcontext\tKV f16\tto run\tKV f32\tto run\tCPU")
	for _, a := range adapters {
		fmt.Fprintf(w, "\tadapter %d", a.Index)
	}
	fmt.Fprintln(w)
	for _, k := range known.Models() {
		for _, context := range []int{4096, 32768} {
			if !k.Listed || context > k.Context {
				continue
			}
			c := k.Config(context)
			d, f := c.Decoder, c.Footprint(1, 1)
			tokens := int64(context)
			run := f.Weights + f.Workspace + f.Session
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s", k.Name, units.Bytes(f.Weights), units.Bytes(d.StateBytes()), context,
				units.Bytes(tokens*d.CacheBytes(2)), units.Bytes(run-tokens*d.CacheBytes(2)), units.Bytes(tokens*d.CacheBytes(4)), units.Bytes(run), fits(run, ram))
			for _, a := range adapters {
				fmt.Fprintf(w, "\t%s", fitsAdapter(a, run+webgpu.Overhead, largestPublic(c), ram))
			}
			fmt.Fprintln(w)
		}
	}
	return w.Flush()
}

// learningShape is the default of learn.
var learningShape = train.AdaptOptions{Batch: learnBatch, Time: learnContext}.Shape()

// writeLearning shows what training an adapter for public models needs, and which devices have room for it.
func writeLearning(out io.Writer, adapters []gpu.AdapterInfo, ram int64) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\npublic model\tto learn, rank %d, %d tokens\t--recompute on\tCPU", learnRank, learnContext)
	for _, a := range adapters {
		fmt.Fprintf(w, "\tadapter %d", a.Index)
	}
	fmt.Fprintln(w)
	for _, k := range known.Models() {
		if !k.Listed || k.Context < learnContext {
			continue
		}
		c := k.Config(learnContext)
		c.Adapter = &nn.Adapter{Ranks: map[string]int{}, Scale: 1}
		for _, m := range nn.Matrices(c) {
			c.Adapter.Ranks[m.Name] = learnRank
		}
		again := learningShape
		again.Recompute = true
		kept, recomputed := train.DeviceBytes(c, learningShape), train.DeviceBytes(c, again)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s", k.Name, units.Bytes(kept), units.Bytes(recomputed), fitsEither(fits(kept, ram), fits(recomputed, ram)))
		for _, a := range adapters {
			largest := largestPublic(c)
			fmt.Fprintf(w, "\t%s", fitsEither(fitsAdapter(a, kept, largest, ram), fitsAdapter(a, recomputed, largest, ram)))
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// fits compares a need with the computer's memory, leaving a fifth to others.
func fits(need, ram int64) string {
	switch {
	case ram == 0:
		return "unknown"
	case need > ram/5*4:
		return "no"
	}
	return "fits"
}

// fitsEither says whether a training fits as it is, or if blocks are recomputed in backward.
func fitsEither(kept, recomputed string) string {
	if kept == "no" && recomputed == "fits" {
		return "recomputed"
	}
	return kept
}

func fitsAdapter(a gpu.AdapterInfo, need, largest, ram int64) string {
	if uint64(largest) > a.Limits.MaxBufferSize {
		return "no: a buffer is too large"
	}
	if a.Type == gpu.CPU || a.Type == gpu.Integrated {
		return fits(need, ram)
	}
	return "fits"
}

// largestTensor returns the bytes of the largest single buffer of a model that computes n rows at once.
func largestTensor(c nn.Config, n int, training bool) int64 {
	largest := int64(4) * int64(n) * int64(2*c.MLPWidth)
	nn.Walk(c, new(nn.Weights[struct{}]), func(p nn.Param, _ *struct{}) {
		bytes := 4 * int64(op.Count(p.Shape))
		if p.Kind == layer.Linear && !training {
			bytes = int64(p.Shape[0]) * int64(ternary.RowBytes(p.Shape[1]))
		}
		largest = max(largest, bytes)
	})
	return largest
}
