// Package safetensors reads and writes the public tensor format of that name: eight bytes of header length, a JSON header,
// and the tensors' bytes, little-endian, one after another.
//
// It knows no models, and just returns bytes with a type and a shape. It opens files with all types that the format defines,
// so that they can be listed, and converts those that bitgpu uses.
//
// # Why
//
// Why a memory map? A model starts without reading what it does not use, and a file's memory is the system's page cache,
// shared by all processes. Tensor data are therefore only valid until [File.Close].
//
// Why are F16 and BF16 converted, and F32 not always? [Tensor.FloatView] returns the file's own bytes if the machine is
// little-endian and the data are aligned, as they are in every file written here. Other files may be unaligned:
// [Tensor.Float32s] always works and always copies.
//
// Why is a file refused for a harmless gap between two tensors? The format forbids gaps, so that a file has one meaning and
// carries nothing hidden; and a gap is a sign of a broken writer.
package safetensors

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// DType is the type of a tensor's elements, as the format names it.
type DType string

// The types that bitgpu's files use.
const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
	U8   DType = "U8"
	I8   DType = "I8"
	I32  DType = "I32"
	I64  DType = "I64"
)

// bits per element of all types that the format defines.
var bits = map[DType]int{
	"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "BOOL": 8, U8: 8, I8: 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
	"U16": 16, "I16": 16, F16: 16, BF16: 16, "U32": 32, I32: 32, F32: 32, "U64": 64, I64: 64, F64: 64, "C64": 64,
}

// Size returns the bytes per element, 0 for unknown types and for those smaller than a byte.
func (d DType) Size() int {
	if bits[d]%8 != 0 {
		return 0
	}
	return bits[d] / 8
}

func unknownType(name string) error {
	return fmt.Errorf("got type %q, which the format does not have", name)
}

const (
	// maxHeader is the limit of the format's first implementation.
	maxHeader = 100_000_000
	// maxEntries limits what a header with many empty tensors or entries can take in Go values.
	maxEntries = 1 << 16
	maxName    = 4096
	maxRank    = 16
	// dataAlign aligns the data of files written here: a cache line, enough for any vector load.
	dataAlign    = 64
	metadataName = "__metadata__"
)

// byteSize returns the size of a tensor, or an error if it does not fit into an int.
func byteSize(dtype DType, shape []int) (int, error) {
	if len(shape) > 0 && slices.Min(shape) < 0 {
		return 0, fmt.Errorf("shape %s has a negative length", FormatShape(shape))
	}
	if slices.Contains(shape, 0) {
		return 0, nil
	}
	size, each := dtype.Size(), 1 // each: elements of that size
	if size == 0 {
		size, each = bits[dtype], 8
	}
	for _, n := range shape {
		if size > math.MaxInt/n {
			return 0, fmt.Errorf("shape %s of %s is more bytes than can be addressed", FormatShape(shape), dtype)
		}
		size *= n
	}
	if size%each != 0 {
		return 0, fmt.Errorf("shape %s of %s does not fill its last byte", FormatShape(shape), dtype)
	}
	return size / each, nil
}

// FormatShape returns a shape as (rows, columns), for error messages and listings.
func FormatShape(shape []int) string {
	text := []byte{'('}
	for i, n := range shape {
		if i > 0 {
			text = append(text, ", "...)
		}
		text = strconv.AppendInt(text, int64(n), 10)
	}
	return string(append(text, ')'))
}
