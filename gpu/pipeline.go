package gpu

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rajveermalviya/go-webgpu/wgpu"

	"bitgpu/wgsl"
)

// Pipeline is a kernel compiled with its constants.
type Pipeline struct {
	d          *Device
	id         uint32
	kernel     *wgsl.Kernel
	paramsSize int // bytes, 0 without parameters
	storage    []wgsl.Binding
	layout     *wgpu.BindGroupLayout
	compute    *wgpu.ComputePipeline // nil if it could not be compiled
}

// Kernel is what the pipeline was compiled from.
func (p *Pipeline) Kernel() *wgsl.Kernel { return p.kernel }

// Pipeline compiles a kernel with constants in place of its defaults, or finds it compiled. If that fails the device
// has the error, which names the file and line, and the pipeline returned is not nil but good for nothing.
func (d *Device) Pipeline(k *wgsl.Kernel, consts wgsl.Consts) *Pipeline {
	key := pipelineKey{k, constsKey(consts)}
	if p := d.pipelines[key]; p != nil {
		return p
	}
	p := &Pipeline{d: d, id: uint32(len(d.pipelines)), kernel: k, storage: k.Bindings}
	if k.Params != nil {
		p.paramsSize = int(reflect.TypeOf(k.Params).Size())
		p.storage = k.Bindings[1:]
	}
	if d.err != nil {
		return p
	}
	if err := p.compile(consts); err != nil {
		d.Fail(err)
		p.release()
		p.compute = nil
		return p
	}
	d.stats.Pipelines++
	d.pipelines[key] = p
	return p
}

func constsKey(consts wgsl.Consts) string {
	if len(consts) == 0 {
		return ""
	}
	var key strings.Builder
	for _, name := range slices.Sorted(maps.Keys(consts)) {
		fmt.Fprintf(&key, "%s=%d,", name, consts[name])
	}
	return key.String()
}

func (p *Pipeline) compile(consts wgsl.Consts) error {
	d, k := p.d, p.kernel
	if n, most := len(p.storage), int(d.info.Limits.MaxStorageBuffersPerShaderStage); n > most {
		return fmt.Errorf("gpu: kernel %s binds %d storage buffers, %s allows %d", k.Name, n, d.info.Name, most)
	}
	source, err := k.Source(consts)
	if err != nil {
		return err
	}
	entries := make([]wgpu.BindGroupLayoutEntry, len(k.Bindings))
	for i, b := range k.Bindings {
		entries[i] = wgpu.BindGroupLayoutEntry{Binding: uint32(i), Visibility: wgpu.ShaderStage_Compute}
		switch b.Access {
		case wgsl.Uniform:
			entries[i].Buffer.Type = wgpu.BufferBindingType_Uniform
		case wgsl.Read:
			entries[i].Buffer.Type = wgpu.BufferBindingType_ReadOnlyStorage
		case wgsl.ReadWrite:
			entries[i].Buffer.Type = wgpu.BufferBindingType_Storage
		}
	}
	module, err := d.device.CreateShaderModule(&wgpu.ShaderModuleDescriptor{
		Label: k.Name, WGSLDescriptor: &wgpu.ShaderModuleWGSLDescriptor{Code: source},
	})
	if err != nil {
		return p.compileError(err)
	}
	defer module.Release()
	if p.layout, err = d.device.CreateBindGroupLayout(&wgpu.BindGroupLayoutDescriptor{Label: k.Name, Entries: entries}); err != nil {
		return p.compileError(err)
	}
	layout, err := d.device.CreatePipelineLayout(&wgpu.PipelineLayoutDescriptor{
		Label: k.Name, BindGroupLayouts: []*wgpu.BindGroupLayout{p.layout},
	})
	if err != nil {
		return p.compileError(err)
	}
	defer layout.Release()
	p.compute, err = d.device.CreateComputePipeline(&wgpu.ComputePipelineDescriptor{
		Label: k.Name, Layout: layout,
		Compute: wgpu.ProgrammableStageDescriptor{Module: module, EntryPoint: k.EntryPoint()},
	})
	if err != nil {
		return p.compileError(err)
	}
	if message := d.sink.take(); message != "" {
		return fmt.Errorf("gpu: kernel %s: %s", k.Name, sentence(message))
	}
	return nil
}

var sourceLine = regexp.MustCompile(`wgsl:(\d+):(\d+)`)

// compileError names the kernel and turns the compiler's line numbers into those of the files.
func (p *Pipeline) compileError(err error) error {
	message := sourceLine.ReplaceAllStringFunc(sentence(err.Error()), func(at string) string {
		m := sourceLine.FindStringSubmatch(at)
		line, _ := strconv.Atoi(m[1])
		file, line := p.kernel.Locate(line)
		return fmt.Sprintf("%s:%d:%s", file, line, m[2])
	})
	return fmt.Errorf("gpu: kernel %s does not compile: %s", p.kernel.Name, message)
}

func (p *Pipeline) release() {
	if p.layout != nil {
		p.layout.Release()
		p.layout = nil
	}
	if p.compute != nil {
		p.compute.Release()
		p.compute = nil
	}
}
