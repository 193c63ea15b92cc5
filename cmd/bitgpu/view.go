package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"bitgpu"
	"bitgpu/demo"
	"bitgpu/gpu"
	"bitgpu/io/atomicfile"
	"bitgpu/nn"
	"bitgpu/nn/storage"
	"bitgpu/nn/webgpu"
	"bitgpu/nn/webgpu/tuned"
	"bitgpu/view"

	"github.com/urfave/cli/v2"
)

func viewCommand() *cli.Command {
	return &cli.Command{
		Name:      "view",
		Usage:     "watch a model's memory while it reads a text",
		UsageText: "bitgpu view [-m MODEL] [-p TEXT] [flags]\nbitgpu view [-m MODEL] [flags] < FILE",
		Description: example("Draws the memory of each layer as a heat map on a scale of its own, the inner losses, the text and the speed, in a\n"+
			"window or with --png as files. Of a layer with attention it draws the newest keys, and of a model without a memory that\n"+
			"learns the loss of each token. Keys: space pauses, arrows choose the layer, + and - the speed, S saves a PNG in this\n"+
			"directory, Q quits. Everything is drawn by a GPU adapter, which may be the software one. The window needs a build with\n"+
			"-tags window.",
			"bitgpu view -m model.bitt -p 'to be or not to be' --png frames --every 8"),
		Flags: slices.Concat(
			group("Model", modelFlag(), mastersFlag()),
			group("Text",
				&cli.StringFlag{Name: "prompt", Aliases: []string{"p"}, Usage: "`TEXT` to read"},
				&cli.BoolFlag{Name: "reread", Usage: "read the text twice in a row, and draw the selected layer's losses of both readings"},
				&cli.Float64Flag{Name: "speed", Value: 8, Usage: "in the window, read `N` tokens a second"},
			),
			group("Output",
				&cli.IntFlag{Name: "layer", Usage: "show layer `N` large; the first is 0"},
				&cli.StringFlag{Name: "png", Usage: "draw to files in directory `DIR` instead of a window"},
				&cli.IntFlag{Name: "every", Value: 1, Usage: "with --png, a picture every `N` tokens and after the last"},
			),
			group("Compute",
				&cli.StringFlag{Name: "adapter", EnvVars: []string{"BITGPU_ADAPTER"},
					Usage: "`N|NAME|software`: which GPU, by its number or a part of its name in the list of bitgpu devices", DefaultText: "the best GPU, else software"},
				threadsFlag(),
			),
		),
		Action: viewAction,
	}
}

func viewAction(c *cli.Context) error {
	path := c.String("model")
	if n := c.Int("every"); n < 1 {
		return usagef("view: --every: got %d, want 1 or more", n)
	}
	if s := c.Float64("speed"); !(s > 0) {
		return usagef("view: --speed: got %v, want above 0", s)
	}
	if !c.IsSet("png") {
		if err := canOpenWindow(); err != nil {
			return err
		}
	}
	options, err := publicOptions(c)
	if err != nil {
		return err
	}
	text, err := viewText(c)
	if err != nil {
		return err
	}
	v, err := openView(path, options, text, c.Bool("reread"), c.Int("layer"), c.String("adapter"))
	if err != nil {
		return err
	}
	defer v.close()
	announceDevice(c.App.ErrWriter, v.gpu.String(), v.note)
	ctx, stop := signal.NotifyContext(c.Context, os.Interrupt)
	defer stop()
	if c.IsSet("png") {
		return v.saveFrames(ctx, c.String("png"), c.Int("every"))
	}
	return v.openWindow(ctx, windowOptions{speed: c.Float64("speed"), saved: func(path string) {
		fmt.Fprintf(c.App.ErrWriter, "bitgpu: saved %s\n", path)
	}})
}

// viewText returns -p or stdin.
func viewText(c *cli.Context) (string, error) {
	if c.IsSet("prompt") {
		return c.String("prompt"), nil
	}
	if terminal(c.App.Reader) {
		return "", usagef("view: -p TEXT is needed, or a text on stdin")
	}
	data, err := readText(c.App.Reader, mostText())
	if err != nil {
		return "", fmt.Errorf("the text on stdin: %w", err)
	}
	return string(data), nil
}

// viewer is a view with what it needs.
type viewer struct {
	*view.View
	device *gpu.Device
	ops    *webgpu.Ops
	gpu    *tuned.GPU
	note   string // why it was chosen, if that may be surprising
	model  *nn.Model[*webgpu.Tensor]
}

// openView loads the model at path onto an adapter and begins to read the text.
func openView(path string, options storage.Options, text string, reread bool, layer int, adapter string) (*viewer, error) {
	loaded, err := loadModel(path, options)
	if err != nil {
		return nil, err
	}
	defer loaded.Close()
	name := filepath.Base(cmp.Or(path, demo.Name))
	if loaded.Tokenizer == nil {
		return nil, fmt.Errorf("view: %s: %w", name, bitgpu.ErrNoTokenizer)
	}
	if n := loaded.Config.Layers; layer < 0 || layer >= n {
		return nil, usagef("view: --layer: got %d, want 0 to %d, as %s has", layer, n-1, name)
	}
	if d := loaded.Config.Decoder; d != nil {
		own := *d
		own.HalfCache = false // the picture's kernels read float32
		own.Context = min(d.Context, readings(reread)*(len(text)+extraTokens))
		loaded.Config.Decoder = &own
	}
	g, note, err := tuned.Choose(false, adapter)
	if err != nil {
		return nil, err
	}
	v := &viewer{gpu: g, note: note, device: g.Device, ops: g.Ops}
	if v.model, err = nn.NewModel(v.ops, loaded.Config, loaded.Weights); err == nil {
		v.View, err = view.New(v.ops, v.model, loaded.Tokenizer, name, text, reread)
	}
	if err != nil {
		v.close()
		return nil, err
	}
	v.Select(layer)
	return v, nil
}

// extraTokens is how many more tokens than bytes a text can have at most, including those before and after it.
const extraTokens = 16

// readings returns how often a text is read.
func readings(reread bool) int {
	if reread {
		return 2
	}
	return 1
}

func (v *viewer) close() {
	if v.View != nil {
		v.View.Close()
	}
	if v.model != nil {
		v.model.Release()
	}
	v.gpu.Close()
}

// saveFrames reads the whole text and saves a picture every `every` tokens.
func (v *viewer) saveFrames(ctx context.Context, dir string, every int) error {
	undo, err := atomicfile.MakeDir(dir)
	if err != nil {
		return flagError("png", err)
	}
	defer undo()            // removes a directory that stayed empty
	var spent time.Duration // time spent reading
	for v.Position() < v.Tokens() {
		if ctx.Err() != nil {
			return errInterrupted
		}
		start := time.Now()
		for range min(every, v.Tokens()-v.Position()) {
			if _, err := v.Advance(); err != nil {
				return err
			}
		}
		if err := v.ops.Flush(); err != nil {
			return err
		}
		spent += time.Since(start)
		v.Draw(view.Status{Rate: float64(v.Position()) / max(spent.Seconds(), 1e-9)})
		if err := v.save(filepath.Join(dir, v.frameName())); err != nil {
			return err
		}
	}
	return nil
}

// frameName returns the file name of a picture: the number of tokens read.
func (v *viewer) frameName() string {
	return fmt.Sprintf("view-%0*d.png", len(strconv.Itoa(v.Tokens())), v.Position())
}

// save writes the last picture.
func (v *viewer) save(path string) error {
	png, err := v.PNG()
	if err != nil {
		return err
	}
	return writeFile(path, png)
}
