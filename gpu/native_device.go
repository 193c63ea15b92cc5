//go:build cgo && (darwin || ((amd64 || (arm64 && wgpu22)) && (linux || windows)))

package gpu

import (
	"errors"
	"regexp"
	"strings"

	"bitgpu/gpu/internal/wgpu"

	"bitgpu/wgsl"
)

// nativeDevice is a device of wgpu-native.
type nativeDevice struct {
	*native
	adapter *wgpu.Adapter
	device  *wgpu.Device
	queue   *wgpu.Queue
	sink    errorSink

	buffers   table[bufferID, *wgpu.Buffer]
	pipelines table[pipelineID, nativePipeline]
	groups    table[groupID, *wgpu.BindGroup]
	events    table[eventID, ending]
	queries   *wgpu.QuerySet // nil without timestamps

	encoder  *wgpu.CommandEncoder
	pass     *wgpu.ComputePassEncoder
	commands *wgpu.CommandBuffer // finished but not sent; or nil
}

// nativePipeline is a pipeline of either kind.
type nativePipeline struct {
	layout  *wgpu.BindGroupLayout
	compute *wgpu.ComputePipeline
	render  *wgpu.RenderPipeline
}

// outOfMemory matches the messages of wgpu-native 0.17 and 22. The kind of error is no help: for most calls it is
// "validation".
var outOfMemory = regexp.MustCompile(`Not enough memory left|^Out of Memory`)

var (
	space = regexp.MustCompile(`\s+`)
	// preface matches what comes before the message in the reports of version 22 and in the binding's errors.
	preface = regexp.MustCompile("^(wgpu\\S+: )?(In wgpu\\w+ (note: label = `[^`]*` )?)?")
)

// oneLine makes one line of wgpu-native's report, which spreads over many.
func oneLine(message string) error {
	if outOfMemory.MatchString(message) {
		return ErrOutOfMemory
	}
	if _, cause, ok := strings.Cut(message, "Caused by:"); ok {
		message = cause
	}
	return errors.New(preface.ReplaceAllString(strings.TrimSpace(space.ReplaceAllString(message, " ")), ""))
}

// failed is an error of the binding.
func failed(err error) error {
	if err == nil {
		return nil
	}
	return oneLine(err.Error())
}

func (d *nativeDevice) Late() error {
	if message := d.sink.take(); message != "" {
		return oneLine(message)
	}
	return nil
}

// made is the error of making something, which the binding or only the sink knows.
func (d *nativeDevice) made(err error) error {
	late := d.Late()
	if err != nil {
		return failed(err)
	}
	return late
}

var bufferUsages = [...]wgpu.BufferUsage{
	forStorage:  wgpu.BufferUsage_Storage | wgpu.BufferUsage_CopySrc | wgpu.BufferUsage_CopyDst,
	forUniform:  wgpu.BufferUsage_Uniform | wgpu.BufferUsage_CopyDst,
	forReadback: wgpu.BufferUsage_MapRead | wgpu.BufferUsage_CopyDst,
	forQueries:  wgpu.BufferUsage_QueryResolve | wgpu.BufferUsage_CopySrc,
}

func (d *nativeDevice) NewBuffer(label string, size int, u usage) (bufferID, error) {
	b, err := d.device.CreateBuffer(&wgpu.BufferDescriptor{Label: label, Usage: bufferUsages[u], Size: uint64(size)})
	if err := d.made(err); err != nil {
		if b != nil {
			b.Release()
		}
		return 0, err
	}
	return d.buffers.add(b), nil
}

func (d *nativeDevice) ReleaseBuffer(b bufferID) { d.buffers.remove(b).Release() }

func (d *nativeDevice) Write(b bufferID, offset int, data []byte) error {
	return failed(d.queue.WriteBuffer(d.buffers.at(b), uint64(offset), data))
}

var bindingTypes = map[wgsl.Access]wgpu.BufferBindingType{
	wgsl.Uniform:   wgpu.BufferBindingType_Uniform,
	wgsl.Read:      wgpu.BufferBindingType_ReadOnlyStorage,
	wgsl.ReadWrite: wgpu.BufferBindingType_Storage,
}

func (d *nativeDevice) NewPipeline(label, text, entryPoint string, access []wgsl.Access) (pipelineID, error) {
	return d.newPipeline(label, text, access, wgpu.ShaderStage_Compute,
		func(p *nativePipeline, module *wgpu.ShaderModule, layout *wgpu.PipelineLayout) (err error) {
			p.compute, err = d.device.CreateComputePipeline(&wgpu.ComputePipelineDescriptor{
				Label: label, Layout: layout, Compute: wgpu.ProgrammableStageDescriptor{Module: module, EntryPoint: entryPoint},
			})
			return err
		})
}

// newPipeline makes what pipelines of both kinds have, and the rest by finish.
func (d *nativeDevice) newPipeline(label, text string, access []wgsl.Access, stage wgpu.ShaderStage,
	finish func(*nativePipeline, *wgpu.ShaderModule, *wgpu.PipelineLayout) error) (id pipelineID, err error) {
	entries := make([]wgpu.BindGroupLayoutEntry, len(access))
	for i, a := range access {
		entries[i] = wgpu.BindGroupLayoutEntry{
			Binding: uint32(i), Visibility: stage, Buffer: wgpu.BufferBindingLayout{Type: bindingTypes[a]},
		}
	}
	var p nativePipeline
	defer func() {
		if err = d.made(err); err != nil {
			p.release()
			return
		}
		id = d.pipelines.add(p)
	}()
	module, err := d.device.CreateShaderModule(&wgpu.ShaderModuleDescriptor{
		Label: label, WGSLDescriptor: &wgpu.ShaderModuleWGSLDescriptor{Code: text},
	})
	if err != nil {
		return 0, err
	}
	defer module.Release()
	if p.layout, err = d.device.CreateBindGroupLayout(&wgpu.BindGroupLayoutDescriptor{Label: label, Entries: entries}); err != nil {
		return 0, err
	}
	layout, err := d.device.CreatePipelineLayout(&wgpu.PipelineLayoutDescriptor{
		Label: label, BindGroupLayouts: []*wgpu.BindGroupLayout{p.layout},
	})
	if err != nil {
		return 0, err
	}
	defer layout.Release()
	return 0, finish(&p, module, layout)
}

func (p nativePipeline) release() {
	if p.layout != nil {
		p.layout.Release()
	}
	if p.compute != nil {
		p.compute.Release()
	}
	if p.render != nil {
		p.render.Release()
	}
}

func (d *nativeDevice) ReleasePipeline(p pipelineID) { d.pipelines.remove(p).release() }

func (d *nativeDevice) NewGroup(label string, p pipelineID, entries []entry) (groupID, error) {
	list := make([]wgpu.BindGroupEntry, len(entries))
	for i, e := range entries {
		list[i] = wgpu.BindGroupEntry{Binding: uint32(i), Buffer: d.buffers.at(e.buffer), Offset: uint64(e.offset), Size: uint64(e.size)}
	}
	g, err := d.device.CreateBindGroup(&wgpu.BindGroupDescriptor{Label: label, Layout: d.pipelines.at(p).layout, Entries: list})
	if err := d.made(err); err != nil {
		if g != nil {
			g.Release()
		}
		return 0, err
	}
	return d.groups.add(g), nil
}

func (d *nativeDevice) ReleaseGroup(g groupID) { d.groups.remove(g).Release() }

func (d *nativeDevice) NewTimestamps() (err error) {
	d.queries, err = d.device.CreateQuerySet(&wgpu.QuerySetDescriptor{Label: "timer", Type: wgpu.QueryType_Timestamp, Count: 2})
	return d.made(err)
}

func (d *nativeDevice) Release() {
	if d.queries != nil {
		d.queries.Release()
	}
	d.queue.Release()
	d.device.Release()
}

func (n *native) Open(adapter int) (driverDevice, error) {
	a := n.adapters[adapter]
	device, sink, err := openDevice(a)
	if err != nil {
		return nil, err
	}
	n.sink = sink
	return &nativeDevice{native: n, adapter: a, device: device, queue: device.GetQueue(), sink: sink}, nil
}
