package gpu

import (
	"encoding/binary"
	"fmt"

	"bitgpu/wgsl"
)

// maxGroups is how many bind groups are kept before those unused for long are dropped: more than the decode loop of any model
// needs, but few enough to bound the memory of parameters that change in every step.
const maxGroups = 16384

// Binding is the part of a buffer that a kernel accesses.
type Binding struct {
	Buffer       *Buffer
	Offset, Size int // bytes
}

// group is a bind group with what it was made from.
type group struct {
	bind    groupID // 0 once dropped
	buffers []*Buffer
	params  *paramBlock
	key     string
	pins    int    // commands that hold it
	mark    uint64 // the eviction period that it was last used in
}

func (g *group) uses(b *Buffer) bool {
	for _, have := range g.buffers {
		if have == b {
			return true
		}
	}
	return false
}

// Command is a dispatch resolved in advance. It becomes invalid when one of its buffers is released.
type Command struct {
	pipeline *Pipeline
	group    *group
	x, y, z  uint32
}

// Prepare resolves a dispatch of x·y·z workgroups. params are bytes from Params, nil for a kernel without parameters;
// bindings has the kernel's other bindings in the order of the table. On failure the device keeps the error.
func (d *Device) Prepare(p *Pipeline, params []byte, bindings []Binding, x, y, z uint32) *Command {
	g := d.group(p, params, bindings)
	if g == nil {
		return &Command{pipeline: p}
	}
	g.pins++
	return &Command{p, g, x, y, z}
}

// Release lets the device drop what the command holds.
func (c *Command) Release() {
	if c.group != nil {
		c.group.pins--
		c.group = nil
	}
}

// Dispatch records a dispatch; its arguments are those of Prepare. A grid without workgroups does nothing.
func (d *Device) Dispatch(p *Pipeline, params []byte, bindings []Binding, x, y, z uint32) {
	if g := d.group(p, params, bindings); g != nil {
		d.record(p, g, x, y, z)
	}
}

// Record records a prepared dispatch.
func (d *Device) Record(c *Command) {
	switch {
	case d.err != nil:
	case c.group == nil || c.group.bind == 0:
		d.fail("kernel %s: recorded after the release of its command or of one of its buffers", c.pipeline.kernel.Name)
	default:
		d.record(c.pipeline, c.group, c.x, c.y, c.z)
	}
}

func (d *Device) record(p *Pipeline, g *group, x, y, z uint32) {
	if x == 0 || y == 0 || z == 0 {
		return
	}
	if most := d.info.Limits.MaxWorkgroupsPerDimension; x > most || y > most || z > most {
		d.fail("kernel %s: grid of %d × %d × %d workgroups, at most %d in a dimension", p.kernel.Name, x, y, z, most)
		return
	}
	if !d.openPass() {
		return
	}
	if d.passPipeline != p {
		d.driver.SetPipeline(p.compute)
		d.passPipeline = p
	}
	d.driver.Dispatch(g.bind, x, y, z)
	g.mark = d.sweep
	d.stats.Dispatches++
	if d.recorded++; d.recorded >= d.maxDispatches {
		d.Submit()
	}
}

// group returns the bind group for these arguments, from the cache if it has been used before.
func (d *Device) group(p *Pipeline, params []byte, bindings []Binding) *group {
	if d.err != nil {
		return nil
	}
	k := p.kernel
	if p.compute == 0 {
		d.fail("kernel %s: its pipeline was not compiled", k.Name)
		return nil
	}
	if len(params) != p.paramsSize || len(bindings) != len(p.storage) {
		panic(fmt.Sprintf("gpu: kernel %s: got %d bytes of parameters and %d bindings, want %d and %d",
			k.Name, len(params), len(bindings), p.paramsSize, len(p.storage)))
	}
	key := binary.LittleEndian.AppendUint32(d.groupKey[:0], p.id)
	key = append(key, params...)
	for _, b := range bindings {
		key = binary.LittleEndian.AppendUint64(key, b.Buffer.id)
		key = binary.LittleEndian.AppendUint64(key, uint64(b.Offset))
		key = binary.LittleEndian.AppendUint64(key, uint64(b.Size))
	}
	d.groupKey = key
	if g := d.groups[string(key)]; g != nil {
		return g
	}
	return d.newGroup(p, string(key), params, bindings)
}

func (d *Device) newGroup(p *Pipeline, key string, params []byte, bindings []Binding) *group {
	for i, b := range bindings {
		if !d.bindable(p.kernel, p.storage[i], b) {
			return nil
		}
		for j, other := range bindings[:i] {
			if !d.compatible(p.kernel, p.storage[j], p.storage[i], other, b) {
				return nil
			}
		}
	}
	if len(d.groups) >= maxGroups {
		d.evict()
	}
	g := &group{key: key, mark: d.sweep}
	var entries []entry
	if p.paramsSize > 0 {
		if g.params = d.params.get(params); g.params == nil {
			return nil
		}
		g.params.groups++
		entries = append(entries, entry{g.params.arena.handle, g.params.offset, uniformSize(len(params))})
	}
	for _, b := range bindings {
		entries = append(entries, entry{b.Buffer.handle, b.Buffer.base + b.Offset, b.Size})
		g.buffers = append(g.buffers, b.Buffer)
		b.Buffer.groups++
	}
	bind, err := d.driver.NewGroup(p.kernel.Name, p.compute, entries)
	if !d.check(err, "binding the buffers of kernel ", p.kernel.Name) {
		d.unlink(g)
		return nil
	}
	g.bind = bind
	d.groups[key] = g
	d.stats.BindGroups++
	return g
}

// bindable reports whether b fits the kernel's binding. If not, the device keeps an error.
func (d *Device) bindable(k *wgsl.Kernel, want wgsl.Binding, b Binding) bool {
	limits := d.info.Limits
	switch {
	case b.Buffer == nil:
		panic(fmt.Sprintf("gpu: kernel %s: nothing bound to %s", k.Name, want.Name))
	case b.Size <= 0:
		d.fail("kernel %s: binding %s to buffer %s: got %d bytes, want at least 4", k.Name, want.Name, b.Buffer.label, b.Size)
	case uint64(b.Size) > limits.MaxStorageBufferBindingSize:
		d.fail("kernel %s: binding %s to buffer %s: %d bytes, %s allows a kernel to see %d at once",
			k.Name, want.Name, b.Buffer.label, b.Size, d.info.Name, limits.MaxStorageBufferBindingSize)
	case b.Offset%int(limits.StorageOffsetAlignment) != 0:
		d.fail("kernel %s: binding %s to buffer %s: offset %d is no multiple of %d",
			k.Name, want.Name, b.Buffer.label, b.Offset, limits.StorageOffsetAlignment)
	default:
		return d.usable(b.Buffer, "binding "+want.Name+" of kernel "+k.Name, b.Offset, b.Size)
	}
	return false
}

// compatible reports whether two bindings can be in one dispatch. If not, the device keeps an error. WebGPU tracks the use of
// whole buffers and does not allow reading and writing the same one; nor may two written bindings overlap.
func (d *Device) compatible(k *wgsl.Kernel, wantA, wantB wgsl.Binding, a, b Binding) bool {
	if a.Buffer.handle != b.Buffer.handle {
		return true
	}
	startA, startB := a.Buffer.base+a.Offset, b.Buffer.base+b.Offset
	switch {
	case wantA.Access != wantB.Access:
		d.fail("kernel %s: buffer %s is bound to %s and to %s, to read and to write: WebGPU allows no buffer both in a dispatch",
			k.Name, b.Buffer.label, wantA.Name, wantB.Name)
	case wantA.Access == wgsl.ReadWrite && startA < startB+b.Size && startB < startA+a.Size:
		d.fail("kernel %s: %s and %s, which it writes, overlap in buffer %s (bytes %d to %d, %d to %d): WebGPU allows no such pair in a dispatch",
			k.Name, wantA.Name, wantB.Name, b.Buffer.label, startA, startA+a.Size, startB, startB+b.Size)
	default:
		return true
	}
	return false
}

// evict drops the groups not used since the last eviction or, if that frees too little, all that no command holds.
func (d *Device) evict() {
	d.Submit()
	before := len(d.groups)
	d.dropGroups(func(g *group) bool { return g.pins == 0 && g.mark != d.sweep })
	if len(d.groups) > maxGroups/2 {
		d.dropGroups(func(g *group) bool { return g.pins == 0 })
	}
	d.stats.Evictions += before - len(d.groups)
	d.sweep++
}

// dropGroups releases bind groups. No recorded command that has not been submitted may use them.
func (d *Device) dropGroups(drop func(*group) bool) {
	for key, g := range d.groups {
		if drop(g) {
			delete(d.groups, key)
			d.driver.ReleaseGroup(g.bind)
			g.bind = 0
			d.unlink(g)
		}
	}
}

func (d *Device) unlink(g *group) {
	for _, b := range g.buffers {
		b.groups--
	}
	if g.params != nil {
		d.params.drop(g.params)
	}
	g.buffers, g.params = nil, nil
}

// Grid folds n workgroups into x and y, each within WebGPU's limit of 65,535. x·y may exceed n by less than y, so the kernel
// counts with flat_group of shared/grid.wgsl and compares with its number of elements.
func Grid(n int) (x, y uint32) {
	const most = 65535
	if n <= 0 {
		return 0, 0
	}
	rows := (n + most - 1) / most
	if rows > most {
		panic(fmt.Sprintf("gpu: got a grid of %d workgroups, want at most %d", n, most*most))
	}
	return uint32((n + rows - 1) / rows), uint32(rows)
}
