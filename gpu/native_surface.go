//go:build cgo && (darwin || ((amd64 || (arm64 && wgpu22)) && (linux || windows)))

package gpu

import (
	"errors"
	"fmt"
	"slices"

	"bitgpu/gpu/internal/wgpu"

	"bitgpu/wgsl"
)

// nativeSurface shows pictures in a window of the system.
type nativeSurface struct {
	*nativeDevice
	surface *wgpu.Surface
	format  wgpu.TextureFormat
	chain   chain
	view    *wgpu.TextureView // between Acquire and Present, else nil
}

func (d *nativeDevice) NewSurface(w Window) (driverSurface, error) {
	var descriptor wgpu.SurfaceDescriptor
	switch {
	case w.XDisplay != nil:
		descriptor.XlibWindow = &wgpu.SurfaceDescriptorFromXlibWindow{Display: w.XDisplay, Window: w.XWindow}
	case w.HWND != nil:
		descriptor.WindowsHWND = &wgpu.SurfaceDescriptorFromWindowsHWND{Hinstance: w.Instance, Hwnd: w.HWND}
	default:
		return nil, errors.New("got no window")
	}
	s := &nativeSurface{nativeDevice: d, surface: d.instance.CreateSurface(&descriptor)}
	// Pictures are shown byte for byte, so formats that convert them are left out.
	formats := s.surface.GetCapabilities(d.adapter).Formats
	plain := slices.IndexFunc(formats, func(f wgpu.TextureFormat) bool {
		return f == wgpu.TextureFormat_BGRA8Unorm || f == wgpu.TextureFormat_RGBA8Unorm
	})
	if plain < 0 {
		s.Release()
		return nil, fmt.Errorf("the adapter cannot show pictures in this window; it offers the formats %v", formats)
	}
	s.format = formats[plain]
	return s, nil
}

func (s *nativeSurface) NewPipeline(label, text, vertex, entryPoint string) (pipelineID, error) {
	return s.newPipeline(label, text, []wgsl.Access{wgsl.Uniform, wgsl.Read}, wgpu.ShaderStage_Fragment,
		func(p *nativePipeline, module *wgpu.ShaderModule, layout *wgpu.PipelineLayout) (err error) {
			p.render, err = s.device.CreateRenderPipeline(&wgpu.RenderPipelineDescriptor{
				Label: label, Layout: layout,
				Vertex:      wgpu.VertexState{Module: module, EntryPoint: vertex},
				Primitive:   wgpu.PrimitiveState{Topology: wgpu.PrimitiveTopology_TriangleList},
				Multisample: wgpu.MultisampleState{Count: 1, Mask: 0xffffffff},
				Fragment: &wgpu.FragmentState{
					Module: module, EntryPoint: entryPoint,
					Targets: []wgpu.ColorTargetState{{Format: s.format, WriteMask: wgpu.ColorWriteMask_All}},
				},
			})
			return err
		})
}

func (s *nativeSurface) Resize(across, down int) (err error) {
	s.chain, err = s.newChain(across, down)
	if err := s.made(err); err != nil {
		s.Drop()
		return err
	}
	return nil
}

func (s *nativeSurface) Acquire() bool {
	view, err := s.chain.next()
	if err != nil || handle(view) == nil {
		s.sink.take()
		return false
	}
	s.view = view
	return true
}

func (s *nativeSurface) Draw(p pipelineID, g groupID) error {
	pass := s.encoder.BeginRenderPass(&wgpu.RenderPassDescriptor{Label: "screen", ColorAttachments: []wgpu.RenderPassColorAttachment{
		{View: s.view, LoadOp: wgpu.LoadOp_Clear, StoreOp: wgpu.StoreOp_Store},
	}})
	defer pass.Release()
	pass.SetPipeline(s.pipelines.at(p).render)
	pass.SetBindGroup(0, s.groups.at(g), nil)
	pass.Draw(3, 1, 0, 0)
	return failed(pass.End())
}

func (s *nativeSurface) Present(show bool) {
	s.chain.present(show)
	s.view.Release()
	s.view = nil
}

func (s *nativeSurface) Drop() {
	s.chain.release()
	s.chain = chain{}
}

func (s *nativeSurface) Release() {
	s.Drop()
	if s.surface != nil { // otherwise the pictures belong to a test
		s.surface.Release()
	}
}
