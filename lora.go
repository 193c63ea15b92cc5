package bitgpu

import (
	"fmt"

	"bitgpu/nn"
	"bitgpu/nn/storage/peft"
)

// loraFile is an adapter to apply.
type loraFile struct {
	path   string
	weight float64
}

// WithLoRA applies the low-rank adapter at path, in PEFT's form (a directory, or a single .safetensors file). The weights
// themselves do not change. weight scales the adapter; 1 is as it was trained. Several adapters add up. [Load] fails for a
// file that does not fit the model's matrices.
func WithLoRA(path string, weight float64) Option {
	return func(o *options) { o.lora = append(o.lora, loraFile{path, weight}) }
}

// openLoRA reads the adapters for a model, nil if there are none.
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
	a, err := peft.Join(c, all...)
	if err != nil {
		return nil, fmt.Errorf("%w: lora: %w", ErrOption, err)
	}
	return a, nil
}
