package gpu_test

import (
	"testing"

	"bitgpu/gpu/gputest"
	"bitgpu/wgsl"
)

// Every kernel must compile with the compiler inside the binding too, at every workgroup size it may be tuned to.
func TestEveryKernelCompiles(t *testing.T) {
	d := gputest.Device(t)
	for _, k := range wgsl.All() {
		if k.Vertex != "" {
			continue // compiled for the format of a surface, see TestPresent
		}
		if k.Wide && len(k.Bindings)-1 > int(d.Limits().MaxStorageBuffersPerShaderStage) {
			continue
		}
		variants := []wgsl.Consts{nil}
		if _, ok := k.Consts["WORKGROUP"]; ok {
			for _, size := range []uint32{32, 64, 128, 256} {
				variants = append(variants, wgsl.Consts{"WORKGROUP": size})
			}
		}
		for _, consts := range variants {
			d.Pipeline(k, consts)
			if err := d.Flush(); err != nil {
				t.Errorf("with constants %v: %v", consts, err)
			}
		}
	}
}
