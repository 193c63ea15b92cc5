package bench

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"bitgpu/bench/family"
	"bitgpu/nn"
	"bitgpu/nn/cpu/freemem"
	"bitgpu/nn/op"
)

// familyRun measures one family on one engine.
type familyRun[T any] struct {
	*Engine[T]
	s       *suite
	f       Floor
	m       family.Family
	r       *rand.Rand
	weights *nn.Weights[T]
	bytes   int64 // of the weights
	before  int64 // bytes of the engine's tensors without the model
}

// errStopped ends a row when the run is stopped.
var errStopped = errors.New("stopped")

// family measures the rows of a family that are wanted.
func (e *Engine[T]) family(s *suite, f Floor, m family.Family) {
	rows := slices.DeleteFunc(s.familyRows(m), func(row familyRow) bool { return !s.wants(row.key) })
	if len(rows) == 0 {
		return
	}
	run := familyRun[T]{Engine: e, s: s, f: f, m: m, r: rand.New(rand.NewPCG(9, 10)), before: e.Counts().Bytes}
	for _, p := range nn.Params(m.Config(1)) {
		run.bytes += m.Bytes(p)
	}
	leaveOut := func(l LeftOut) {
		for _, row := range rows {
			l.Engine, l.Key = e.Info.Name, row.key
			s.report.LeftOut = append(s.report.LeftOut, l)
		}
	}
	if missing := e.missing(m.Config(1)); missing != nil {
		leaveOut(LeftOut{Why: "it has no " + strings.Join(missing, ", no ")})
		return
	}
	if free, ok := e.fits(run.bytes); !ok {
		leaveOut(LeftOut{Memory: run.bytes, Free: free})
		return
	}
	s.progress(fmt.Sprintf("%s family/%s: making %d MB of weights", e.Info.Name, m.Name, run.bytes/1e6))
	run.weights = family.Load(m, e.Ops.Load)
	defer func() {
		e.Ops.Release(*run.weights...)
		run.weights = nil
		debug.FreeOSMemory()
	}()
	if err := e.Ops.Flush(); err != nil {
		leaveOut(LeftOut{Why: fmt.Sprintf("its weights could not be loaded (%v)", err)})
		return
	}
	for _, row := range rows {
		if !s.stopped() {
			s.report.fail(e.Info.Name, row.key, run.measure(row))
		}
	}
}

// missing returns the names of the model's operations that the engine lacks.
func (e *Engine[T]) missing(c nn.Config) (names []string) {
	net := nn.NewNet[T](c, c.DefaultScan()).Bind(nn.Binding[T]{})
	var p op.Program[T]
	var none T
	net.Lookup(&p, none, none)
	for i := range net.Blocks {
		net.Forward(&p, i, none)
	}
	net.Advance(&p, 1)
	net.Logits(&p, none, none, none, 0, 1)
	for _, o := range p {
		_, name, _ := strings.Cut(fmt.Sprintf("%T", o), "op.")
		name, _, _ = strings.Cut(name, "[")
		if !e.Ops.Has(o) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// fits reports whether a number of bytes fits into the computer's memory, if the engine computes on the processor.
func (e *Engine[T]) fits(bytes int64) (free int64, ok bool) {
	if e.Info.Name != "cpu" && e.Info.Hardware {
		return 0, true
	}
	free = freemem.Free()
	return free, free == 0 || bytes < free-free/10
}

// measure measures one row.
func (r *familyRun[T]) measure(row familyRow) error {
	capacity := row.position + row.time*(r.s.repeats+2)
	if row.prompt {
		capacity = row.time
	}
	c := r.m.Config(capacity)
	need := c.Footprint(row.batch, r.Ops.Lookahead())
	if free, ok := r.fits(need.Workspace + need.Session); !ok {
		r.s.report.LeftOut = append(r.s.report.LeftOut, LeftOut{
			Engine: r.Info.Name, Key: row.key, Memory: r.bytes + need.Workspace + need.Session, Free: free + r.bytes,
		})
		return nil
	}
	r.s.progress(r.Info.Name + " " + row.key)
	if row.learn {
		return r.learn(row)
	}
	model := &nn.Model[T]{Config: c, Backend: r.Ops, Weights: r.weights}
	defer func() {
		model.Weights = new(nn.Weights[T]) // which the next row has too
		model.Release()
	}()
	session, err := model.NewSession(row.batch, c.DefaultScan())
	if err != nil {
		return err
	}
	defer session.Close()

	result := r.begin(row)
	prepare, step := r.prompt(session, row)
	if !row.prompt {
		prepare, step = r.text(session, row)
	}
	var failed error
	calls, counts := 0, Counts{}
	clock := func(record func()) (time.Duration, error) {
		if r.s.stopped() { // a row of a large model takes minutes
			return 0, errStopped
		}
		if err := errors.Join(prepare(), r.Ops.Flush()); err != nil {
			return 0, err
		}
		return r.wall(record)
	}
	seconds, err := repeated(r.steady(r.s, clock), r.s.repeats, 0, func() {
		before := r.Counts()
		if err := step(); err != nil && failed == nil {
			failed = err
		}
		after := r.Counts()
		calls++
		counts.Dispatches += after.Dispatches - before.Dispatches
		counts.Submits += after.Submits - before.Submits
	})
	return r.end(result, row, seconds, calls, counts, failed, err)
}

// end keeps a row that was measured in a number of calls.
func (r *familyRun[T]) end(result FamilySpeed, row familyRow, seconds Sample, calls int, counts Counts, failed, err error) error {
	if errors.Is(err, errStopped) {
		return nil
	}
	if err := errors.Join(failed, err); err != nil {
		return err
	}
	steps := float64(calls)
	if !row.prompt {
		steps *= float64(row.time)
	}
	result.Seconds = seconds.scaled(1 / float64(row.batch*row.time))
	result.Dispatches, result.Submits = float64(counts.Dispatches)/steps, float64(counts.Submits)/steps
	result.Memory = r.Counts().Bytes - r.before
	debug.FreeOSMemory()
	result.Resident = resident()
	r.s.report.Families = append(r.s.report.Families, result)
	return nil
}

// begin begins a row with what it costs at least.
func (r *familyRun[T]) begin(row familyRow) FamilySpeed {
	room := func(tokens int) int64 { return r.m.Config(tokens).Footprint(1, 1).Session }
	cache := room(2) - room(1)
	var state int64
	if d := r.m.Decoder.Recurrent; d != nil {
		for _, attends := range d.Attends {
			if !attends {
				inner := d.Heads * d.ValueWidth
				state += 4 * int64(inner*d.KeyWidth+(d.Taps-1)*(2*d.KeyHeads*d.KeyWidth+inner))
			}
		}
	}
	tokens := row.batch
	if row.prompt {
		tokens *= row.time
	}
	each := moved(r.m, row, cache, state).each(tokens)
	result := FamilySpeed{
		Engine: r.Info.Name, Key: row.key, Bytes: int64(each.bytes), FLOPs: int64(each.flops), Position: int64(row.position),
		Weights: r.bytes, Cache: cache, PerSession: state, Sequences: row.batch, FirstOf: row.firstOf,
	}
	result.Floor, result.Bound = r.f.seconds(result.Bytes, result.FLOPs, 0)
	return result
}

// prompt reads the same tokens into an empty memory.
func (r *familyRun[T]) prompt(s *nn.Session[T], row familyRow) (prepare, step func() error) {
	ids := randomTokens(r.r, r.m.Decoder.Vocab, row.batch*row.time)
	return func() error { s.Reset(); return nil }, func() error { return s.Forward(ids) }
}

// text writes tokens from the row's position on. When there is no more room, it starts there again.
func (r *familyRun[T]) text(s *nn.Session[T], row familyRow) (prepare, step func() error) {
	started := false
	prepare = func() error {
		if started && s.Left() >= int64(row.time) {
			return nil
		}
		started = true
		if row.batch == 1 {
			return r.fill(s, row.position)
		}
		s.Reset()
		return s.Forward(randomTokens(r.r, r.m.Decoder.Vocab, row.batch*row.position))
	}
	step = func() error {
		written := 0
		err := s.Generate(row.time, op.Sampling{}, func([]uint32) bool { written++; return true })
		if err == nil && written != row.time {
			err = fmt.Errorf("got %d tokens of text, want %d", written, row.time)
		}
		return err
	}
	return prepare, step
}

// fill makes a session remember tokens that were never read, with random numbers: reading 32,768 tokens takes hours on a large
// model, and a token behind random numbers takes the same time.
func (r *familyRun[T]) fill(s *nn.Session[T], position int) error {
	s.Reset()
	states, err := s.States()
	if err != nil {
		return err
	}
	var values []float32 // all states share them
	for i := range states {
		t := &states[i]
		if kind, _, _ := strings.Cut(t.Name, "."); kind == "key" || kind == "value" {
			t.Shape = slices.Clone(t.Shape)
			t.Shape[0] = position
		}
		n := op.Count(t.Shape)
		if n > len(values) {
			values = randomNormals(r.r, n)
		}
		t.Values = values[:n]
	}
	if err := s.SetStates(states, int64(position)); err != nil {
		return err
	}
	return s.SetPrediction(randomNormals(r.r, r.m.Decoder.Vocab), nil)
}
