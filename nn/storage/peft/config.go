package peft

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// settings are the keys of adapter_config.json that affect what an adapter computes.
type settings struct {
	Type         string             `json:"peft_type"`
	Task         string             `json:"task_type,omitempty"`
	Base         string             `json:"base_model_name_or_path"`
	R            int                `json:"r"`
	Alpha        *float64           `json:"lora_alpha"`
	RankPattern  map[string]int     `json:"rank_pattern"`
	AlphaPattern map[string]float64 `json:"alpha_pattern"`
	Targets      any                `json:"target_modules"`
	Bias         *string            `json:"bias"`
	Dropout      float64            `json:"lora_dropout"`
	Inference    bool               `json:"inference_mode"`
	Stabilised   bool               `json:"use_rslora"`
	DoRA         bool               `json:"use_dora"`
	FanInFanOut  bool               `json:"fan_in_fan_out"`
	Saved        []string           `json:"modules_to_save"`
	Tied         bool               `json:"ensure_weight_tying,omitempty"` // the head is the embedding, also where that is saved
}

const (
	maxRank = 1 << 12
	noBias  = "none"
)

func parseConfig(data []byte) (*settings, error) {
	var s settings
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("got no JSON object of an adapter: %w", err)
	}
	switch {
	case s.Type != "LORA":
		return nil, fmt.Errorf("peft_type: got %.40q, want \"LORA\"", s.Type)
	case s.DoRA:
		return nil, fmt.Errorf("use_dora: got true, want a plain low-rank adapter")
	case s.FanInFanOut:
		return nil, fmt.Errorf("fan_in_fan_out: got true, want matrices of the form (out, in)")
	case s.Bias != nil && *s.Bias != noBias:
		return nil, fmt.Errorf("bias: got %.40q, want \"none\": the matrices have no biases", *s.Bias)
	case s.Alpha == nil:
		return nil, fmt.Errorf("lora_alpha is missing")
	}
	for _, key := range slices.Sorted(maps.Keys(s.RankPattern)) {
		if r := s.RankPattern[key]; r < 1 || r > maxRank {
			return nil, fmt.Errorf("rank_pattern: %.60s: got the rank %d, want 1 to %d", key, r, maxRank)
		}
	}
	if s.R < 1 || s.R > maxRank {
		return nil, fmt.Errorf("r: got the rank %d, want 1 to %d", s.R, maxRank)
	}
	for _, alpha := range append(slices.Collect(maps.Values(s.AlphaPattern)), *s.Alpha) {
		if !(math.Abs(alpha) < math.MaxFloat32) {
			return nil, fmt.Errorf("lora_alpha: got %v, want a number", alpha)
		}
	}
	return &s, nil
}

// rank is the rank of a module's adapter.
func (s *settings) rank(module string) int { return pattern(s.RankPattern, module, s.R) }

// scale is the factor of B·A for a module.
func (s *settings) scale(module string, rank int) float64 {
	alpha := pattern(s.AlphaPattern, module, *s.Alpha)
	if s.Stabilised { // arXiv 2312.03732
		return alpha / math.Sqrt(float64(rank))
	}
	return alpha / float64(rank)
}

// pattern looks a module up by the end of its name. The longest pattern that fits wins.
func pattern[V any](all map[string]V, module string, otherwise V) V {
	longest := -1
	for key, v := range all {
		end := key
		if at := strings.Index(key, "layers."); at >= 0 {
			end = key[at:]
		}
		if (module == end || strings.HasSuffix(module, "."+end)) && len(end) > longest {
			longest, otherwise = len(end), v
		}
	}
	return otherwise
}
