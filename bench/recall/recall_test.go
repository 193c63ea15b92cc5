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
	for name, k := range map[string]task{"full": full, "small": small} {
		t.Run(name, func(t *testing.T) { testFill(t, k) })
	}
}

func testFill(t *testing.T, k task) {
	pairs, keys, values, sequence := k.pairs, uint32(k.keys), uint32(k.values), k.sequence()
	random := rand.New(rand.NewPCG(1, 2))
	row := make([]uint32, k.sequence())
	for range 20 {
		k.fill(row, random)
		shown := map[uint32]uint32{}
		for i := 0; i < 2*pairs; i += 2 {
			shown[row[i]] = row[i+1]
			if row[i] >= keys || row[i+1] < keys || row[i+1] >= keys+values {
				t.Fatalf("no pair of a key and a value: %v", row[i:i+2])
			}
		}
		if len(shown) != pairs {
			t.Fatalf("got %d different keys, want %d", len(shown), pairs)
		}
		asked := map[uint32]int{}
		answers := 0
		for i := 2 * pairs; i < sequence; i++ {
			if i%2 == 0 {
				asked[row[i]]++
			} else if row[i] != shown[row[i-1]] {
				t.Fatalf("place %d: got value %d, want %d", i, row[i], shown[row[i-1]])
			}
			if k.isAnswer(i) {
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
	again := make([]uint32, k.sequence())
	k.fill(again, rand.New(rand.NewPCG(1, 2)))
	k.fill(row, rand.New(rand.NewPCG(1, 2)))
	if !slices.Equal(again, row) {
		t.Error("one seed, two sequences")
	}
}

// TestRecall trains both mixers with the program on the small task: delta remembers, tied cannot.
func TestRecall(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "bitgpu")
	build := exec.Command("go", "build", "-o", program, "../../cmd/bitgpu")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		t.Fatal(err)
	}
	figures, err := small.measure(program, filepath.Join(dir, "runs"), 1, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	if figures["delta"] < learned {
		t.Errorf("delta: got %.1f %%, want at least 95 %%", 100*figures["delta"])
	}
	// Who knows only which values were shown guesses one of them.
	if guess := 1 / float64(small.pairs); figures["tied"] > 1.5*guess {
		t.Errorf("tied: got %.1f %%, %.1f %%, want about the share of guessing", 100*guess, 100*figures["tied"])
	}
}
