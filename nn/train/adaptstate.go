package train

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"bitgpu/io/regular"
	"bitgpu/io/safetensors"
	"bitgpu/nn"
	"bitgpu/nn/op"
)

// adaptState is what the training of an adapter continues from, besides three tensors for each A and B, and each whole parameter.
type adaptState struct {
	Options AdaptOptions    `json:"options"`
	Updates int             `json:"updates"`
	Text    string          `json:"text"` // checksum of the tokens
	Ranks   map[string]int  `json:"ranks"`
	Scale   float32         `json:"scale"`
	Inside  bool            `json:"inside,omitempty"` // see nn.Adapter
	Whole   map[string]bool `json:"whole,omitempty"`
}

// AdaptationKey is the metadata key of the state.
const AdaptationKey = "bitgpu.training"

var adaptParts = []struct {
	part Part
	name string
}{{Masters, "adapter"}, {FirstMoments, "m"}, {SecondMoments, "v"}}

// SaveAdaptation writes everything that the training needs to continue.
func (a *Adaptation) SaveAdaptation(path string) error {
	c := a.Trainer.Config()
	s := adaptState{Options: a.Options, Updates: a.Trainer.Updates(), Text: TokensSum(a.Tokens, a.Marks), Ranks: c.Adapter.Ranks, Scale: c.Adapter.Scale, Inside: c.Adapter.Inside, Whole: c.Adapter.Whole}
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	var tensors []safetensors.Tensor
	for _, p := range adaptParts {
		w, err := a.Trainer.Download(p.part)
		if err != nil {
			return err
		}
		for i, h := range *w {
			values := append([]float32(nil), h.F32...) // the next Download reuses the memory
			if at := op.FirstNotFinite(values); at >= 0 {
				return fmt.Errorf("the adapter's numbers are no longer finite after step %d; a lower learning rate may help", a.Trainer.Updates())
			}
			tensors = append(tensors, safetensors.FromFloat32s(fmt.Sprintf("%s.%d", p.name, i), h.Shape, values))
		}
	}
	return safetensors.WriteFile(path, tensors, safetensors.Summed(tensors, map[string]string{AdaptationKey: string(data)}))
}

// OpenAdaptation reads the state of a training: the form of its adapter, its options, and a function that restores its
// numbers in a trainer. A state for another text or model is refused.
func OpenAdaptation(path string, c nn.Config, tokens []uint32, marks []byte) (*nn.Adapter, AdaptOptions, func(AdapterTrainer) error, error) {
	var none AdaptOptions
	fail := func(err error) (*nn.Adapter, AdaptOptions, func(AdapterTrainer) error, error) {
		return nil, none, nil, fmt.Errorf("%s: %w", path, err)
	}
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, none, nil, err
	}
	defer f.Close()
	if err := regular.Guard(f.CheckSum); err != nil {
		return fail(err)
	}
	var s adaptState
	text := []byte(f.Metadata()[AdaptationKey])
	if err := json.Unmarshal(text, &s); err != nil {
		return fail(fmt.Errorf("got no state of a training (%w)", err))
	}
	if err := s.Options.Validate(); err != nil {
		return fail(err)
	}
	if s.Text != TokensSum(tokens, marks) {
		return fail(fmt.Errorf("got another text than the training had, want the same"))
	}
	a := &nn.Adapter{Ranks: s.Ranks, Scale: s.Scale, Inside: s.Inside, Whole: s.Whole}
	c.Adapter = a
	params := nn.AdapterParams(c)
	parts := map[Part]*nn.Weights[op.HostTensor]{}
	for _, p := range adaptParts {
		w := new(nn.Weights[op.HostTensor])
		for i, of := range params {
			t, ok := f.Tensor(fmt.Sprintf("%s.%d", p.name, i))
			if !ok || t.Len() != op.Count(of.Shape) {
				return fail(fmt.Errorf("%s.%d: got the shape %v, want %v: it is the training of another model's adapter", p.name, i, t.Shape, of.Shape))
			}
			v, err := t.Float32s()
			if err != nil {
				return fail(err)
			}
			*w = append(*w, op.HostTensor{Format: op.F32, Shape: of.Shape, F32: v})
		}
		parts[p.part] = w
	}
	if len(params) == 0 || len(f.Names()) != len(params)*len(adaptParts) {
		return fail(fmt.Errorf("got %d tensors, want %d: it is the training of another model's adapter", len(f.Names()), len(params)*len(adaptParts)))
	}
	a.Weights = *parts[Masters]
	return a, s.Options, func(e AdapterTrainer) error {
		for part, w := range parts {
			if err := e.Restore(part, w); err != nil {
				return err
			}
		}
		e.SetUpdates(s.Updates)
		return nil
	}, nil
}

// TokensSum returns the checksum of a text's tokens and marks.
func TokensSum(tokens []uint32, marks []byte) string {
	h := sha256.New()
	binary.Write(h, binary.LittleEndian, tokens)
	h.Write(marks)
	return fmt.Sprintf("%x", h.Sum(nil)[:16])
}
