package main

import (
	"fmt"
	"os"

	"bitgpu"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// computeFlags choose what computes, for every command that does.
func computeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{
			Name: "backend", Value: string(bitgpu.Auto), EnvVars: []string{"BITGPU_BACKEND"},
			Usage: "what computes: `auto|gpu|cpu`; auto is a hardware GPU if there is one, else the CPU",
		},
		&cli.StringFlag{
			Name: "adapter", EnvVars: []string{"BITGPU_ADAPTER"},
			Usage: "which GPU: `N|NAME|software`, as bitgpu devices lists them",
		},
	}
}

// backendOf reads the flags of computeFlags.
func backendOf(c *cli.Context) (backend bitgpu.Backend, adapter string, err error) {
	backend, adapter = bitgpu.Backend(c.String("backend")), c.String("adapter")
	switch backend {
	case bitgpu.Auto, bitgpu.GPU, bitgpu.CPU:
		return backend, adapter, nil
	}
	return "", "", usagef("%s: --backend: auto, gpu or cpu wanted, %q found", c.Command.Name, backend)
}

// modelFlag names the model.
func modelFlag() cli.Flag {
	return &cli.StringFlag{Name: "model", Aliases: []string{"m"},
		Usage: "`MODEL`: a .bitt file, a model directory, or a .safetensors file beside its config.json"}
}

// modelPath is what modelFlag says.
func modelPath(c *cli.Context) (string, error) {
	if path := c.String("model"); path != "" {
		return path, nil
	}
	return "", usagef("%s: -m MODEL is needed: a .bitt file, a model directory, or a .safetensors file beside its config.json", c.Command.Name)
}

// openModel loads the model onto what the flags choose, and says on stderr what that is.
func openModel(c *cli.Context) (*bitgpu.Model, error) {
	path, err := modelPath(c)
	if err != nil {
		return nil, err
	}
	backend, adapter, err := backendOf(c)
	if err != nil {
		return nil, err
	}
	m, err := bitgpu.Load(path, bitgpu.WithBackend(backend), bitgpu.WithAdapter(adapter))
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(c.App.ErrWriter, "bitgpu: running on %s\n", m.Device())
	return m, nil
}

// terminal says whether a stream is one that a person sits at.
func terminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
