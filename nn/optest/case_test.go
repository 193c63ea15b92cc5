package optest

import (
	"math"
	"strings"
	"testing"
)

func TestTolerance(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		tolerance Tolerance
		got, want float32
		close     bool
	}{
		{Tolerance{}, 2, 2, true}, {Tolerance{}, 2, math.Nextafter32(2, 3), false}, {Tolerance{Abs: 0.5}, 2, 2.5, true},
		{Tolerance{Abs: 0.5}, -2, -2.75, false}, {Tolerance{Rel: 0.25}, 3, 4, true}, {Tolerance{Rel: 0.25}, 2.9, 4, false},
		{Tolerance{0.5, 0.25, ""}, 2.5, 4, true}, {Tolerance{0.5, 0.25, ""}, 5.75, 4, false},
		{Tolerance{Abs: 1}, nan, 0, false}, {Tolerance{Abs: 1}, 0, nan, false}, {Tolerance{Abs: 1}, nan, nan, false},
		{Tolerance{Abs: 1}, inf, 0, false}, {Tolerance{Rel: 1}, 0, inf, false}, {Tolerance{Rel: 1}, inf, inf, false},
	} {
		if err := c.tolerance.compare("x", []float32{0, c.got}, []float32{0, c.want}); (err == nil) != c.close {
			t.Errorf("%v against %v by %+v: %v", c.got, c.want, c.tolerance, err)
		}
	}
	if exact.compare("x", []float32{1}, []float32{1, 2}) == nil {
		t.Error("one number was taken for two")
	}
}

// Every operation has known values, extremes, something that must be refused and something to time.
func TestKindsOfCase(t *testing.T) {
	kinds := map[string]map[string]bool{}
	names := map[string]bool{}
	for _, c := range Cases[struct{}]() {
		if names[c.Op+c.Name] && !c.Large {
			t.Errorf("two cases are called %s/%s", c.Op, c.Name)
		}
		names[c.Op+c.Name] = true
		if kinds[c.Op] == nil {
			kinds[c.Op] = map[string]bool{}
		}
		kind, _, _ := strings.Cut(c.Name, "/")
		kinds[c.Op][kind] = true
		if c.Refuses != (kind == "refuses") {
			t.Errorf("%s/%s: the name and Refuses do not agree", c.Op, c.Name)
		}
		kinds[c.Op]["large"] = kinds[c.Op]["large"] || c.Large
		if c.Tolerance != exact && !c.Refuses && c.Tolerance.Why == "" {
			t.Errorf("%s/%s: a tolerance without a reason", c.Op, c.Name)
		}
	}
	for op, has := range kinds {
		for _, kind := range []string{"known", "extreme", "refuses", "large"} {
			if !has[kind] && !(op == "blocks" && kind == "refuses") { // a list of operations, which refuse each by themselves
				t.Errorf("%s has no case of the kind %s", op, kind)
			}
		}
	}
}
