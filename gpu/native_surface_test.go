//go:build cgo && (darwin || ((amd64 || (arm64 && wgpu22)) && (linux || windows)))

package gpu

import (
	"os"
	"testing"

	"bitgpu/gpu/internal/wgpu"

	"bitgpu/wgsl"
)

// What a window shows is the picture, pixel by pixel, as large as fits and in the middle, with the background around it.
func TestPresent(t *testing.T) {
	d, err := Open(Options{Adapter: "software"})
	if err != nil {
		if os.Getenv("BITGPU_REQUIRE_GPU") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	defer d.Close()
	const width, height = 16, 8
	pixels := make([]uint32, width*height)
	for i := range pixels {
		pixels[i] = uint32(i*7%256) | uint32(i*31%256)<<8 | uint32(i)<<16 | 0xff<<24
	}
	picture := d.NewBuffer("picture", 4*len(pixels))
	d.Write(picture, 0, Bytes(pixels))
	n := d.driver.(*nativeDevice)
	s := d.newSurface(&nativeSurface{nativeDevice: n, format: wgpu.TextureFormat_RGBA8Unorm})
	defer s.Release()
	for _, c := range []struct{ across, down, scale, left, top int }{
		{width, height, 1, 0, 0},
		{64, 32, 4, 0, 0},
		{64, 24, 3, 8, 0},
		{32, 20, 2, 0, 2},
	} {
		got := drawn(t, s, picture, wgsl.PresentParams{Width: width, Height: height, Across: uint32(c.across), Down: uint32(c.down)})
		for y := range c.down {
			for x := range c.across {
				want := pixels[0]
				if i, j := (x-c.left)/c.scale, (y-c.top)/c.scale; x >= c.left && y >= c.top && i < width && j < height {
					want = pixels[j*width+i]
				}
				if got[y*64+x] != want {
					t.Fatalf("%d × %d: pixel %d, %d: got %#x, want %#x", c.across, c.down, x, y, got[y*64+x], want)
				}
			}
		}
	}
}

// drawn draws to a texture and reads it, rows of 64 pixels.
func drawn(t *testing.T, s *Surface, picture *Buffer, params wgsl.PresentParams) []uint32 {
	t.Helper()
	d := s.d
	size := wgpu.Extent3D{Width: params.Across, Height: params.Down, DepthOrArrayLayers: 1}
	to := s.driver.(*nativeSurface)
	texture, err := to.device.CreateTexture(&wgpu.TextureDescriptor{
		Usage: wgpu.TextureUsage_RenderAttachment | wgpu.TextureUsage_CopySrc, Dimension: wgpu.TextureDimension_2D, Size: size,
		Format: to.format, MipLevelCount: 1, SampleCount: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer texture.Release()
	view, err := texture.CreateView(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer view.Release()
	to.view = view
	s.draw(picture, params)
	const row = 4 * 64 // bytes, the least that a copy may have
	out := d.NewBuffer("out", row*int(params.Down))
	defer out.Release()
	if d.openCopies() {
		into := &wgpu.ImageCopyBuffer{Buffer: to.buffers.at(out.handle), Layout: wgpu.TextureDataLayout{BytesPerRow: row, RowsPerImage: params.Down}}
		d.check(to.encoder.CopyTextureToBuffer(texture.AsImageCopy(), into, &size), "copying a texture")
	}
	pixels := make([]uint32, 64*params.Down)
	if err := d.DownloadLater(out, 0, 4*len(pixels)).Wait(Bytes(pixels)); err != nil {
		t.Fatal(err)
	}
	return pixels
}

func TestSurfaceRefuses(t *testing.T) {
	d, err := Open(Options{Adapter: "software"})
	if err != nil {
		t.Skip(err)
	}
	defer d.Close()
	s := d.NewSurface(Window{})
	s.Show(d.NewBuffer("picture", 4), 1, 1, 1, 1)
	s.Release()
	if err := d.Flush(); err == nil || err.Error() != "gpu: surface: got no window" {
		t.Error(err)
	}
}
