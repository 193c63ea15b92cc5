package main

import (
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"bitgpu/gpu"
	"bitgpu/io/safetensors"
	"bitgpu/nn"
	"bitgpu/nn/storage"
	"bitgpu/view"
)

const viewed = "the ship sailed home, and the ship sailed out"

// drawingAdapter is what the pictures of tests are drawn by; where there is none the test is skipped, or fails if
// BITGPU_REQUIRE_GPU is 1.
func drawingAdapter(t *testing.T) string {
	t.Helper()
	if len(gpu.Adapters()) == 0 {
		if os.Getenv("BITGPU_REQUIRE_GPU") == "1" {
			t.Fatal(gpu.ErrNoAdapter)
		}
		t.Skip(gpu.ErrNoAdapter)
	}
	return "software"
}

func readPNG(t *testing.T, path string) image.Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := png.Decode(f)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return p
}

// shownValue is a colour's part of the range, −1 to 1, by the picture's colour scale.
func shownValue(scale image.Rectangle, p image.Image, c color.Color) float64 {
	channels := func(c color.Color) [3]float64 {
		r, g, b, _ := c.RGBA()
		return [3]float64{float64(r >> 8), float64(g >> 8), float64(b >> 8)}
	}
	want := channels(c)
	best, at := math.Inf(1), 0
	for y := range scale.Dy() {
		off := 0.0
		for i, v := range channels(p.At(scale.Min.X, scale.Min.Y+y)) {
			off += (v - want[i]) * (v - want[i])
		}
		if off < best {
			best, at = off, y
		}
	}
	return 1 - 2*float64(at)/float64(scale.Dy()-1)
}

// checkHeatMaps holds the picture of one layer against its memory, whose largest number sets the range.
func checkHeatMaps(t *testing.T, p image.Image, c nn.Config, states [][]float32, layer int) {
	t.Helper()
	peak := 0.0
	for _, w := range states[layer] {
		peak = max(peak, math.Abs(float64(w)))
	}
	end := math.Pow(10, math.Floor(math.Log10(peak)))
	for _, step := range []float64{2, 3, 5, 10} {
		if peak > end*1.0001 {
			end = step * math.Pow(10, math.Floor(math.Log10(peak)))
		}
	}
	side := c.HeadWidth()
	for head, r := range view.HeatMaps(c, layer) {
		cell := r.Dx() / side
		for i := range side * side {
			want := float64(states[layer][head*side*side+i])
			shown := end * shownValue(view.HeatScale(c), p, p.At(r.Min.X+i%side*cell+cell/2, r.Min.Y+i/side*cell+cell/2))
			// 250 levels of a channel and 240 pixels of the scale for half the range.
			if math.Abs(shown-want) > end/100 {
				t.Fatalf("layer %d, head %d, element %d: got %g, want %g", layer, head, i, shown, want)
			}
		}
	}
}

// states are the memories that `bitgpu logits` writes after the text.
func states(t *testing.T, name, text string) (nn.Config, [][]float32) {
	t.Helper()
	loaded, err := storage.Load(model(name), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer loaded.Close()
	out := filepath.Join(t.TempDir(), "out.safetensors")
	succeed(t, "", "logits", "-m", model(name), "-p", text, "-o", out)
	file, err := safetensors.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var list [][]float32
	for i := range loaded.Config.Layers {
		list = append(list, floats(t, file, "state."+strconv.Itoa(i)))
	}
	return loaded.Config, list
}

// The last picture's heat map is the memory that `bitgpu logits` writes for the same text.
func TestViewFramesAreTheMemory(t *testing.T) {
	adapter := drawingAdapter(t)
	for name, layer := range map[string]int{"d32-none": 1, "d32-delta": 0} {
		dir := filepath.Join(t.TempDir(), "frames")
		succeed(t, "", "view", "-m", model(name), "-p", viewed, "--png", dir, "--every", "20", "--layer", strconv.Itoa(layer), "--adapter", adapter)
		frames, err := filepath.Glob(filepath.Join(dir, "*.png"))
		if err != nil || len(frames) != 2 {
			t.Fatalf("%s: got %v, want two pictures", name, frames)
		}
		c, want := states(t, name, viewed)
		checkHeatMaps(t, readPNG(t, frames[1]), c, want, layer)
		if filepath.Base(frames[0]) != "view-20.png" {
			t.Errorf("%s: got %v first, want the picture after 20 tokens", name, frames)
		}
	}
}

// With --reread there are twice as many tokens, and the memory is that of the text twice in a row.
func TestViewRereads(t *testing.T) {
	adapter, dir := drawingAdapter(t), t.TempDir()
	succeed(t, "", "view", "--reread", "-m", model("d32-delta"), "-p", viewed, "--png", dir, "--every", "1000", "--adapter", adapter)
	c, want := states(t, "d32-delta", viewed+viewed)
	frames, err := filepath.Glob(filepath.Join(dir, "*.png"))
	if err != nil || len(frames) != 1 {
		t.Fatalf("got %v, want one picture", frames)
	}
	checkHeatMaps(t, readPNG(t, frames[0]), c, want, 0)
}

// The example of the help works as it stands.
func TestViewExample(t *testing.T) {
	adapter := drawingAdapter(t)
	data, err := os.ReadFile(model("d32-none"))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("BITGPU_ADAPTER", adapter)
	t.Chdir(t.TempDir())
	if err := os.WriteFile("model.bitt", data, 0o600); err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(viewCommand().Description, "Example:\n")
	succeed(t, "", shellWords(line)[1:]...)
	if frames, _ := filepath.Glob("frames/*.png"); len(frames) < 2 {
		t.Errorf("%d pictures of %s", len(frames), line)
	}
}

func TestViewRefuses(t *testing.T) {
	m, dir := model("d32-none"), t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refuse(t, exitUsage, bitgpuRun("", "view", "-m", m, "-p", "x", "--png", dir, "--every", "0"), "--every: got 0, want 1 or more")
	refuse(t, exitUsage, bitgpuRun("", "view", "-m", m, "-p", "x", "--png", dir, "--speed", "0"), "--speed: got 0, want above 0")
	refuse(t, exitUsage, bitgpuRun("", "view", "-m", m, "-p", "x", "--png", dir, "--layer", "2"), "--layer: got 2, want 0 to 1")
	refuse(t, exitError, bitgpuRun("", "view", "-m", filepath.Join(dir, "no.bitt"), "-p", "x", "--png", dir), "no.bitt")
	adapter := drawingAdapter(t)
	refuse(t, exitError, bitgpuRun("", "view", "-m", m, "-p", "", "--png", dir, "--adapter", adapter), "the text is empty")
	refuse(t, exitError, bitgpuRun("", "view", "-m", m, "-p", "x", "--png", file, "--adapter", adapter), "file", "not a directory")
	refuse(t, exitError, bitgpuRun("", "view", "-m", m, "-p", "x", "--png", dir, "--adapter", "no such"), "no such adapter")
	t.Setenv("DISPLAY", "")
	refuse(t, exitError, bitgpuRun("", "view", "-m", m, "-p", "x"), "--png DIR")
}
