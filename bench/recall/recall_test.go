package main

import (
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestFill: after the pairs, every key is asked again and again, in another order each time.
func TestFill(t *testing.T) {
	for name, k := range map[string]task{"full": full, "small": small} {
		t.Run(name, func(t *testing.T) { testFill(t, k) })
	}
}

func testFill(t *testing.T, k task) {
	pairs, keys, values := k.pairs, uint32(k.keys), uint32(k.values)
	random := rand.New(rand.NewPCG(1, 2))
	row := make([]uint32, k.sequence())
	valuesOf := map[uint32]map[uint32]bool{} // of each key, in all sequences
	inOrder := 0                             // questions at the place in their round that the pair had
	const sequences = 200
	for range sequences {
		k.fill(row, random)
		shown, order := map[uint32]uint32{}, []uint32(nil)
		for i := 0; i < 2*pairs; i += 2 {
			key, value := row[i], row[i+1]
			if key >= keys || value < keys || value >= keys+values {
				t.Fatalf("place %d: got %d and %d, want a key and a value", i, key, value)
			}
			shown[key], order = value, append(order, key)
			if valuesOf[key] == nil {
				valuesOf[key] = map[uint32]bool{}
			}
			valuesOf[key][value] = true
		}
		if len(shown) != pairs {
			t.Fatalf("got %d different keys, want %d", len(shown), pairs)
		}
		asked := map[uint32]int{}
		answers := 0
		for i := 2 * pairs; i < len(row); i++ {
			if i%2 == 0 {
				asked[row[i]]++
				if row[i] == order[i/2%pairs] {
					inOrder++
				}
			} else if row[i] != shown[row[i-1]] {
				t.Fatalf("place %d: got value %d, want %d", i, row[i], shown[row[i-1]])
			}
			if k.isAnswer(i) {
				answers++
				if asked[row[i-1]] != 1 {
					t.Fatalf("place %d: got question %d about its key, want the first", i, asked[row[i-1]])
				}
			}
		}
		for key, times := range asked {
			if times != rounds {
				t.Errorf("key %d: got %d questions, want %d", key, times, rounds)
			}
		}
		if answers != pairs || len(asked) != pairs {
			t.Errorf("got %d answers to %d keys, want %d of each", answers, len(asked), pairs)
		}
	}
	// Weights could learn a value that a key always has, or an order that questions always have.
	for key, values := range valuesOf {
		if len(values) == 1 {
			t.Errorf("key %d: got one value in all sequences, want others, too", key)
		}
	}
	if by := sequences * rounds * pairs / 4; inOrder > by {
		t.Errorf("got %d questions in the order of the pairs, want at most %d", inOrder, by)
	}
	again := make([]uint32, k.sequence())
	k.fill(again, rand.New(rand.NewPCG(1, 2)))
	k.fill(row, rand.New(rand.NewPCG(1, 2)))
	if !slices.Equal(again, row) {
		t.Error("got two sequences from one seed, want the same")
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
	runs := filepath.Join(dir, "runs")
	figures, err := small.measure(program, runs, 1, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	if figures["delta"] < learned {
		t.Errorf("delta: got %.1f %%, want at least %.1f %%", 100*figures["delta"], 100*learned)
	}
	// A model that knows only which values were shown guesses one of them.
	if most := 1.5 / float64(small.pairs); figures["tied"] > most {
		t.Errorf("tied: got %.1f %%, want at most %.1f %%, about what guessing gives", 100*figures["tied"], 100*most)
	}
	if _, err := small.measure(program, runs, 1, io.Discard); err == nil || !strings.Contains(err.Error(), "choose another -dir") {
		t.Errorf("got %v, want a refusal to go on with the models of another run", err)
	}
}
