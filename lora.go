package bitgpu

import (
	"fmt"

	"bitgpu/nn"
	"bitgpu/nn/storage/peft"
)

// loraFile is an adapter to be applied.
type loraFile struct {
	path   string
	weight float64
}

// WithLoRA applies the low-rank adapter at path, in the form of PEFT (a directory, or a lone .safetensors file), beside the
// weights, which stay as they are. weight is how much of it is added, 1 as it was trained. Given several times, adapters add
// up. A file that is not for the model's matrices is an error of [Load].
func WithLoRA(path string, weight float64) Option {
	return func(o *options) { o.lora = append(o.lora, loraFile{path, weight}) }
}

// openLoRA reads the adapters for a model, nil where there are none.
func openLoRA(c Config, files []loraFile) (*nn.Adapter, error) {
	if len(files) == 0 {
		return nil, nil
	}
	var all []peft.Weighted
	for _, f := range files {
		a, err := peft.Load(f.path, c)
		if err != nil {
			return nil, fmt.Errorf("lora: %w", err)
		}
		w, err := a.Times(f.weight)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrOption, err)
		}
		all = append(all, w)
	}
	return peft.Join(c, all...), nil
}
