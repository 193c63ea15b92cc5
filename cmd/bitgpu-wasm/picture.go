//go:build js && wasm

package main

import "math"

// layerPicture is the matrix of one head of one layer as a picture.
type layerPicture struct {
	Layer  int     `json:"layer"`
	Head   int     `json:"head"`
	Norm   float64 `json:"norm"`   // Frobenius norm of the matrix
	Size   int     `json:"size"`   // pixels per side
	Pixels []byte  `json:"pixels"` // Size² of them, base64 in JSON: root mean square of a square of elements, 255 for the largest of all
}

// mostPixels limits the side of a picture.
const mostPixels = 64

// memory returns the matrices that one of our own models has learned; a public model has none.
func (e *engine) memory() (any, error) {
	if e.model == nil {
		return nil, errNoModel
	}
	pictures := []layerPicture{}
	s := e.current()
	if e.model.Config().Decoder != nil || s == nil {
		return pictures, nil
	}
	layers, err := s.Memory()
	if err != nil {
		return nil, err
	}
	var largest float64
	var values [][]float64
	for n, l := range layers {
		side := l.Shape[len(l.Shape)-1]
		size := min(side, mostPixels)
		for h := range len(l.W) / (side * side) {
			w := l.W[h*side*side:][:side*side]
			squares, counts := make([]float64, size*size), make([]float64, size*size)
			var sum float64
			for i, v := range w {
				at := i/side*size/side*size + i%side*size/side
				squares[at] += float64(v) * float64(v)
				counts[at]++
				sum += float64(v) * float64(v)
			}
			for i := range squares {
				squares[i] = math.Sqrt(squares[i] / counts[i])
				largest = max(largest, squares[i])
			}
			values = append(values, squares)
			pictures = append(pictures, layerPicture{Layer: n, Head: h, Norm: math.Sqrt(sum), Size: size})
		}
	}
	for i, squares := range values {
		pictures[i].Pixels = make([]byte, len(squares))
		for j, v := range squares {
			if largest > 0 {
				pictures[i].Pixels[j] = byte(math.Round(255 * v / largest))
			}
		}
	}
	return pictures, nil
}
