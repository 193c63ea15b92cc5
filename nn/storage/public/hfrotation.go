package public

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"bitgpu/io/safetensors"
)

// mlxRotated is the model_type of Bonsai 2 in MLX's form, whose matrices expect a Hadamard transform of their input.
const mlxRotated = "prism_hadamard_qwen35"

// hfRotation holds the keys of config.json about that, with the values that missing ones have in mlx-vlm.
type hfRotation struct {
	Schema    int    `json:"schema_version"`
	Base      string `json:"base_model_type"`
	Namespace string `json:"tensor_namespace"`
	Layout    string `json:"gdn_activation_layout"`
	Modules   []struct {
		Path  string `json:"path"`
		Block int    `json:"block"`
	} `json:"modules"`
}

// parseRotation returns the block of the transform that each packed matrix expects, 0 for none, by its name without ".weight",
// and the one that all others have.
func parseRotation(config []byte) (blocks map[string]int, block int, err error) {
	r := hfRotation{2, "qwen3_5", "mlx-vlm-qwen3_5", "grouped", nil}
	if err := json.Unmarshal(config, &r); err != nil {
		return nil, 0, err
	}
	for _, key := range [][3]string{
		{"base_model_type", r.Base, "qwen3_5"}, {"tensor_namespace", r.Namespace, "mlx-vlm-qwen3_5"}, {"gdn_activation_layout", r.Layout, "grouped"},
	} {
		if key[1] != key[2] {
			return nil, 0, fmt.Errorf("%s: got %q, want %q", key[0], key[1], key[2])
		}
	}
	if r.Schema != 2 {
		return nil, 0, fmt.Errorf("schema_version: got %d, want 2", r.Schema)
	}
	blocks = make(map[string]int, len(r.Modules))
	for _, m := range r.Modules {
		if _, twice := blocks[m.Path]; twice || m.Block < 0 || m.Block == 1 {
			return nil, 0, fmt.Errorf("modules: got %q with a block of %d, want each module once, with a power of two above 1 or 0", m.Path, m.Block)
		}
		if blocks[m.Path] = m.Block; m.Block == 0 {
			continue
		}
		if block > 0 && m.Block != block {
			return nil, 0, fmt.Errorf("modules: got blocks of %d and, of %s, %d, want one size", block, m.Path, m.Block)
		}
		block = m.Block
	}
	if block == 0 {
		return nil, 0, fmt.Errorf("modules: got %d modules without a block, want those that are stored for a rotated input", len(r.Modules))
	}
	return blocks, block, nil
}

// signedBy lists the matrices that have the signs of a parameter, by its name in a layer or before all layers.
var signedBy = map[string][]string{
	"norm1.signs":                {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "linear_attn.in_proj_qkv", "linear_attn.in_proj_z"},
	"norm2.signs":                {"mlp.gate_proj", "mlp.up_proj"},
	"self_attn.o_proj.signs":     {"self_attn.o_proj"},
	"linear_attn.out_proj.signs": {"linear_attn.out_proj"},
	"mlp.down_proj.signs":        {"mlp.down_proj"},
	"embed.signs":                {"embed", "lm_head"},
}

// signs reads the signs that some matrices share: those of one input are transformed together, so they must be the same.
func (h *hfDir) signs(name string) (*part, error) {
	n, rest := inLayer(name)
	var shared *part
	for _, matrix := range signedBy[rest] {
		if n >= 0 {
			matrix = fmt.Sprintf("layers.%d.%s", n, matrix)
		}
		weight, there := h.tensor(matrix + ".weight")
		if !there {
			continue
		}
		file := strings.TrimSuffix(weight, ".weight") + ".signs"
		t, there := h.Tensor(file)
		if !there {
			return nil, fmt.Errorf("%s: %s is missing", h.dir, file)
		}
		x := &part{name: h.dir + ": " + file}
		if err := x.readHF(t, nil); err != nil {
			return nil, err
		}
		x.widen()
		x.rows, x.cols = 1, len(x.floats)
		if i := slices.IndexFunc(x.floats, func(s float32) bool { return s != 1 && s != -1 }); i >= 0 {
			return nil, fmt.Errorf("%s: got %v at %d, want 1 or -1", x.name, x.floats[i], i)
		}
		if shared == nil {
			shared = x
		}
		if !slices.Equal(shared.floats, x.floats) {
			return nil, fmt.Errorf("%s: got other signs than %s has, want the same: both matrices have one input", x.name, shared.name)
		}
	}
	if shared == nil {
		return nil, fmt.Errorf("%s: no matrix has %s", h.dir, name)
	}
	return shared, nil
}

// checkRotation refuses a matrix that is stored for another input than its layer gives it: a rotated one, but for those that
// make the decay and its gate.
func (h *hfDir) checkRotation(file, rest string, t safetensors.Tensor) error {
	module := strings.TrimSuffix(file, ".weight")
	block, listed := h.blocks[strings.TrimPrefix(module, "language_model.")]
	_, signs := h.Tensor(module + ".signs")
	turned := h.blocks != nil && !mayBeFloat(rest)
	if turned != signs || turned != (block > 0) {
		return fmt.Errorf("%s: %s: got signs: %v, a block in config.json of %d, want %s", h.dir, file, signs, block, map[bool]string{
			true: "both, for its input is rotated", false: "neither, for its input is not rotated",
		}[turned])
	}
	if h.blocks != nil && t.DType == safetensors.U32 && !listed {
		return fmt.Errorf("%s: %s: got a packed matrix that is not among the modules of config.json", h.dir, file)
	}
	return nil
}
