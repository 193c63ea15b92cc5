package gpu

import (
	"unsafe"

	"bitgpu/wgsl"
)

// Window is a window of the system, with one of the groups of fields set.
type Window struct {
	XDisplay unsafe.Pointer // X11: Display *
	XWindow  uint32

	Instance, HWND unsafe.Pointer // Windows
}

// maxMissed pictures in a row may find the window changed or hidden; more are an error.
const maxMissed = 100

// Surface shows pictures in a window. It belongs to a device, which keeps its errors.
type Surface struct {
	d            *Device
	driver       driverSurface // nil without a driver
	across, down int           // pixels of the window's pictures, 0 if there are none
	missed       int           // pictures in a row that the window did not accept

	pipeline pipelineID // of the kernel Present, 0 if it could not be compiled
	params   *Buffer

	// The last picture drawn, and its bindings.
	picture *Buffer
	shown   wgsl.PresentParams
	bind    groupID
}

// NewSurface makes the surface of a window. On failure, for example if the adapter cannot present to the window's screen, the
// device keeps the error.
func (d *Device) NewSurface(w Window) *Surface {
	if d.err != nil {
		return &Surface{d: d}
	}
	windows, ok := d.driver.(windowed)
	if !ok {
		d.fail("surface: there are no windows here")
		return &Surface{d: d}
	}
	surface, err := windows.NewSurface(w)
	if !d.check(err, "surface") {
		return &Surface{d: d}
	}
	return d.newSurface(surface)
}

func (d *Device) newSurface(driver driverSurface) *Surface {
	s := &Surface{d: d, driver: driver}
	s.params = d.newBuffer("screen", len(Params(&s.shown)), forUniform)
	k := wgsl.Present
	source, err := k.Source(nil)
	if err == nil && d.err == nil {
		s.pipeline, err = driver.NewPipeline(k.Name, source, k.Vertex, k.EntryPoint())
	}
	d.check(err, "compiling kernel ", k.Name)
	return s
}

// Show shows a picture, rows of width × height pixels of 4 bytes (red, green, blue, alpha), as large as fits in a window of
// across × down pixels. It submits what is recorded, and waits if the screen is slower.
func (s *Surface) Show(picture *Buffer, width, height, across, down int) {
	d := s.d
	if s.pipeline == 0 || across <= 0 || down <= 0 || !d.usable(picture, "showing", 0, 4*width*height) {
		return
	}
	if s.across != across || s.down != down {
		s.drop()
		if !d.check(s.driver.Resize(across, down), "making pictures for a window") {
			return
		}
		s.across, s.down = across, down
	}
	if !s.driver.Acquire() {
		// The window has changed; make new pictures for the next one.
		s.drop()
		if s.missed++; s.missed > maxMissed {
			d.fail("surface: the window takes no pictures")
		}
		return
	}
	s.missed = 0
	s.draw(picture, wgsl.PresentParams{Width: uint32(width), Height: uint32(height), Across: uint32(across), Down: uint32(down)})
	d.Submit()
	s.driver.Present(d.err == nil)
	d.check(nil, "showing a picture")
}

// draw records drawing a picture onto the one that the window provided.
func (s *Surface) draw(picture *Buffer, params wgsl.PresentParams) {
	if d := s.d; s.bindPicture(picture, params) && d.openCopies() {
		d.check(s.driver.Draw(s.pipeline, s.bind), "drawing a picture")
	}
}

// bindPicture makes the bind group, unless the last one was for the same picture.
func (s *Surface) bindPicture(picture *Buffer, params wgsl.PresentParams) bool {
	d := s.d
	if s.shown != params {
		s.shown = params
		if d.Submit(); d.err == nil {
			d.write(s.params, 0, Params(&s.shown))
		}
	}
	if s.picture == picture && s.bind != 0 {
		return d.err == nil
	}
	s.unbind()
	bind, err := d.driver.NewGroup("screen", s.pipeline, []entry{{s.params.handle, 0, s.params.size}, {picture.handle, 0, picture.size}})
	if !d.check(err, "binding a picture") {
		return false
	}
	s.picture, s.bind = picture, bind
	return true
}

func (s *Surface) unbind() {
	if s.bind != 0 {
		s.d.driver.ReleaseGroup(s.bind)
		s.picture, s.bind = nil, 0
	}
}

// drop releases the window's textures.
func (s *Surface) drop() {
	if s.across > 0 {
		s.d.Submit()
		s.d.wait()
		s.driver.Drop()
		s.across, s.down = 0, 0
	}
}

// Release frees the surface. It must be called before the window and the device are closed. Releasing twice does nothing.
func (s *Surface) Release() {
	if s.driver == nil {
		return
	}
	s.drop()
	s.unbind()
	s.params.Release()
	if s.pipeline != 0 {
		s.d.driver.ReleasePipeline(s.pipeline)
		s.pipeline = 0
	}
	s.driver.Release()
	s.driver = nil
}
