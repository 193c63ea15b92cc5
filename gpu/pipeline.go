package gpu

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"bitgpu/wgsl"
)

// Pipeline is a kernel compiled with its constants.
type Pipeline struct {
	d          *Device
	id         uint32
	kernel     *wgsl.Kernel
	paramsSize int // bytes, 0 without parameters
	storage    []wgsl.Binding
	compute    pipelineID // 0 if it could not be compiled
}

// Kernel returns what the pipeline was compiled from.
func (p *Pipeline) Kernel() *wgsl.Kernel { return p.kernel }

// Pipeline compiles a kernel with constants that replace its defaults, or returns the pipeline compiled before. On failure
// the device keeps the error, which names file and line, and the pipeline returned is not nil but must not be used.
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
	access := make([]wgsl.Access, len(k.Bindings))
	for i, b := range k.Bindings {
		access[i] = b.Access
	}
	if p.compute, err = d.driver.NewPipeline(k.Name, source, k.EntryPoint(), access); err != nil {
		return p.compileError(err)
	}
	return nil
}

var sourceLine = regexp.MustCompile(`wgsl:(\d+):(\d+)`)

// compileError names the kernel and converts the compiler's line numbers to those of the files.
func (p *Pipeline) compileError(err error) error {
	message := sourceLine.ReplaceAllStringFunc(err.Error(), func(at string) string {
		m := sourceLine.FindStringSubmatch(at)
		line, _ := strconv.Atoi(m[1])
		file, line := p.kernel.Locate(line)
		return fmt.Sprintf("%s:%d:%s", file, line, m[2])
	})
	return fmt.Errorf("gpu: kernel %s does not compile: %s", p.kernel.Name, message)
}
