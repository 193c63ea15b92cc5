package gpu

import (
	"github.com/rajveermalviya/go-webgpu/wgpu"

	"bitgpu/wgsl"
)

// screen draws pictures that lie in buffers to textures of one format.
type screen struct {
	d        *Device
	format   wgpu.TextureFormat
	layout   *wgpu.BindGroupLayout
	pipeline *wgpu.RenderPipeline // nil if it could not be compiled
	params   *Buffer

	// What was drawn last, and how it is bound.
	picture *Buffer
	shown   wgsl.PresentParams
	bind    *wgpu.BindGroup
}

// newScreen compiles the kernel Present. If that fails the device has the error.
func (d *Device) newScreen(format wgpu.TextureFormat) *screen {
	s := &screen{d: d, format: format}
	s.params = d.newBuffer("screen", len(Params(&s.shown)), wgpu.BufferUsage_Uniform|wgpu.BufferUsage_CopyDst)
	if d.err == nil {
		d.check(s.compile(wgsl.Present), "compiling kernel "+wgsl.Present.Name)
	}
	return s
}

func (s *screen) compile(k *wgsl.Kernel) error {
	source, err := k.Source(nil)
	if err != nil {
		return err
	}
	device := s.d.device
	module, err := device.CreateShaderModule(&wgpu.ShaderModuleDescriptor{
		Label: k.Name, WGSLDescriptor: &wgpu.ShaderModuleWGSLDescriptor{Code: source},
	})
	if err != nil {
		return err
	}
	defer module.Release()
	s.layout, err = device.CreateBindGroupLayout(&wgpu.BindGroupLayoutDescriptor{Label: k.Name, Entries: []wgpu.BindGroupLayoutEntry{
		{Binding: 0, Visibility: wgpu.ShaderStage_Fragment, Buffer: wgpu.BufferBindingLayout{Type: wgpu.BufferBindingType_Uniform}},
		{Binding: 1, Visibility: wgpu.ShaderStage_Fragment, Buffer: wgpu.BufferBindingLayout{Type: wgpu.BufferBindingType_ReadOnlyStorage}},
	}})
	if err != nil {
		return err
	}
	layout, err := device.CreatePipelineLayout(&wgpu.PipelineLayoutDescriptor{
		Label: k.Name, BindGroupLayouts: []*wgpu.BindGroupLayout{s.layout},
	})
	if err != nil {
		return err
	}
	defer layout.Release()
	s.pipeline, err = device.CreateRenderPipeline(&wgpu.RenderPipelineDescriptor{
		Label: k.Name, Layout: layout,
		Vertex:      wgpu.VertexState{Module: module, EntryPoint: k.Vertex},
		Primitive:   wgpu.PrimitiveState{Topology: wgpu.PrimitiveTopology_TriangleList},
		Multisample: wgpu.MultisampleState{Count: 1, Mask: 0xffffffff},
		Fragment: &wgpu.FragmentState{
			Module: module, EntryPoint: k.EntryPoint(),
			Targets: []wgpu.ColorTargetState{{Format: s.format, WriteMask: wgpu.ColorWriteMask_All}},
		},
	})
	return err
}

// draw records drawing a picture to a texture.
func (s *screen) draw(to *wgpu.TextureView, picture *Buffer, params wgsl.PresentParams) {
	d := s.d
	if s.pipeline == nil || !s.bindPicture(picture, params) || !d.openCopies() {
		return
	}
	pass := d.encoder.BeginRenderPass(&wgpu.RenderPassDescriptor{Label: "screen", ColorAttachments: []wgpu.RenderPassColorAttachment{
		{View: to, LoadOp: wgpu.LoadOp_Clear, StoreOp: wgpu.StoreOp_Store},
	}})
	defer pass.Release()
	pass.SetPipeline(s.pipeline)
	pass.SetBindGroup(0, s.bind, nil)
	pass.Draw(3, 1, 0, 0)
	d.check(pass.End(), "drawing a picture")
}

// bindPicture makes the bind group, unless the last one was for the same.
func (s *screen) bindPicture(picture *Buffer, params wgsl.PresentParams) bool {
	d := s.d
	if s.shown != params {
		s.shown = params
		if d.Submit(); d.err == nil {
			d.write(s.params, 0, Params(&s.shown))
		}
	}
	if s.picture == picture && s.bind != nil {
		return d.err == nil
	}
	s.dropBinding()
	bind, err := d.device.CreateBindGroup(&wgpu.BindGroupDescriptor{Label: "screen", Layout: s.layout, Entries: []wgpu.BindGroupEntry{
		{Binding: 0, Buffer: s.params.handle, Size: uint64(s.params.size)},
		{Binding: 1, Buffer: picture.handle, Size: uint64(picture.size)},
	}})
	if !d.check(err, "binding a picture") {
		return false
	}
	s.picture, s.bind = picture, bind
	return true
}

func (s *screen) dropBinding() {
	if s.bind != nil {
		s.bind.Release()
		s.picture, s.bind = nil, nil
	}
}

func (s *screen) release() {
	s.dropBinding()
	s.params.Release()
	if s.pipeline != nil {
		s.pipeline.Release()
		s.pipeline = nil
	}
	if s.layout != nil {
		s.layout.Release()
		s.layout = nil
	}
}
