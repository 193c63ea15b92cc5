package main

import (
	"slices"
	"testing"

	"bitgpu/gpu"
)

// TestNextGPU: the ranks of a host take its hardware GPUs by turns, and choose none where there is nothing to choose.
func TestNextGPU(t *testing.T) {
	software, first, second := gpu.AdapterInfo{Index: 0, Type: gpu.CPU}, gpu.AdapterInfo{Index: 1, Type: gpu.Discrete}, gpu.AdapterInfo{Index: 3, Type: gpu.Integrated}
	for _, c := range []struct {
		adapters []gpu.AdapterInfo
		want     []int // of ranks 0, 1, 2 and 3; nil where none is chosen
	}{
		{[]gpu.AdapterInfo{first, software, second}, []int{1, 3, 1, 3}},
		{[]gpu.AdapterInfo{first, software}, nil},
		{[]gpu.AdapterInfo{software}, nil},
		{nil, nil},
	} {
		var got []int
		for rank := range 4 {
			if number, found := nextGPU(c.adapters, rank); found {
				got = append(got, number)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v: got %v, want %v", c.adapters, got, c.want)
		}
	}
}
