package gpu

import "fmt"

const (
	paramSize  = 256      // largest parameter block, and the largest offset alignment that WebGPU lets a device require
	paramArena = 64 << 10 // bytes per uniform buffer
)

// paramStore keeps parameter blocks by content in slots of uniform buffers.
type paramStore struct {
	d      *Device
	blocks map[string]*paramBlock
	free   []*paramBlock
}

type paramBlock struct {
	arena   *Buffer
	offset  int
	content string
	groups  int // bind groups that use it
}

func (s *paramStore) init(d *Device) { s.d, s.blocks = d, map[string]*paramBlock{} }

// get returns the block with this content, writing it first if necessary, or nil if the device has an error. The caller adds
// itself to groups. No recorded dispatch can use a slot that is written here: a slot becomes free only after its dispatches
// were submitted.
func (s *paramStore) get(content []byte) *paramBlock {
	if p := s.blocks[string(content)]; p != nil {
		return p
	}
	if len(content) > paramSize {
		panic(fmt.Sprintf("gpu: got parameters of %d bytes, want at most %d", len(content), paramSize))
	}
	if len(s.free) == 0 {
		arena := s.d.newBuffer("parameters", paramArena, forUniform)
		if arena.handle == 0 {
			return nil
		}
		for offset := paramArena - paramSize; offset >= 0; offset -= paramSize {
			s.free = append(s.free, &paramBlock{arena: arena, offset: offset})
		}
	}
	p := s.free[len(s.free)-1]
	padded := make([]byte, uniformSize(len(content)))
	copy(padded, content)
	if s.d.write(p.arena, p.offset, padded); s.d.err != nil {
		return nil
	}
	s.d.stats.ParamWrites++
	s.free = s.free[:len(s.free)-1]
	p.content = string(content)
	s.blocks[p.content] = p
	return p
}

// drop removes one bind group from the count.
func (s *paramStore) drop(p *paramBlock) {
	if p.groups--; p.groups == 0 {
		delete(s.blocks, p.content)
		s.free = append(s.free, p)
	}
}

// uniformSize is the size of a block of n bytes: D3D12 and Metal count uniforms in units of 16 bytes.
func uniformSize(n int) int { return (n + 15) &^ 15 }
