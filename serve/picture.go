package serve

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"net/http"

	"bitgpu"
)

// Sizes of a picture, in pixels.
const (
	largestTile = 128  // a side of one matrix; in larger ones each pixel stands for the largest of several numbers
	mostTiles   = 1024 // drawn; there may be more
	tileGap     = 4
)

// memoryPicture draws what a memory has learned: a row of matrices for each layer, one for each head; blue below 0 and red
// above, the brighter the larger the number is relative to its layer.
func (s *Server) memoryPicture(c *call) error {
	if s.model.Config().Decoder != nil {
		return &apiError{status: http.StatusUnprocessableEntity, code: "no_picture", message: "the model has keys and values, and no matrix that learns"}
	}
	session, err := s.store.read(c.owner, c.r.PathValue("id"))
	if err != nil {
		return err
	}
	defer session.Close()
	layers, err := session.Memory()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture(layers)); err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "image/png")
	c.w.Header().Set("Cache-Control", "no-cache")
	return c.give(b.Bytes())
}

// picture draws the matrices of layers, (d, d) or (heads, c, c) each.
func picture(layers []bitgpu.LayerMemory) image.Image {
	shape := layers[0].Shape
	side, heads := shape[len(shape)-1], 1
	if len(shape) == 3 {
		heads = shape[0]
	}
	columns := heads
	if heads == 1 { // a square of layers
		columns = int(math.Ceil(math.Sqrt(float64(len(layers)))))
	}
	layers = layers[:min(len(layers), max(mostTiles/heads, 1))]
	step := (side + largestTile - 1) / largestTile
	tile := (side + step - 1) / step
	rows := (len(layers)*heads + columns - 1) / columns
	p := image.NewRGBA(image.Rect(0, 0, columns*(tile+tileGap)-tileGap, rows*(tile+tileGap)-tileGap))
	for i, l := range layers {
		most := float32(0)
		for _, x := range l.W {
			most = max(most, x, -x)
		}
		for head := range heads {
			n := i*heads + head
			at := image.Pt(n%columns*(tile+tileGap), n/columns*(tile+tileGap))
			matrix := l.W[head*side*side : (head+1)*side*side]
			for y := range tile {
				for x := range tile {
					p.SetRGBA(at.X+x, at.Y+y, heat(largest(matrix, side, x*step, y*step, step), most))
				}
			}
		}
	}
	return p
}

// largest returns the number of largest magnitude in a square of a matrix.
func largest(matrix []float32, side, x0, y0, step int) (found float32) {
	for y := y0; y < min(y0+step, side); y++ {
		for x := x0; x < min(x0+step, side); x++ {
			if v := matrix[y*side+x]; v*v > found*found {
				found = v
			}
		}
	}
	return found
}

// heat returns the colour of a number among those up to most; the square root makes small ones visible.
func heat(x, most float32) color.RGBA {
	if most == 0 {
		return color.RGBA{255, 255, 255, 255}
	}
	rest := uint8(255 * (1 - math.Sqrt(math.Abs(float64(x/most)))))
	if x < 0 {
		return color.RGBA{rest, rest, 255, 255}
	}
	return color.RGBA{255, rest, rest, 255}
}
