package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"slices"

	"bitgpu"
	"bitgpu/demo"
	"bitgpu/io/hf"
	"bitgpu/io/modeldir"
	"bitgpu/nn/cpu/parallel"
	"bitgpu/nn/storage"

	"github.com/urfave/cli/v2"
)

// computeFlags are the flags of all commands that compute.
func computeFlags() []cli.Flag {
	return group("Compute",
		&cli.StringFlag{
			Name: "backend", Value: string(bitgpu.Auto), EnvVars: []string{"BITGPU_BACKEND"},
			Usage: "`auto|gpu|cpu`: what computes; auto is a hardware GPU if there is one, else the CPU; cuda and cuda:N mean a GPU too",
		},
		&cli.StringFlag{
			Name: "adapter", EnvVars: []string{"BITGPU_ADAPTER"},
			Usage: "`N|NAME|software`: which GPU, by its number or a part of its name in the list of bitgpu devices; software is one that computes on the CPU, such as Mesa's",
		},
		threadsFlag())
}

// mostThreads is more than the cores of any computer today.
const mostThreads = 4096

// threadsFlag limits the threads of the CPU, which also tokenizes and feeds a GPU.
func threadsFlag() cli.Flag {
	return &cli.IntFlag{Name: "threads", Usage: "use `N` threads of the CPU", DefaultText: "one a core", Category: "Compute",
		Action: func(c *cli.Context, n int) error {
			if n < 1 || n > mostThreads {
				return usagef("%s: --threads: got %d, want 1 to %d", c.Command.Name, n, mostThreads)
			}
			runtime.GOMAXPROCS(n)
			parallel.SetWorkers(n)
			return nil
		}}
}

// computing is what computeFlags choose, except the threads.
type computing struct {
	backend bitgpu.Backend
	adapter string
}

// computingOf reads the flags of computeFlags.
func computingOf(c *cli.Context) (computing, error) {
	name := c.String("backend")
	backend, adapter, err := bitgpu.ParseBackend(name)
	if err != nil || name == "" {
		return computing{}, usagef("%s: --backend: got %q, want auto, gpu or cpu", c.Command.Name, name)
	}
	return computing{backend, cmp.Or(c.String("adapter"), adapter)}, nil
}

// restoreThreads undoes --threads, for further calls in the same process.
func restoreThreads(n int) {
	if runtime.GOMAXPROCS(0) != n {
		runtime.GOMAXPROCS(n)
		parallel.SetWorkers(0)
	}
}

// modelFlag names the model.
func modelFlag() cli.Flag {
	return &cli.StringFlag{Name: "model", Aliases: []string{"m"}, DefaultText: demo.Name,
		Usage: "`MODEL`: a .bitt file, a model directory, a .safetensors file beside its config.json, a GGUF file, or a directory as Hugging Face has them"}
}

// contextFlag limits the context of a public family's model.
func contextFlag() cli.Flag {
	return &cli.IntFlag{Name: "context", DefaultText: "the model's, or what memory is free for",
		Usage: "room for `N` tokens, of a GGUF or Hugging Face model with attention; our own have no limit"}
}

// mastersFlag names the rounding of float masters.
func mastersFlag() cli.Flag {
	return &cli.StringFlag{Name: "masters",
		Usage: "`half-up|half-even`: the directory has float masters, though its config.json does not say so, to be rounded so; half-up is Falcon-E's"}
}

// modelFlags name the model and say how to run one of a public family; more flags are appended.
func modelFlags(more ...cli.Flag) []cli.Flag {
	return slices.Concat([]cli.Flag{modelFlag(), loraFlag(), contextFlag(), mastersFlag()}, numbersFlags(), more)
}

// numbersFlags set storage.Numbers.
func numbersFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "kv", DefaultText: "f16 on a GPU, f32 on the CPU", Usage: "`f32|f16`: keep keys and values in that, of a model with attention"},
		&cli.StringFlag{Name: "activations", DefaultText: "as the model was made",
			Usage: "`float|int8`: inputs of linear layers, of a GGUF or Hugging Face model; int8 is faster and, where the model was made with floats, less exact"},
	}
}

// publicOptions reads contextFlag and mastersFlag.
func publicOptions(c *cli.Context) (o storage.Options, err error) {
	if o.Context = c.Int("context"); c.IsSet("context") && o.Context < 1 {
		return o, usagef("%s: --context: got %d, want 1 or more", c.Command.Name, o.Context)
	}
	if c.IsSet("masters") {
		r, err := hf.ParseRounding(c.String("masters"))
		if err != nil {
			return o, usagef("%s: --masters: %v", c.Command.Name, err)
		}
		o.Rounding = &r
	}
	return o, nil
}

// loadModel reads the weights of the model at path, or of the demo if there is no path.
func loadModel(path string, o storage.Options) (*storage.Loaded, error) {
	if path == "" {
		return storage.Parse(demo.Name, demo.Model, o)
	}
	return storage.Load(path, o)
}

// openFiles opens the files of the model at path, or of the demo if there is no path.
func openFiles(path string) (*modeldir.Model, error) {
	if path == "" {
		return modeldir.Parse(demo.Name, demo.Model)
	}
	return modeldir.Open(path)
}

// openModel loads the model onto what the flags choose, with additional options, and names the device on stderr.
func openModel(c *cli.Context, more ...bitgpu.Option) (*bitgpu.Model, error) {
	by, err := computingOf(c)
	if err != nil {
		return nil, err
	}
	if _, err := publicOptions(c); err != nil {
		return nil, err
	}
	options := append(loraOptions(c),
		bitgpu.WithBackend(by.backend), bitgpu.WithAdapter(by.adapter), bitgpu.WithContext(c.Int("context")), bitgpu.WithMasters(c.String("masters")),
		bitgpu.WithCache(c.String("kv")), bitgpu.WithActivations(c.String("activations")))
	options = append(options, more...)
	var m *bitgpu.Model
	if path := c.String("model"); path != "" {
		m, err = bitgpu.Load(path, options...)
	} else {
		m, err = bitgpu.LoadBytes(demo.Name, demo.Model, options...)
	}
	if err != nil {
		return nil, err
	}
	announceDevice(c.App.ErrWriter, m.Device(), m.DeviceNote())
	switch got := m.Context(); {
	case got < m.TrainedContext() && !c.IsSet("context"):
		fmt.Fprintf(c.App.ErrWriter, "bitgpu: room for %d of the model's %d tokens, as memory is free; --context N takes another number\n", got, m.TrainedContext())
	case got < c.Int("context") && got > 0:
		fmt.Fprintf(c.App.ErrWriter, "bitgpu: room for %d tokens: the model was made for no more\n", got)
	}
	return m, nil
}

// announceDevice names the device and, if that may be surprising, why it was chosen.
func announceDevice(log io.Writer, device, note string) {
	fmt.Fprintf(log, "bitgpu: running on %s\n", withNote(device, note))
}

func withNote(device, note string) string {
	if note == "" {
		return device
	}
	return device + "; " + note
}
