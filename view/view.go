package view

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math"
	"slices"

	"bitgpu/gpu"
	"bitgpu/io/tokenizer"
	"bitgpu/nn"
	"bitgpu/nn/webgpu"
)

// ErrEmptyText is returned for a text without tokens.
var ErrEmptyText = errors.New("view: the text is empty: there is nothing to read")

// View is a model that reads a text, and the picture of it. It is for one goroutine, as the model's operations are.
type View struct {
	name     string
	model    *nn.Model[*webgpu.Tensor]
	session  *nn.Session[*webgpu.Tensor]
	tokens   []uint32
	script   *script
	readings int       // how often the text is read
	read     int       // tokens, of all readings
	logits   []float32 // (V) room for a prediction
	selected int       // layer
	layout
	atlas   *atlas
	colours []uint32 // (N)
	canvas  *canvas
}

// New begins a text, of which nothing is read yet. name is what the picture calls the model. With reread the text is read twice in
// a row, and the curves compare the readings. ops are the model's; the caller closes both. The error is [ErrEmptyText] for a text
// without tokens, and [nn.ErrContext] for one that is longer than the model's context.
func New(ops *webgpu.Ops, m *nn.Model[*webgpu.Tensor], tok *tokenizer.Tokenizer, name, text string, reread bool) (*View, error) {
	tokens, err := tok.Encode(text, true)
	if err != nil {
		return nil, fmt.Errorf("view: %w", err)
	}
	v := &View{name: name, model: m, tokens: tokens, readings: 1, logits: make([]float32, m.Config.Vocab), layout: layoutOf(matricesOf(m.Config)), colours: layerColours(m.Config.Layers)}
	history := longestAxis // tokens whose losses are kept
	if reread {
		v.readings, history = 2, 2*len(v.tokens)
	}
	if len(v.tokens) == 0 {
		return nil, ErrEmptyText
	}
	for _, id := range v.tokens {
		if int64(id) >= int64(m.Config.Vocab) {
			return nil, fmt.Errorf("view: token id %d of the text: want an id below the model's %d", id, m.Config.Vocab)
		}
	}
	if v.atlas, err = newAtlas(); err != nil {
		return nil, err
	}
	v.script = newScript(v.tokens, tok, v.atlas)
	if v.session, err = m.NewSession(1, m.Config.DefaultScan()); err != nil {
		return nil, err
	}
	if left := v.session.Left(); int64(v.Tokens()) > left {
		v.session.Close()
		return nil, fmt.Errorf("view: %w: got a text of %d tokens, want %d at most", nn.ErrContext, v.Tokens(), left)
	}
	v.canvas = newCanvas(ops, m.Config, v.session, v.layout, v.atlas, history)
	if err := ops.Flush(); err != nil {
		v.Close()
		return nil, err
	}
	return v, nil
}

// Close frees the memory of the session and of the picture.
func (v *View) Close() {
	v.session.Close()
	v.canvas.release()
}

// Advance reads the next token, and reports whether there was one. If a prediction is not finite, the error is an nn.ErrNotFinite,
// and the picture can still be drawn.
func (v *View) Advance() (bool, error) {
	if v.read == v.Tokens() {
		return false, nil
	}
	at := v.read % len(v.tokens)
	if _, learns := v.model.Config.Learning(); !learns {
		v.canvas.lose(v.read, v.cost(v.tokens[at]))
	}
	if err := v.session.Forward(v.tokens[at : at+1]); err != nil {
		return false, err
	}
	v.read++
	if err := v.session.Logits(v.logits); err != nil {
		return false, fmt.Errorf("view: %w", err)
	}
	return true, nil
}

// cost returns the loss in nats of the prediction for a token; before anything was read, all tokens are equally likely.
func (v *View) cost(id uint32) float32 {
	if v.read == 0 {
		return float32(math.Log(float64(len(v.logits))))
	}
	most := float64(slices.Max(v.logits))
	sum := 0.0
	for _, l := range v.logits {
		sum += math.Exp(float64(l) - most)
	}
	return float32(most + math.Log(sum) - float64(v.logits[id]))
}

// Tokens returns how many tokens there are to read, in all readings, and Position how many of them were read.
func (v *View) Tokens() int   { return v.readings * len(v.tokens) }
func (v *View) Position() int { return v.read }

// place returns the reading, counted from 0, that the last token read belongs to, and how many tokens of the text it has read.
func (v *View) place() (reading, read int) {
	if v.read == 0 {
		return 0, 0
	}
	return (v.read - 1) / len(v.tokens), (v.read-1)%len(v.tokens) + 1
}

// Select chooses the layer that is shown large. Numbers below the first and above the last wrap around.
func (v *View) Select(layer int) {
	n := v.model.Config.Layers
	v.selected = (layer%n + n) % n
}

// Selected returns the layer shown large.
func (v *View) Selected() int { return v.selected }

// Draw records the drawing of the current picture, and returns its buffer: Height rows of Width pixels, with a byte each for red,
// green, blue and alpha.
func (v *View) Draw(s Status) *gpu.Buffer {
	v.canvas.draw(v.compose(s), v.selected, v.read, v.chart())
	return v.canvas.picture
}

// means returns the mean losses of the selected layer in the first reading and in the second, over the tokens that the second has
// read, and whether it has begun. An error stays with the device.
func (v *View) means() (mean [2]float64, ok bool) {
	reading, read := v.place()
	if reading == 0 {
		return mean, false
	}
	layer := v.selected
	if _, learns := v.model.Config.Learning(); !learns {
		layer = 0 // where the losses of the predictions are
	}
	for i := range mean {
		losses := make([]float32, read)
		from := 4 * (layer*v.canvas.history + i*len(v.tokens))
		if err := v.canvas.dev.DownloadLater(v.canvas.losses, from, 4*read).Wait(gpu.Bytes(losses)); err != nil {
			return mean, false
		}
		for _, l := range losses {
			mean[i] += float64(l) / float64(read)
		}
	}
	return mean, !math.IsNaN(mean[0]+mean[1]) && !math.IsInf(mean[0]+mean[1], 0)
}

// PNG returns the last picture as a file.
func (v *View) PNG() ([]byte, error) {
	pixels, err := v.canvas.dev.Download(v.canvas.picture, 0, 4*Width*Height)
	if err != nil {
		return nil, err
	}
	var file bytes.Buffer
	picture := &image.NRGBA{Pix: pixels, Stride: 4 * Width, Rect: image.Rect(0, 0, Width, Height)}
	if err := png.Encode(&file, picture); err != nil {
		return nil, err
	}
	return file.Bytes(), nil
}
