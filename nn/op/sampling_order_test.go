package op

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestTopFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SliceOfN(rapid.Float32Range(-3, 3), 1, 300).Draw(t, "v")
		if rapid.Bool().Draw(t, "rounded") { // many equal values
			for i := range v {
				v[i] = float32(math.Round(float64(v[i])))
			}
		}
		k := rapid.IntRange(1, len(v)).Draw(t, "k")
		want := slices.Clone(v)
		slices.Sort(want)
		TopFirst(v, k)
		got := slices.Clone(v[:k])
		slices.Sort(got)
		if !slices.Equal(got, want[len(want)-k:]) {
			t.Fatalf("got %v, want the %d largest of %v", got, k, want)
		}
	})
}

func TestTopFirstEndsOnNaN(t *testing.T) {
	v := make([]float32, 10000)
	for i := range v {
		if i%3 == 0 {
			v[i] = float32(math.NaN())
		}
	}
	TopFirst(v, 17)
}
