package peft

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"bitgpu/io/safetensors"
	"bitgpu/nn"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
	"bitgpu/nn/storage/public"
)

// whole is a parameter that an adapter holds itself: a norm or a table, one of PEFT's modules_to_save.
type whole struct {
	nn.Param
	values []float32
}

// headModule is the module of the head in files.
const headModule = "lm_head"

// wholeModule returns the full name in files of a parameter's module, "model.layers.0.input_layernorm", and what is added to
// the numbers in files to give the model's.
func wholeModule(c nn.Config, name string) (module string, offset float32) {
	if c.Decoder != nil {
		name, offset = public.TensorName(name), public.GainOffset(c.Decoder, name)
	}
	return strings.TrimSuffix(name, ".weight"), offset
}

// moduleKey is the part of a module's name that does not depend on what the model is wrapped in: from "layers." on, or the
// last word.
func moduleKey(module string) string {
	if at := inLayers.FindStringIndex(module); at != nil {
		return strings.TrimPrefix(module[at[0]:], ".")
	}
	return module[strings.LastIndexByte(module, '.')+1:]
}

var inLayers = regexp.MustCompile(`(?:^|\.)layers\.\d+\.`)

// wholeName matches the name of a tensor outside of A and B. The words of PEFT's wrapper are optional.
var wholeName = regexp.MustCompile(`^(.+?)(?:\.modules_to_save(?:\.[^.]+)?)?\.weight$`)

// Trainable lists what modules_to_save may name for this model if it is to be trained: "embed_tokens", "input_layernorm", each
// once.
func Trainable(c nn.Config) (names []string) {
	for _, p := range nn.Saveable(c) {
		module, _ := wholeModule(c, p.Names[0])
		if name := listed(module); !p.Fixed && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// IsModule reports whether a parameter, by the model's own name, is one of the module that a user names as PEFT does: by the
// end of its name in files, "embed_tokens" or "norm". Where the head is the embedding, it has both names.
func IsModule(c nn.Config, param, module string) bool {
	full, _ := wholeModule(c, param)
	return full == module || strings.HasSuffix(full, "."+module) || c.TiedHead && param == nn.EmbedName && module == headModule
}

// readWhole finds the model's parameters for tensors that are no A or B.
func readWhole(tensors map[string]safetensors.Tensor, s *settings, c nn.Config) ([]whole, error) {
	found := map[string]string{} // the tensor's name by its module
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		m := wholeName.FindStringSubmatch(name)
		if m == nil {
			return nil, notOurs(name)
		}
		found[moduleKey(m[1])] = name
	}
	if len(found) < len(tensors) {
		return nil, fmt.Errorf("got several tensors of one module")
	}
	for _, listed := range s.Saved {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(found)), func(key string) bool { return strings.HasSuffix(key, moduleKey(listed)) }) {
			return nil, fmt.Errorf("modules_to_save: got %.60q, of which the file has no tensor", listed)
		}
	}
	var all []whole
	for _, p := range nn.Saveable(c) {
		module, offset := wholeModule(c, p.Names[0])
		name, ok := found[moduleKey(module)]
		if !ok {
			continue
		}
		delete(found, moduleKey(module))
		values, err := floats(tensors[name], name, p.Shape...)
		if err != nil {
			return nil, err
		}
		if offset != 0 {
			values = slices.Clone(values)
			for i := range values {
				values[i] += offset
			}
		}
		if p.Kind == layer.Table && c.TiedHead {
			head, ok := found[headModule]
			delete(found, headModule)
			if err := checkTied(values, tensors[head], ok, s, module); err != nil {
				return nil, err
			}
		}
		all = append(all, whole{p, values})
	}
	if _, ok := found[headModule]; ok && c.TiedHead {
		return nil, fmt.Errorf("%s: got a head of its own, want the embedding with it: they are one table in this model", headModule)
	}
	if len(found) > 0 {
		return nil, notOurs(slices.Min(slices.Collect(maps.Values(found))))
	}
	return all, nil
}

// checkTied refuses an embedding that would leave the head, which is the same table in this model, as it was. PEFT loads one
// such: it makes two tables of one.
func checkTied(embedding []float32, head safetensors.Tensor, hasHead bool, s *settings, module string) error {
	if hasHead {
		values, err := head.Float32s()
		if err == nil && !slices.Equal(values, embedding) {
			err = fmt.Errorf("%s and %s: got different numbers, want the same: they are one table in this model", module, headModule)
		}
		return err
	}
	if len(s.Saved) > 0 && !s.Tied {
		return fmt.Errorf("%s: got an embedding of its own, want ensure_weight_tying in %s: in this model the head is the same table, which PEFT leaves as it was without that",
			module, ConfigName)
	}
	return nil
}

// notOurs is the error of a tensor that nothing in the model is for.
func notOurs(name string) error {
	return fmt.Errorf("%.100q: got a tensor that is neither A nor B of a layer's matrix, and no norm or table of this model, want names such as model.layers.0.mlp.up_proj.lora_A.weight", name)
}

// saveWhole returns the tensors of whole parameters, and their modules for the configuration.
func saveWhole(c nn.Config, a *nn.Adapter) (tensors []safetensors.Tensor, modules []string) {
	c.Adapter = a
	for i, p := range nn.AdapterParams(c) {
		if !p.Whole {
			continue
		}
		module, offset := wholeModule(c, p.Names[0])
		values := a.Weights[i].F32
		if offset != 0 {
			values = slices.Clone(values)
			for i := range values {
				values[i] -= offset
			}
		}
		tensors = append(tensors, safetensors.FromFloat32s(wrapper+module+".weight", p.Shape, values))
		modules = append(modules, listed(module))
		if p.Kind == layer.Table && c.TiedHead { // PEFT looks for the head, too
			tensors = append(tensors, safetensors.FromFloat32s(wrapper+headModule+".weight", p.Shape, values))
		}
	}
	slices.Sort(modules)
	return tensors, slices.Compact(modules)
}

// listed returns a module as modules_to_save has it, where a name stands for all modules that end in it: the last word, unless
// other norms end in that, too.
func listed(module string) string {
	words := strings.Split(module, ".")
	last := words[len(words)-1]
	if last == "norm" && len(words) > 1 {
		return words[len(words)-2] + "." + last
	}
	return last
}

// joinWhole adds the whole parameters of adapters to their join. No two may hold the same one.
func joinWhole(c nn.Config, out *nn.Adapter, all []Weighted) error {
	held := map[string]whole{}
	for _, w := range all {
		for _, x := range w.whole {
			name := x.Names[0]
			if _, ok := held[name]; ok {
				module, _ := wholeModule(c, name)
				return fmt.Errorf("%s: got the module %s, which another adapter holds too, want one of the two adapters", w.Path, module)
			}
			held[name] = x
		}
	}
	if len(held) == 0 {
		return nil
	}
	out.Whole = map[string]bool{}
	for _, p := range nn.Saveable(c) {
		if x, ok := held[p.Names[0]]; ok {
			out.Whole[p.Names[0]] = true
			out.Weights = append(out.Weights, op.HostTensor{Format: op.F32, Shape: p.Shape, F32: x.values})
		}
	}
	return nil
}
