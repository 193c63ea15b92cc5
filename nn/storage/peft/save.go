package peft

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"bitgpu/io/atomicfile"
	"bitgpu/io/safetensors"
	"bitgpu/nn"
	"bitgpu/nn/op"
)

// Lone reports whether path names a single file, as opposed to a directory.
func Lone(path string) bool { return strings.HasSuffix(path, ".safetensors") }

// Save writes an adapter of a model: a single file where the path ends in .safetensors, otherwise a directory. base names the
// model that the adapter is for. Existing files are replaced as a whole or not at all.
func Save(path string, c nn.Config, a *nn.Adapter, base string) error {
	for _, w := range a.Weights {
		if op.FirstNotFinite(w.F32) >= 0 {
			return fmt.Errorf("%s: is not written: the adapter's numbers are not finite; a lower learning rate may help", path)
		}
	}
	all, err := split(c, a)
	if err != nil {
		return err
	}
	prefix := wrapper
	if c.Decoder != nil {
		prefix += "model."
	}
	s := settings{
		Type: "LORA", Task: "CAUSAL_LM", Base: base, RankPattern: map[string]int{}, AlphaPattern: map[string]float64{}, Inference: true,
	}
	bias := noBias
	s.Bias = &bias
	targets := map[string]bool{}
	var tensors []safetensors.Tensor
	for _, m := range all {
		module := strings.TrimSuffix(m.Name, ".weight")
		alpha := m.scale * float64(m.rank)
		if s.Alpha == nil {
			s.R, s.Alpha = m.rank, &alpha
		}
		if m.rank != s.R {
			s.RankPattern[module], s.AlphaPattern[module] = m.rank, alpha
		}
		targets[module[strings.LastIndex(module, ".")+1:]] = true
		tensors = append(tensors,
			safetensors.FromFloat32s(prefix+module+".lora_A.weight", []int{m.rank, m.Cols}, m.a),
			safetensors.FromFloat32s(prefix+module+".lora_B.weight", []int{m.Rows, m.rank}, m.reorder(c, m.b, true)))
	}
	saved, modules := saveWhole(c, a)
	tensors, s.Saved = append(tensors, saved...), modules
	s.Tied = c.TiedHead && a.HoldsEmbedding()
	s.Targets = slices.Sorted(maps.Keys(targets))
	config, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if Lone(path) {
		return safetensors.WriteFile(path, tensors, safetensors.Summed(tensors, map[string]string{"format": "pt", ConfigName: string(config)}))
	}
	set, err := atomicfile.CreateSet(path)
	if err != nil {
		return err
	}
	defer set.Discard()
	if err := set.Write(ConfigName, func(w io.Writer) error {
		_, err := w.Write(append(config, '\n'))
		return err
	}); err != nil {
		return err
	}
	if err := set.Write(ModelName, func(w io.Writer) error {
		return safetensors.Write(w, tensors, safetensors.Summed(tensors, map[string]string{"format": "pt"}))
	}); err != nil {
		return err
	}
	set.Guard(ConfigName, nil) // other programs read the directory, too, and begin with it
	return set.Commit()
}
