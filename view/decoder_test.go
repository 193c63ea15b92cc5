package view

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"

	"bitgpu/bench/family"
	"bitgpu/gpu"
	"bitgpu/nn"
)

// openDecoder opens a view of a tiny random model of a public family, with the tokenizer of one of our own.
func openDecoder(t *testing.T, name, text string, context int, reread bool) (*View, error) {
	t.Helper()
	f, err := family.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	ops, c := operations(t), f.Config(context)
	m, err := nn.NewModel(ops, c, f.Weights())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Release)
	v, err := New(ops, m, load(t, "d32-none").Tokenizer, name, text, reread)
	if err == nil {
		t.Cleanup(v.Close)
	}
	return v, err
}

// state is a tensor that the session keeps.
func state(t *testing.T, v *View, name string) nn.StateTensor {
	t.Helper()
	states, err := v.session.States()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range states {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no state %s", name)
	return nn.StateTensor{}
}

// The maps of a layer with attention are the keys of the last tokens, those of one with the gated delta rule its states.
func TestHeatMapsOfPublicFamilies(t *testing.T) {
	for _, name := range []string{"1.7B-tiny", "27B-tiny"} {
		v, err := openDecoder(t, name, strings.Repeat(text, 3), 300, false) // more tokens than a key is wide
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{3, 80} {
			readTokens(t, v, n)
			for layer, m := range v.shown {
				v.Select(layer)
				p := picture(t, v, Status{})
				end, err := strconv.ParseFloat(written(v, p, v.scale.Max.X+12, v.scale.Min.Y-cellHeight/2, labelWidth), 64)
				if err != nil {
					t.Fatalf("%s: the number at the end of the scale: %v", name, err)
				}
				kept, scale := state(t, v, m.tensor+"."+strconv.Itoa(layer)), scaleOf(v, p)
				for head, r := range HeatMaps(v.model.Config, layer) {
					if r.Dx()%m.columns > 0 || r.Dy()%m.rows > 0 {
						continue // several elements a pixel
					}
					across, down := r.Dx()/m.columns, r.Dy()/m.rows
					for i := range m.rows * m.columns {
						row, column := i/m.columns, i%m.columns
						want := 0.0
						if at := head*m.step + (m.first(v.read)+row)*m.stride + column; at < len(kept.Values) {
							want = float64(kept.Values[at])
						}
						if got := end * valueOf(scale, p.At(r.Min.X+column*across, r.Min.Y+row*down)); math.Abs(got-want) > end/resolution {
							t.Fatalf("%s, %d tokens, layer %d, head %d, row %d, column %d: got %g, want %g", name, v.read, layer, head, row, column, got, want)
						}
					}
				}
			}
		}
	}
}

// The curve of a model without inner losses is what each token cost.
func TestLossesOfPublicFamilies(t *testing.T) {
	v, err := openDecoder(t, "1.7B-tiny", text, 300, true)
	if err != nil {
		t.Fatal(err)
	}
	want := []float64{math.Log(512)}
	readTokens(t, v, 1)
	for len(want) < len(v.tokens)+5 {
		sum := 0.0
		for _, l := range v.logits {
			sum += math.Exp(float64(l))
		}
		want = append(want, math.Log(sum)-float64(v.logits[v.tokens[v.read%len(v.tokens)]]))
		readTokens(t, v, 1)
	}
	got := make([]float32, len(want))
	if err := v.canvas.dev.DownloadLater(v.canvas.losses, 0, 4*len(got)).Wait(gpu.Bytes(got)); err != nil {
		t.Fatal(err)
	}
	for i, w := range want {
		if math.Abs(float64(got[i])-w) > 1e-5*w {
			t.Errorf("token %d: got a loss of %g, want %g", i, got[i], w)
		}
	}
	p := picture(t, v, Status{})
	for at, want := range map[int]string{margin: "1.7B-tiny   2 layers, qwen3"} {
		if got := written(v, p, at, 14, len(want)); got != want {
			t.Errorf("got %q at the top, want %q", got, want)
		}
	}
	for y, want := range map[int]string{headingsY: "loss of each token in nats", headingsY + cellHeight: "mean: first reading "} {
		if got := written(v, p, v.right, y, len(want)); got != strings.TrimSpace(want) {
			t.Errorf("got %q above the chart, want %q", got, want)
		}
	}
}

func TestTextBeyondTheContext(t *testing.T) {
	_, err := openDecoder(t, "1.7B-tiny", text, 8, false)
	if !errors.Is(err, nn.ErrContext) || !strings.Contains(err.Error(), "want 8 at most") {
		t.Errorf("got %v", err)
	}
}
