package main

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// TestFill: the second half asks for every pair once, and later rounds again.
func TestFill(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	row := make([]uint32, sequence)
	for range 20 {
		fill(row, random)
		shown := map[uint32]uint32{}
		for i := 0; i < 2*pairs; i += 2 {
			shown[row[i]] = row[i+1]
			if row[i] >= keys || row[i+1] < keys || row[i+1] >= keys+values {
				t.Fatalf("no pair of a key and a value: %v", row[i:i+2])
			}
		}
		if len(shown) != pairs {
			t.Fatalf("%d different keys wanted, %d found", pairs, len(shown))
		}
		asked := map[uint32]int{}
		answers := 0
		for i := 2 * pairs; i < sequence; i++ {
			if i%2 == 0 {
				asked[row[i]]++
			} else if row[i] != shown[row[i-1]] {
				t.Fatalf("place %d: value %d wanted, %d found", i, shown[row[i-1]], row[i])
			}
			if isAnswer(i) {
				answers++
				if asked[row[i-1]] != 1 {
					t.Fatalf("place %d: asked for the %d. time", i, asked[row[i-1]])
				}
			}
		}
		for key, times := range asked {
			if times != rounds {
				t.Errorf("key %d is asked %d times", key, times)
			}
		}
		if answers != pairs || len(asked) != pairs {
			t.Errorf("%d answers to %d keys", answers, len(asked))
		}
	}
	again := make([]uint32, sequence)
	fill(again, rand.New(rand.NewPCG(1, 2)))
	fill(row, rand.New(rand.NewPCG(1, 2)))
	if !slices.Equal(again, row) {
		t.Error("one seed, two sequences")
	}
}

// TestRecall trains both mixers with the program: delta remembers, tied cannot.
func TestRecall(t *testing.T) {
	if testing.Short() {
		t.Skip("two trainings of up to a minute")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "bitgpu")
	build := exec.Command("go", "build", "-o", program, "bitgpu/cmd/bitgpu")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		t.Fatal(err)
	}
	figures, err := measure(program, filepath.Join(dir, "runs"), 1, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	if figures["delta"] < learned {
		t.Errorf("delta: at least 95 %% wanted, %.1f %% found", 100*figures["delta"])
	}
	if figures["tied"] > 0.2 {
		t.Errorf("tied: about the share of guessing wanted, %.1f %% found", 100*figures["tied"])
	}
}
