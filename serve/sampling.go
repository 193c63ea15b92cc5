package serve

import (
	"cmp"
	"encoding/json"
	"math"
	"math/rand/v2"
	"strconv"

	"bitgpu"
)

// sampling are the fields of a request that say how tokens are drawn.
type sampling struct {
	Temperature      *float64           `json:"temperature"`
	TopP             *float64           `json:"top_p"`
	TopK             int                `json:"top_k"`
	MinP             float64            `json:"min_p"`
	RepeatPenalty    float64            `json:"repeat_penalty"`
	FrequencyPenalty float64            `json:"frequency_penalty"`
	PresencePenalty  float64            `json:"presence_penalty"`
	LogitBias        map[string]float64 `json:"logit_bias"`
	Seed             *int64             `json:"seed"`
	Stop             stops              `json:"stop"`
}

// stops are a text or a list of texts.
type stops []string

// UnmarshalJSON implements [json.Unmarshaler].
func (s *stops) UnmarshalJSON(data []byte) error {
	var one *string
	if json.Unmarshal(data, &one) == nil {
		if *s = nil; one != nil {
			*s = stops{*one}
		}
		return nil
	}
	var several []string
	if json.Unmarshal(data, &several) != nil {
		return invalid("stop", "got another type, want a string or a list of strings")
	}
	*s = several
	return nil
}

// options checks the fields and converts them to the model's options.
func (p *sampling) options(c *call, tokens int) (bitgpu.TokenOptions, error) {
	o := bitgpu.TokenOptions{Options: bitgpu.Options{
		MaxTokens: tokens, Temperature: 1, TopK: p.TopK, MinP: p.MinP, RepeatPenalty: p.RepeatPenalty, Stop: p.Stop, Seed: rand.Uint64(),
	}}
	if p.Temperature != nil {
		o.Temperature = *p.Temperature
	}
	if p.TopP != nil {
		if o.TopP = *p.TopP; o.TopP == 0 { // to the model 0 means all; to clients it means the smallest share
			o.TopK = 1
		}
	}
	if p.Seed != nil {
		o.Seed = uint64(*p.Seed)
	}
	for _, b := range []struct {
		name           string
		got, low, high float64
	}{
		{"temperature", o.Temperature, 0, 2}, {"top_p", o.TopP, 0, 1}, {"min_p", o.MinP, 0, 1},
		{"repeat_penalty", o.RepeatPenalty, 0, 10}, {"frequency_penalty", p.FrequencyPenalty, -2, 2}, {"presence_penalty", p.PresencePenalty, -2, 2},
	} {
		if !(b.got >= b.low && b.got <= b.high) {
			return o, invalid(b.name, "got %v, want %v to %v", b.got, b.low, b.high)
		}
	}
	switch {
	case p.TopK < 0:
		return o, invalid("top_k", "got %d, want 0 or more", p.TopK)
	case tokens < 0 || tokens > mostTokens:
		return o, invalid("max_tokens", "got %d, want 0 to %d", tokens, mostTokens)
	case len(p.Stop) > mostStops:
		return o, invalid("stop", "got %d texts, want at most %d", len(p.Stop), mostStops)
	}
	for _, stop := range p.Stop {
		if stop == "" || len(stop) > mostStopBytes {
			return o, invalid("stop", "got a text of %d bytes, want 1 to %d", len(stop), mostStopBytes)
		}
	}
	adjust, err := p.adjust(c.s.model.Config().Vocab)
	o.Adjust = adjust
	return o, err
}

// adjust returns the function that changes logits, or nil if nothing is to be changed.
func (p *sampling) adjust(vocab int) (func(logits []float32, written []uint32) error, error) {
	if len(p.LogitBias) > mostBias {
		return nil, invalid("logit_bias", "got %d entries, want at most %d", len(p.LogitBias), mostBias)
	}
	bias := map[uint32]float32{}
	for name, value := range p.LogitBias {
		id, err := strconv.ParseUint(name, 10, 32)
		if err != nil || id >= uint64(vocab) {
			return nil, invalid("logit_bias", "got the token %.40q, want an id below %d", name, vocab)
		}
		if !(math.Abs(value) <= 100) {
			return nil, invalid("logit_bias", "got %v for the token %d, want -100 to 100", value, id)
		}
		bias[uint32(id)] = float32(value)
	}
	if len(bias) == 0 && p.FrequencyPenalty == 0 && p.PresencePenalty == 0 {
		return nil, nil
	}
	counts, counted := map[uint32]int{}, 0
	return func(logits []float32, written []uint32) error {
		if len(written) < counted { // another text begins
			clear(counts)
			counted = 0
		}
		for _, id := range written[counted:] {
			counts[id]++
		}
		counted = len(written)
		for id, n := range counts {
			logits[id] -= float32(p.PresencePenalty) + float32(n)*float32(p.FrequencyPenalty)
		}
		for id, value := range bias {
			logits[id] += value
		}
		return nil
	}, nil
}

// firstGiven returns the first of two fields that is given, otherwise a default.
func firstGiven(first, second *int, otherwise int) int {
	return *cmp.Or(first, second, &otherwise)
}

// tokenLogProb is a token of a text with the logarithm of its probability.
type tokenLogProb struct {
	id  uint32
	log float64
	top []tokenLogProb // the most probable in its place
}

// logProb returns the logarithms of the probabilities of a token and of the top most probable.
func logProb(logits []float32, id uint32, top int) tokenLogProb {
	best := make([]uint32, 0, top+1)
	most := float32(math.Inf(-1))
	for i, l := range logits {
		most = max(most, l)
		if top == 0 || len(best) == top && l <= logits[best[top-1]] {
			continue
		}
		best = append(best, uint32(i))
		for j := len(best) - 1; j > 0 && logits[best[j]] > logits[best[j-1]]; j-- {
			best[j], best[j-1] = best[j-1], best[j]
		}
		best = best[:min(len(best), top)]
	}
	sum := 0.0
	for _, l := range logits {
		sum += math.Exp(float64(l - most))
	}
	norm := float64(most) + math.Log(sum)
	found := tokenLogProb{id: id, log: float64(logits[id]) - norm}
	for _, b := range best {
		found.top = append(found.top, tokenLogProb{id: b, log: float64(logits[b]) - norm})
	}
	return found
}
