package op

import "math"

// RecentWindow is how many recent tokens the repeat penalty looks at.
const RecentWindow = 64

// Indices into a row of the tensor of recent tokens, U32 (B, RecentSize): how many tokens were pushed, how many were sampled,
// then a ring of the last RecentWindow ids.
const (
	RecentPushed = iota
	RecentSampled
	RecentRing
	RecentSize = RecentRing + RecentWindow
)

// Indices into a row of the tensor of sampling rules, U32 (B, RulesSize). Floats are stored as their bits. All zeros means
// greedy.
const (
	RuleTemperature = iota
	RuleTopK
	RuleTopP
	RuleMinP
	RuleMinLogit // log of min-p: how far below the largest logit a token may be
	RulePenalty
	RuleSeedLow
	RuleSeedHigh
	RulesSize
)

// Encode writes the rules as one row of the tensor of rules.
func (s Sampling) Encode(row []uint32) {
	minLogit := float32(-math.MaxFloat32)
	if s.MinP > 0 {
		minLogit = float32(math.Log(float64(s.MinP)))
	}
	topP := s.TopP
	if topP >= 1 {
		topP = 0
	}
	row[RuleTemperature] = math.Float32bits(s.Temperature)
	row[RuleTopK] = uint32(min(s.TopK, math.MaxUint32))
	row[RuleTopP] = math.Float32bits(topP)
	row[RuleMinP] = math.Float32bits(s.MinP)
	row[RuleMinLogit] = math.Float32bits(minLogit)
	row[RulePenalty] = math.Float32bits(s.RepeatPenalty)
	row[RuleSeedLow], row[RuleSeedHigh] = uint32(s.Seed), uint32(s.Seed>>32)
}

// DecodeRules reads what Encode wrote.
func DecodeRules(row []uint32) Sampling {
	return Sampling{
		Temperature:   math.Float32frombits(row[RuleTemperature]),
		TopK:          int(row[RuleTopK]),
		TopP:          math.Float32frombits(row[RuleTopP]),
		MinP:          math.Float32frombits(row[RuleMinP]),
		RepeatPenalty: math.Float32frombits(row[RulePenalty]),
		Seed:          uint64(row[RuleSeedLow]) | uint64(row[RuleSeedHigh])<<32,
	}
}

// Sample draws one token per row of Logits (B, V) by the same row of Rules (B, RulesSize) and of Recent (B, RecentSize), to
// which it appends the token. The token goes to Next (B), the input of the next step, and to element (row, sampled mod K) of
// Out (B, K). Where a logit is not finite, Out gets NotFinite and Next 0. Logits are used as scratch memory and restored.
type Sample[T any] struct{ Next, Out, Recent, Rules, Logits T }

// Name implements Op.
func (o *Sample[T]) Name() string { return "Sample" }

// Args implements Op.
func (o *Sample[T]) Args(v Visitor[T]) {
	B, V := rows(v, o.Logits)
	v.Arg("rules", Reads, &o.Rules, B, RulesSize)
	v.Arg("recent", Updates, &o.Recent, B, RecentSize)
	v.Arg("logits", Updates, &o.Logits, B, V)
	v.Arg("next", Writes, &o.Next, B)
	v.Arg("out", Updates, &o.Out, B, axis(v, o.Out, 1))
}
