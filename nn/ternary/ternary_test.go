package ternary

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Unpacking what was packed gives each weight's rounding; packing that again gives the same bytes.
func TestPackUnpack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows, cols := rapid.IntRange(1, 9).Draw(t, "rows"), rapid.IntRange(1, 37).Draw(t, "cols")
		w := rapid.SliceOfN(rapid.Float32Range(-3, 3), rows*cols, rows*cols).Draw(t, "w")
		gamma := Gamma(w)
		codes := make([]byte, rows*RowBytes(cols))
		Quantize(codes, w, rows, cols, gamma)
		if err := Validate(codes, rows, cols); err != nil {
			t.Fatal(err)
		}
		q := make([]float32, rows*cols)
		Unpack(q, codes, rows, cols)
		var counts [3]int
		for i, x := range w {
			want := max(-1, min(1, math.Copysign(math.Floor(math.Abs(float64(x/gamma))+0.5), float64(x))))
			if float64(q[i]) != want {
				t.Fatalf("weight %d: %v with γ %v: got %v, want %v", i, x, gamma, q[i], want)
			}
			counts[int(want)+1]++
		}
		if got := Counts(codes, rows, cols); got != counts {
			t.Fatalf("got counts %v, want %v", got, counts)
		}
		again := make([]byte, len(codes))
		Quantize(again, q, rows, cols, 1)
		if !slices.Equal(again, codes) {
			t.Fatalf("packed again: got %v, want %v", again, codes)
		}
	})
}

func TestRoundHalvesAwayFromZero(t *testing.T) {
	for w, want := range map[float64]int{
		0: 0, 0.5: 1, -0.5: -1, 0.49999999999: 0, -0.49999999999: 0, 0.75: 1, 1.5: 1, -1.5: -1, 1e300: 1, -1e300: -1,
	} {
		if got := Round(w, 1); got != want {
			t.Errorf("Round(%v, 1) = %d, want %d", w, got, want)
		}
	}
	if up, down := Round[float32](0.25, 0.5), Round[float32](-0.25, 0.5); up != 1 || down != -1 {
		t.Errorf("halves in float32 are %d and %d, want 1 and -1", up, down)
	}
}

func TestGamma(t *testing.T) {
	if got := Gamma([]float64{1, -2, 0, 5}); got != 2 {
		t.Errorf("mean of 1, 2, 0, 5: got %v, want 2", got)
	}
	if got := Gamma(make([]float32, 9)); got != MinGamma {
		t.Errorf("of zeros: got %v, want %v", got, MinGamma)
	}
}

// The order of the bits is that of the files.
func TestBits(t *testing.T) {
	codes := make([]byte, 2*RowBytes(5))
	Quantize(codes, []float32{-1, 0, 1, 1, -1, 1, 1, 1, 1, 0}, 2, 5, 1)
	want := []byte{0b10_10_01_00, 0b01_01_01_00, 0b10_10_10_10, 0b01_01_01_01}
	if !slices.Equal(codes, want) {
		t.Errorf("got %08b, want %08b", codes, want)
	}
	Set(codes, 1, -1)
	if codes[0] != 0b10_10_00_00 || At(codes, 1) != -1 || At(codes, 3) != 1 {
		t.Errorf("after setting column 1: %08b", codes[0])
	}
}

func TestValidateRefuses(t *testing.T) {
	for _, c := range []struct {
		codes      []byte
		rows, cols int
		says       string
	}{
		{[]byte{0b01_01_01_01}, 2, 4, "got 1 bytes for 2 × 4 ternary weights, want 2"},
		{[]byte{0b01_01_01_01, 0b01_11_01_01}, 2, 4, "row 1, byte 0: got code 3"},
		{[]byte{0b11_01_01_01}, 1, 4, "got code 3"}, {[]byte{0b00_00_00_11}, 1, 4, "got code 3"},
		{[]byte{0b11_01_01_01}, 1, 3, "got code 3"}, {[]byte{0b10_01_01_01}, 1, 3, "row 0: got 1 in the padding, want zero weights"},
		{[]byte{0b01_01_01_01, 0b00_01_01_01}, 1, 7, "row 0: got -1 in the padding, want zero weights"},
	} {
		err := Validate(c.codes, c.rows, c.cols)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%08b as %d × %d: got %v, want %q", c.codes, c.rows, c.cols, err, c.says)
		}
	}
	if err := Validate([]byte{0b00_10_01_00}, 1, 4); err != nil {
		t.Error(err)
	}
}

// HalfEven's threshold is that of round(w·s) in float32, halves to even.
func TestHalfEvenByDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		gamma := float32(math.Exp(r.NormFloat64()*3 - 4))
		s := 1 / gamma
		least, scale := HalfEven(gamma)
		if scale != 1/s {
			t.Fatalf("γ %v: got the scale %v, want %v", gamma, scale, 1/s)
		}
		w := least
		for range 3 {
			w = math.Nextafter32(w, 0)
		}
		for range 7 {
			want := math.RoundToEven(float64(float32(w*s))) != 0
			if got := w >= least; got != want {
				t.Fatalf("γ %v: %v is kept: %v, want %v", gamma, w, got, want)
			}
			w = math.Nextafter32(w, 1)
		}
	}
	for _, gamma := range []float32{float32(math.NaN()), float32(math.Inf(1)), math.MaxFloat32, MinGamma} {
		HalfEven(gamma) // ends
	}
}
