package main

import (
	"math/rand/v2"

	"bitgpu/io/corpus"
	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/storage"
)

// task holds the sizes of a task and of the models trained on it. Tokens 0 … keys−1 are keys, the next ones are values. A
// sequence is one row of a batch.
type task struct {
	pairs, keys, values int
	width               int // of the model and of the delta mixer's memory
	limit               int // steps at most
	every               int // steps between scores
	fall                int // last steps before a score, over which the learning rate falls
	tests               int // sequences per score
}

var (
	full  = task{pairs: 16, keys: 64, values: 64, width: 64, limit: 2500, every: 250, fall: 100, tests: 200}
	small = task{pairs: 8, keys: 32, values: 32, width: 32, limit: 600, every: 200, fall: 50, tests: 100}
)

// rounds is how often each key is asked.
const rounds = 3

// sequence returns the number of tokens in a row.
func (t task) sequence() int { return 2 * t.pairs * (1 + rounds) }

// fill writes a sequence: pairs of different keys and any values, then, in each round, all keys in another order, each followed
// by its value.
func (t task) fill(dst []uint32, random *rand.Rand) {
	chosen := random.Perm(t.keys)[:t.pairs]
	value := make([]uint32, t.keys)
	at := 0
	pair := func(key int) {
		dst[at], dst[at+1] = uint32(key), value[key]
		at += 2
	}
	for _, key := range chosen {
		value[key] = uint32(t.keys) + random.Uint32N(uint32(t.values))
		pair(key)
	}
	for range rounds {
		for _, i := range random.Perm(t.pairs) {
			pair(chosen[i])
		}
	}
}

// isAnswer reports whether the token at a place is the first answer for its key.
func (t task) isAnswer(place int) bool {
	return place >= 2*t.pairs && place < 4*t.pairs && place%2 == 1
}

// write writes sequences to a token file.
func (t task) write(path string, sequences int, seed uint64) error {
	w, err := corpus.CreateTokens(path)
	if err != nil {
		return err
	}
	defer w.Discard()
	random := rand.New(rand.NewPCG(seed, 0))
	row := make([]uint32, t.sequence())
	for range sequences {
		t.fill(row, random)
		if err := w.Append(row...); err != nil {
			return err
		}
	}
	// The targets of the last row reach one token further, and the sequential order starts again only one token after that.
	if err := w.Append(0, 0); err != nil {
		return err
	}
	return w.Commit()
}

// score returns the share of first answers that a model gets right, each sequence from an empty memory.
func (t task) score(path string, seed uint64) (float64, error) {
	loaded, err := storage.Load(path, storage.Options{})
	if err != nil {
		return 0, err
	}
	defer loaded.Close()
	m, err := nn.NewModel(cpu.New(), loaded.Config, loaded.Weights)
	if err != nil {
		return 0, err
	}
	defer m.Release()
	session, err := m.NewSession(1, loaded.Config.DefaultScan())
	if err != nil {
		return 0, err
	}
	defer session.Close()
	random := rand.New(rand.NewPCG(seed, 0))
	row := make([]uint32, t.sequence())
	right := 0
	for range t.tests {
		t.fill(row, random)
		session.Reset()
		err := session.ForwardAll(row[:4*t.pairs], func(from int, logits []float32) error {
			V := loaded.Config.Vocab
			for i := range len(logits) / V {
				if place := from + i + 1; t.isAnswer(place) && largest(logits[i*V:(i+1)*V]) == row[place] {
					right++
				}
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return float64(right) / float64(t.tests*t.pairs), nil
}

func largest(logits []float32) uint32 {
	best := 0
	for i, l := range logits {
		if l > logits[best] {
			best = i
		}
	}
	return uint32(best)
}
