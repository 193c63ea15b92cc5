// Package ggml knows the byte layouts of tensors in GGUF files: the name and the block of every type, and, for the types that
// are used by ternary models and their tables and heads, how to read and write the weights.
//
// Package gguf reads the files, and there is no arithmetic on blocks here. Other types have a name and a size, so that a file
// can be listed, and are refused by name when their weights are asked for.
//
// # Why
//
// Why a [Layout] besides a [Type]? The number in a file is not enough: 42 has been the number of three layouts, and files of
// all three are in circulation. Package gguf finds out which one a file means.
//
// Why is code 3, which would be +2, refused? No ternary model contains it, so it is the sign of a file that is something else
// or broken, and masking it would run a model with wrong weights. For the one type that defines it, Q2_0, [Matrix.Floats]
// returns +2.
package ggml

import (
	"fmt"
	"math"
)

// Type is the number that GGUF files give a tensor's type.
type Type uint32

// The types whose weights this package reads, and one that is only named to be refused.
const (
	F32    Type = 0
	F16    Type = 1
	Q4_0   Type = 2
	Q8_0   Type = 8
	Q4_K   Type = 12
	Q6_K   Type = 14
	BF16   Type = 30
	TQ1_0  Type = 34
	TQ2_0  Type = 35
	I2_S   Type = 36
	Q1_0   Type = 41
	Q2_0   Type = 42
	PQ2_0  Type = 142
	PTQ1_0 Type = 143
)

// kind is a type's name, and the number of weights and bytes in a block.
type kind struct {
	name           string
	weights, bytes int
}

// kinds are the types of ggml.h, bitnet.cpp (36) and Prism's fork (142, 143). Some numbers are used differently by two
// programs: 36 is I2_S here, since its former use for an IQ4_NL form was withdrawn; 38 and 39 are also bitnet.cpp's TL1 and
// TL2.
var kinds = map[Type]kind{
	F32: {"F32", 1, 4}, F16: {"F16", 1, 2}, Q4_0: {"Q4_0", 32, 18}, 3: {"Q4_1", 32, 20}, 4: {"Q4_2", 16, 10}, 5: {"Q4_3", 16, 12},
	6: {"Q5_0", 32, 22}, 7: {"Q5_1", 32, 24}, Q8_0: {"Q8_0", 32, 34}, 9: {"Q8_1", 32, 36}, 10: {"Q2_K", 256, 84},
	11: {"Q3_K", 256, 110}, Q4_K: {"Q4_K", 256, 144}, 13: {"Q5_K", 256, 176}, Q6_K: {"Q6_K", 256, 210}, 15: {"Q8_K", 256, 292},
	16: {"IQ2_XXS", 256, 66}, 17: {"IQ2_XS", 256, 74}, 18: {"IQ3_XXS", 256, 98}, 19: {"IQ1_S", 256, 50}, 20: {"IQ4_NL", 32, 18},
	21: {"IQ3_S", 256, 110}, 22: {"IQ2_S", 256, 82}, 23: {"IQ4_XS", 256, 136}, 24: {"I8", 1, 1}, 25: {"I16", 1, 2},
	26: {"I32", 1, 4}, 27: {"I64", 1, 8}, 28: {"F64", 1, 8}, 29: {"IQ1_M", 256, 56}, BF16: {"BF16", 1, 2},
	31: {"Q4_0_4_4", 32, 18}, 32: {"Q4_0_4_8", 32, 18}, 33: {"Q4_0_8_8", 32, 18}, TQ1_0: {"TQ1_0", 256, 54}, TQ2_0: {"TQ2_0", 256, 66},
	I2_S: {"I2_S", 128, 32}, 37: {"IQ4_NL_4_8", 32, 18}, 38: {"IQ4_NL_8_8", 32, 18}, 39: {"MXFP4", 32, 17}, 40: {"NVFP4", 64, 36},
	Q1_0: {"Q1_0", 128, 18}, Q2_0: {"Q2_0", 64, 18}, PQ2_0: {"PQ2_0", 128, 34}, PTQ1_0: {"PTQ1_0", 128, 28},
}

// Known reports whether the type has a name and a size here.
func (t Type) Known() bool { _, ok := kinds[t]; return ok }

// String returns the type's name, or its number if it has none.
func (t Type) String() string {
	if k, ok := kinds[t]; ok {
		return k.name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// Layout returns how a tensor of this type is read if the number alone determines that, which it does except for Q2_0 in old
// files. It is zero for types that can only be listed.
func (t Type) Layout() Layout {
	for l, k := range layouts {
		if l > 0 && k.typ == t && !k.odd {
			return Layout(l)
		}
	}
	return 0
}

// Bytes returns the size of a tensor with `rows` rows of cols weights, cols at least 1. It refuses rows that are not whole
// blocks, and sizes that do not fit into an int.
func (t Type) Bytes(rows, cols int) (int, error) {
	k, ok := kinds[t]
	if !ok {
		return 0, fmt.Errorf("type %d is not known", uint32(t))
	}
	return k.size(rows, cols, t == I2_S)
}

// i2sTail is the number of bytes after the codes of an I2_S tensor: its scale, a float32, and 28 unused bytes.
const i2sTail = 32

func (k kind) size(rows, cols int, i2s bool) (int, error) {
	const limit = 1 << 56 // far above any file and far below overflow
	if rows < 1 || cols < 1 || int64(rows) > limit/int64(cols) {
		return 0, fmt.Errorf("%d × %d weights, want from 1 to 2⁵⁶", rows, cols)
	}
	n, bytes := int64(rows)*int64(cols), int64(0)
	switch {
	case i2s && n%int64(k.weights) != 0: // its blocks cross rows
		return 0, fmt.Errorf("%d × %d weights, want a multiple of %d for type %s", rows, cols, k.weights, k.name)
	case i2s:
		bytes = n/int64(k.weights)*int64(k.bytes) + i2sTail
	case cols%k.weights != 0:
		return 0, fmt.Errorf("rows of %d weights, want a multiple of %d for type %s", cols, k.weights, k.name)
	default:
		bytes = n / int64(k.weights) * int64(k.bytes)
	}
	if bytes > math.MaxInt {
		return 0, fmt.Errorf("%d × %d weights are more bytes than can be addressed", rows, cols)
	}
	return int(bytes), nil
}
