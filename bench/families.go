package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"bitgpu/bench/family"
	"bitgpu/io/ggml"
	"bitgpu/nn"
)

// FamilySpeed is the speed of a model of a public family, with random weights.
type FamilySpeed struct {
	Engine     string  `json:"engine"`
	Key        string  `json:"key"`
	Seconds    Sample  `json:"seconds"`               // a token, of all sequences together
	Bytes      int64   `json:"bytes"`                 // a token, that have to be moved
	FLOPs      int64   `json:"flops"`                 // a token, that have to be computed
	Floor      float64 `json:"floor"`                 // seconds a token
	Bound      string  `json:"bound"`                 // what the floor comes from
	Dispatches float64 `json:"dispatches"`            // a step: a token of every sequence, or a prompt
	Submits    float64 `json:"submits"`               // a step
	Position   int64   `json:"position"`              // tokens of a sequence that lay in the memory before
	Weights    int64   `json:"weights"`               // bytes of the parameters
	Cache      int64   `json:"cache"`                 // bytes that a token of a sequence adds to the memory: keys and values
	Memory     int64   `json:"memory"`                // bytes of all tensors; a cache counts with the room that it has
	Resident   int64   `json:"resident,omitempty"`    // bytes of the whole program that lie in memory, where the system says it
	Sequences  int     `json:"sequences"`             // at once
	PerSession int64   `json:"state,omitempty"`       // bytes of a sequence's state that do not grow
	FirstOf    string  `json:"compared_to,omitempty"` // the row that this one is a multiple of
}

// PerSecond is tokens a second.
func (m FamilySpeed) PerSecond() Sample { return m.Seconds.per(1) }

// familyRow is a row to be measured.
type familyRow struct {
	key      string
	batch    int
	time     int    // tokens that one repetition reads or writes, of each sequence
	prompt   bool   // it reads
	learn    bool   // it takes a step of an adapter
	position int    // tokens that are in the memory before
	firstOf  string // the row that it is compared to
}

// familyRows returns the rows of a family.
func (e preset) familyRows(m family.Family) []familyRow {
	key := func(kind, which string) string { return "family/" + m.Name + "/" + kind + "/" + which }
	rows := []familyRow{{key: key("prompt", "b1"), batch: 1, time: e.familyPrompt, prompt: true}}
	for i, b := range e.familyBatches {
		row := familyRow{key: key("text", fmt.Sprintf("b%d", b)), batch: b, time: e.familyText, position: 1}
		if b == 1 {
			row.position = e.familyPrompt
		}
		if i > 0 {
			row.firstOf = key("text", fmt.Sprintf("b%d", e.familyBatches[0]))
		}
		rows = append(rows, row)
	}
	if m.Learn {
		rows = append(rows, familyRow{key: key("learn", "b1"), batch: 1, time: e.familyLearn, prompt: true, learn: true})
	}
	if m.Long {
		for i, n := range e.contexts {
			row := familyRow{key: key("context", strconv.Itoa(n)), batch: 1, time: e.familyText, position: n}
			if i > 0 {
				row.firstOf = key("context", strconv.Itoa(e.contexts[0]))
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// families returns those to be measured; a quick run takes their tiny shapes.
func (o Options) families() []family.Family {
	all := slices.Clone(o.Families)
	if o.Mode == Quick {
		for i := range all {
			all[i] = all[i].Tiny()
		}
	}
	return all
}

// familyPaths returns the rows of all families, as --only chooses them.
func (o Options) familyPaths() (paths []string) {
	e := o.preset()
	for _, m := range o.families() {
		for _, row := range e.familyRows(m) {
			paths = append(paths, row.key)
		}
	}
	return paths
}

// types are the layouts that a peer is given a family in.
func (o Options) types(m family.Family) (all []ggml.Layout, err error) {
	names := o.Types
	if names == nil {
		names = []string{"TQ2_0", "Q2_0"}
	}
	for _, name := range names {
		l, err := m.Layout(name)
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

// measureFamilies measures one family on all engines, and then in the peer, before the next.
func (s *suite) measureFamilies(ctx context.Context, backends []Target, floors []Floor) {
	for _, m := range s.families() {
		for i, b := range backends {
			b.family(s, floors[i], m)
		}
		if err := s.familyPeers(ctx, m); err != nil && !s.stopped() {
			s.report.Failures = append(s.report.Failures, err.Error())
		}
	}
}

// familyPeers runs another program on files of a family, one in each layout. Its arguments name them, and it prints
// PeerSpeed rows as one JSON array; see bench/peers.
func (s *suite) familyPeers(ctx context.Context, m family.Family) error {
	key := "family/" + m.Name
	learns := m.Learn && s.wants(key+"/learn/b1")
	if len(s.Peer) == 0 || !s.wants(key+"/prompt/b1") && !s.wants(key+"/text/b1") && !learns {
		return nil
	}
	layouts, err := s.types(m)
	if err != nil {
		return err
	}
	debug.FreeOSMemory() // the peer has the machine to itself
	dir, err := os.MkdirTemp("", "bitgpu-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, l := range layouts {
		if s.stopped() {
			return nil
		}
		path := filepath.Join(dir, l.String()+".gguf")
		s.progress("writing " + m.Name + " as " + l.String())
		if err := m.WriteGGUF(path, l); err != nil {
			return err
		}
		s.progress(strings.Join(s.Peer, " ") + " on " + m.Name + " as " + l.String())
		arguments := []string{"--gguf", path, "--key", key, "--type", l.String(),
			"--prompt", strconv.Itoa(s.familyPrompt), "--text", strconv.Itoa(s.familyText), "--repeats", strconv.Itoa(s.repeats),
			"--threads", strconv.Itoa(s.report.Machine.Threads)}
		if learns {
			arguments = append(arguments, "--learn", strconv.Itoa(s.familyLearn))
		}
		if err := s.askPeer(ctx, arguments...); err != nil {
			return err
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// moved returns what a step of a row must at least move and compute: the weights once, the keys and values of earlier tokens and
// other states once, arithmetic for every token, and logits for one row of each sequence.
func moved(m family.Family, row familyRow, cache, state int64) costs {
	d := m.Decoder
	time := 1 // of text a step is one token
	if row.prompt {
		time = row.time
	}
	n := float64(row.batch * time)
	var total costs
	params := nn.Params(m.Config(1))
	for i, p := range params {
		bytes, count := float64(m.Bytes(p)), 1.0
		for _, axis := range p.Shape {
			count *= float64(axis)
		}
		table := i == 0 || i == len(params)-1 && !d.Tied
		switch {
		case i == 0 && !d.Tied: // rows of the embedding
			total.bytes += n * bytes / float64(d.Vocab)
		case table:
			total.bytes += bytes
			total.flops += 2 * float64(row.batch) * count
		default:
			total.bytes += bytes
			total.flops += 2 * n * count
		}
	}
	seen := n * (float64(row.position) + float64(time+1)/2) // tokens that all rows attend to
	for i := range d.Layers {
		if d.Attends(i) {
			total.flops += 4 * seen * float64(d.Heads*d.HeadWidth)
		} else { // decay, predict, update, answer
			total.flops += 7 * n * float64(d.Recurrent.Heads*d.Recurrent.ValueWidth*d.Recurrent.KeyWidth)
		}
	}
	if row.learn { // back to the inputs, and to the adapter, whose own products are few
		total.bytes, total.flops = 2*total.bytes, 2*total.flops
	}
	total.bytes += float64(cache) * float64(row.batch) * float64(row.position+time)
	total.bytes += 2 * float64(state) * float64(row.batch)
	return total
}
