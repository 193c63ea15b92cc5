package main

import (
	"math/rand/v2"

	"bitgpu/io/corpus"
	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/storage"
)

// The task's sizes. Tokens 0 … keys−1 are keys, the next ones values; a sequence is one row of a batch.
const (
	pairs    = 16
	keys     = 64
	values   = 64
	rounds   = 3 // how often every key is asked
	sequence = 2 * pairs * (1 + rounds)
)

// fill writes a sequence: pairs of different keys and any values, then every key again in another
// order, each followed by its value, some rounds of that.
func fill(dst []uint32, random *rand.Rand) {
	chosen := random.Perm(keys)[:pairs]
	var value [keys]uint32
	at := 0
	pair := func(key int) {
		dst[at], dst[at+1] = uint32(key), value[key]
		at += 2
	}
	for _, key := range chosen {
		value[key] = keys + random.Uint32N(values)
		pair(key)
	}
	for range rounds {
		for _, i := range random.Perm(pairs) {
			pair(chosen[i])
		}
	}
}

// isAnswer says whether the token at a place is the first answer for its key.
func isAnswer(place int) bool { return place >= 2*pairs && place < 4*pairs && place%2 == 1 }

// write writes a token file of sequences.
func write(path string, sequences int, seed uint64) error {
	w, err := corpus.CreateTokens(path)
	if err != nil {
		return err
	}
	defer w.Discard()
	random := rand.New(rand.NewPCG(seed, 0))
	row := make([]uint32, sequence)
	for range sequences {
		fill(row, random)
		if err := w.Append(row...); err != nil {
			return err
		}
	}
	// The last row's targets reach one token further, and the order begins anew another one later.
	if err := w.Append(0, 0); err != nil {
		return err
	}
	return w.Commit()
}

// score is the share of first answers that a model gives right, each from an empty memory.
func score(path string, sequences int, seed uint64) (float64, error) {
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
	row := make([]uint32, sequence)
	right := 0
	for range sequences {
		fill(row, random)
		session.Reset()
		err := session.ReadAll(row[:4*pairs], func(from int, logits []float32) error {
			V := loaded.Config.Vocab
			for i := range len(logits) / V {
				if place := from + i + 1; isAnswer(place) && largest(logits[i*V:(i+1)*V]) == row[place] {
					right++
				}
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return float64(right) / float64(sequences*pairs), nil
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
