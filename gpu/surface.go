package gpu

import (
	"slices"
	"unsafe"

	"github.com/rajveermalviya/go-webgpu/wgpu"

	"bitgpu/wgsl"
)

// Window is a window of the system: one of its groups of fields is set.
type Window struct {
	XDisplay unsafe.Pointer // X11: Display *
	XWindow  uint32

	Instance, HWND unsafe.Pointer // Windows
}

// maxMissed pictures in a row may find the window changed or hidden; more than that is an error.
const maxMissed = 100

// Surface shows pictures in a window. It belongs to a device, and its errors are the device's.
type Surface struct {
	d            *Device
	surface      *wgpu.Surface // nil where there is none
	chain        *wgpu.SwapChain
	across, down int // pixels of the chain's pictures
	screen       *screen
	missed       int // pictures in a row that the window did not take
}

// NewSurface makes the surface of a window. If that fails, as where the adapter has no way to the window's screen, the
// device has the error.
func (d *Device) NewSurface(w Window) *Surface {
	s := &Surface{d: d}
	if d.err != nil {
		return s
	}
	var descriptor wgpu.SurfaceDescriptor
	switch {
	case w.XDisplay != nil:
		descriptor.XlibWindow = &wgpu.SurfaceDescriptorFromXlibWindow{Display: w.XDisplay, Window: w.XWindow}
	case w.HWND != nil:
		descriptor.WindowsHWND = &wgpu.SurfaceDescriptorFromWindowsHWND{Hinstance: w.Instance, Hwnd: w.HWND}
	default:
		d.fail("surface: a window wanted, none found")
		return s
	}
	s.surface = d.host.instance.CreateSurface(&descriptor)
	// The bytes of a picture are shown as they are, so a format that would convert them is not wanted.
	formats := s.surface.GetCapabilities(d.adapter).Formats
	plain := slices.IndexFunc(formats, func(f wgpu.TextureFormat) bool {
		return f == wgpu.TextureFormat_BGRA8Unorm || f == wgpu.TextureFormat_RGBA8Unorm
	})
	if plain < 0 {
		d.fail("surface: %s cannot show pictures in this window; it offers the formats %v", d.info.Name, formats)
		return s
	}
	s.screen = d.newScreen(formats[plain])
	return s
}

// Show shows a picture, rows of width × height pixels of 4 bytes (red, green, blue, alpha), in a window of across × down
// pixels, as large as fits. It submits what is recorded, and waits where the screen is slower.
func (s *Surface) Show(picture *Buffer, width, height, across, down int) {
	d := s.d
	if s.screen == nil || across <= 0 || down <= 0 || !d.usable(picture, "showing", 0, 4*width*height) {
		return
	}
	if s.across != across || s.down != down {
		s.dropChain()
	}
	if s.chain == nil && !s.newChain(across, down) {
		return
	}
	view, err := s.chain.GetCurrentTextureView()
	if err != nil || handle(view) == nil {
		// The window has changed since; the next picture gets a new chain.
		d.sink.take()
		s.dropChain()
		if s.missed++; s.missed > maxMissed {
			d.fail("surface: the window takes no pictures")
		}
		return
	}
	defer view.Release()
	s.missed = 0
	s.screen.draw(view, picture, wgsl.PresentParams{
		Width: uint32(width), Height: uint32(height), Across: uint32(across), Down: uint32(down),
	})
	if d.Submit(); d.err == nil {
		s.chain.Present()
		d.check(nil, "showing a picture")
	}
}

func (s *Surface) newChain(across, down int) bool {
	d := s.d
	chain, err := d.device.CreateSwapChain(s.surface, &wgpu.SwapChainDescriptor{
		Usage: wgpu.TextureUsage_RenderAttachment, Format: s.screen.format, Width: uint32(across), Height: uint32(down),
		PresentMode: wgpu.PresentMode_Fifo, AlphaMode: wgpu.CompositeAlphaMode_Auto,
	})
	if !d.check(err, "making pictures for a window") {
		return false
	}
	s.chain, s.across, s.down = chain, across, down
	return true
}

func (s *Surface) dropChain() {
	if s.chain != nil {
		s.d.Submit()
		s.d.wait()
		s.chain.Release()
		s.chain = nil
	}
}

// Release ends the surface; it must come before the end of its window and of its device. Releasing twice does nothing.
func (s *Surface) Release() {
	if s.surface == nil {
		return
	}
	s.dropChain()
	if s.screen != nil {
		s.screen.release()
		s.screen = nil
	}
	s.surface.Release()
	s.surface = nil
}
