package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"bitgpu/io/internal/clip"

	"github.com/x448/float16"
)

// Tensor is a named array. Data are its elements, little-endian, row-major, last axis fastest. In a tensor of a [File] they
// are part of the mapped file: read-only, and invalid after [File.Close].
type Tensor struct {
	Name  string
	DType DType
	Shape []int
	Data  []byte
}

// littleEndian reports whether this machine has the byte order of the format.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// Len returns the number of elements.
func (t Tensor) Len() int {
	if size := t.DType.Size(); size > 0 {
		return len(t.Data) / size
	}
	if bits[t.DType] == 0 {
		return 0
	}
	return 8 * len(t.Data) / bits[t.DType]
}

// Float32s converts an F32, F16 or BF16 tensor to a new slice.
func (t Tensor) Float32s() ([]float32, error) {
	switch t.DType {
	case F32:
		out := make([]float32, t.Len())
		if view, ok := t.FloatView(); ok {
			copy(out, view)
			return out, nil
		}
		for i := range out {
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Data[4*i:]))
		}
		return out, nil
	case F16:
		out := make([]float32, t.Len())
		for i := range out {
			out[i] = float16.Frombits(binary.LittleEndian.Uint16(t.Data[2*i:])).Float32()
		}
		return out, nil
	case BF16:
		out := make([]float32, t.Len())
		for i := range out {
			out[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(t.Data[2*i:])) << 16)
		}
		return out, nil
	}
	return nil, t.wantType("F32, F16 or BF16")
}

// Float64s converts an F64 tensor to a new slice.
func (t Tensor) Float64s() ([]float64, error) {
	if t.DType != F64 {
		return nil, t.wantType("F64")
	}
	out := make([]float64, t.Len())
	for i := range out {
		out[i] = math.Float64frombits(binary.LittleEndian.Uint64(t.Data[8*i:]))
	}
	return out, nil
}

// FloatView returns an F32 tensor's elements without a copy, valid as long as Data. ok is false for other types, if the data
// are not aligned to four bytes, or on a big-endian machine.
func (t Tensor) FloatView() ([]float32, bool) {
	if t.DType != F32 || !littleEndian {
		return nil, false
	}
	return view[float32](t.Data)
}

// Int32s converts an I32 or I64 tensor to a new slice. An I64 that does not fit into an int32 is an error.
func (t Tensor) Int32s() ([]int32, error) {
	switch t.DType {
	case I32:
		out := make([]int32, t.Len())
		for i := range out {
			out[i] = int32(binary.LittleEndian.Uint32(t.Data[4*i:]))
		}
		return out, nil
	case I64:
		out := make([]int32, t.Len())
		for i := range out {
			v := int64(binary.LittleEndian.Uint64(t.Data[8*i:]))
			if v < math.MinInt32 || v > math.MaxInt32 {
				return nil, fmt.Errorf("%s: element %d is %d, which 32 bits do not hold", clip.Name(t.Name), i, v)
			}
			out[i] = int32(v)
		}
		return out, nil
	}
	return nil, t.wantType("I32 or I64")
}

// Int8s returns an I8 tensor's elements without a copy, valid as long as Data.
func (t Tensor) Int8s() ([]int8, error) {
	if t.DType != I8 {
		return nil, t.wantType("I8")
	}
	return unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(t.Data))), len(t.Data)), nil
}

func (t Tensor) wantType(want string) error {
	return fmt.Errorf("%s: got type %s, want %s", clip.Name(t.Name), t.DType, want)
}

// FromFloat32s makes an F32 tensor. On little-endian machines it shares the memory of v.
func FromFloat32s(name string, shape []int, v []float32) Tensor {
	return Tensor{Name: name, DType: F32, Shape: shape, Data: littleEndianBytes(v, func(out []byte, x float32) {
		binary.LittleEndian.PutUint32(out, math.Float32bits(x))
	})}
}

// FromFloat16s makes an F16 tensor. Values are rounded to the nearest float16, ties to even. A finite value beyond ±65,504 is
// an error, because it would become infinite.
func FromFloat16s(name string, shape []int, v []float32) (Tensor, error) {
	data := make([]byte, 2*len(v))
	for i, x := range v {
		h := float16.Fromfloat32(x)
		if h.IsInf(0) && !math.IsInf(float64(x), 0) {
			return Tensor{}, fmt.Errorf("%s: element %d is %g, beyond the range of F16", clip.Name(name), i, x)
		}
		binary.LittleEndian.PutUint16(data[2*i:], h.Bits())
	}
	return Tensor{Name: name, DType: F16, Shape: shape, Data: data}, nil
}

// FromInt32s makes an I32 tensor. On little-endian machines it shares the memory of v.
func FromInt32s(name string, shape []int, v []int32) Tensor {
	return Tensor{Name: name, DType: I32, Shape: shape, Data: littleEndianBytes(v, func(out []byte, x int32) {
		binary.LittleEndian.PutUint32(out, uint32(x))
	})}
}

// FromInt64s makes an I64 tensor. On little-endian machines it shares the memory of v.
func FromInt64s(name string, shape []int, v []int64) Tensor {
	return Tensor{Name: name, DType: I64, Shape: shape, Data: littleEndianBytes(v, func(out []byte, x int64) {
		binary.LittleEndian.PutUint64(out, uint64(x))
	})}
}

// FromInt8s makes an I8 tensor that shares the memory of v.
func FromInt8s(name string, shape []int, v []int8) Tensor {
	data := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v))
	return Tensor{Name: name, DType: I8, Shape: shape, Data: data}
}

// FromUint8s makes a U8 tensor that shares the memory of v.
func FromUint8s(name string, shape []int, v []uint8) Tensor {
	return Tensor{Name: name, DType: U8, Shape: shape, Data: v}
}

// FromHalves makes a tensor of a 16-bit type from the bits of its elements. On little-endian machines it shares their memory.
func FromHalves(name string, dtype DType, shape []int, bits []uint16) Tensor {
	return Tensor{Name: name, DType: dtype, Shape: shape, Data: littleEndianBytes(bits, binary.LittleEndian.PutUint16)}
}

// number is a type that bytes can be viewed as: of fixed size, with a value for every bit pattern.
type number interface {
	float32 | int32 | int64 | uint16
}

// view returns data as numbers without a copy; ok is false if they are not aligned.
func view[T number](data []byte) ([]T, bool) {
	size := int(unsafe.Sizeof(*new(T)))
	at := unsafe.Pointer(unsafe.SliceData(data))
	if uintptr(at)%uintptr(size) != 0 {
		return nil, false
	}
	return unsafe.Slice((*T)(at), len(data)/size), true
}

func littleEndianBytes[T number](v []T, put func([]byte, T)) []byte {
	size := int(unsafe.Sizeof(*new(T)))
	if littleEndian {
		return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), size*len(v))
	}
	data := make([]byte, size*len(v))
	for i, x := range v {
		put(data[size*i:], x)
	}
	return data
}
