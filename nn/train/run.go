package train

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"bitgpu/io/atomicfile"
	"bitgpu/io/corpus"
	"bitgpu/nn/op"
)

// Reporter follows a run. Its methods are called on the goroutine of the run.
type Reporter interface {
	// Progress is given the metrics of the steps since the last call.
	Progress(lines []Metric)
	// Saved is given a checkpoint that was written.
	Saved(path string, s State)
	// Warned is given a problem that was found and repaired.
	Warned(err error)
}

// Run is a training run: a trainer, its data, and the directory for all output. Only one process at a time may run in a
// directory, which the caller ensures. Each rank of the trainer's group has its own Run; only rank 0 writes, measures and
// reports.
type Run struct {
	Trainer Trainer
	Options Options
	Dir     string
	Like    // what checkpoints contain besides weights
	Train   *corpus.Tokens
	Val     *corpus.Tokens // nil if there is none
	Resumed *Checkpoint    // what the trainer was restored from, nil for a new run
	Report  Reporter
	// Sample, optional, is called every Options.SampleEvery steps and after the last one, while the trainer is idle.
	Sample func(done int)
}

// Outcome is the result of a run.
type Outcome struct {
	Steps  int         // updates done, in total
	Newest string      // path of the newest checkpoint, "" before the first
	Best   *Checkpoint // nil before the first checkpoint
	// Settled: the run ended because of Options.Patience.
	Settled bool
	// ValidationDue: the run was stopped before the validation of the last of Steps, so Best may not be the best.
	ValidationDue bool
}

// loop is a run in progress.
type loop struct {
	*Run
	group           Group
	sampler         *corpus.Sampler // of this rank's rows
	position        uint64          // windows taken by all ranks
	data            corpus.Fingerprint
	metrics         *metricsFile
	inputs, targets []uint32
	counted         []int // this rank's targets that count, for steps not yet reported
	lines           []Metric
	since           time.Time // when the first step not yet reported began
	tokens          int64     // predicted by the reported steps
	sum             float64   // of the losses since the last checkpoint
	count           int
	owed            bool   // a validation must be caught up on
	saved           int    // step of the newest checkpoint
	newest          string // its path
	best            *Checkpoint
	settled         bool
}

// Do trains to the end, or until ctx is cancelled: then the current step is finished and saved. After an error, earlier
// checkpoints remain. The error is [ErrTokens] if Resumed has read other tokens.
func (r *Run) Do(ctx context.Context) (Outcome, error) {
	l, err := r.start(ctx)
	if err != nil {
		return Outcome{}, err
	}
	// A run whose patience ended at this step, but which was stopped before it could know or say so, ends here too.
	if l.settled, err = Any(l.group, l.settled); err == nil && !l.owed && !l.settled {
		err = l.steps(ctx)
	}
	if l.leads() {
		if closing := l.metrics.close(); err == nil {
			err = closing
		}
	}
	return Outcome{Steps: r.Trainer.Updates(), Newest: l.newest, Best: l.best, Settled: l.settled, ValidationDue: l.owed}, err
}

func (r *Run) start(ctx context.Context) (*loop, error) {
	if err := r.Options.Validate(); err != nil {
		return nil, err
	}
	shape := r.Trainer.Shape()
	o, l := r.Options, &loop{Run: r, group: shape.group(), since: time.Now()}
	for _, tokens := range []*corpus.Tokens{r.Train, r.Val} {
		if tokens == nil {
			continue
		}
		if err := tokens.Check(r.Trainer.Config().Vocab); err != nil {
			return nil, err
		}
	}
	order, err := corpus.ParseOrder(o.Order)
	if err != nil {
		return nil, err
	}
	if l.sampler, err = corpus.NewSampler(r.Train, shape.OwnRows(), o.Time, order, o.Seed); err != nil {
		return nil, err
	}
	if err = l.sampler.Reread(o.Reread); err != nil {
		return nil, err
	}
	if o.Pack {
		if err = l.sampler.Pack(); err != nil {
			return nil, err
		}
	}
	if l.data, err = r.Train.Fingerprint(); err != nil {
		return nil, err
	}
	if r.Resumed != nil {
		if err := l.goOn(r.Resumed); err != nil {
			return nil, err
		}
	}
	n := shape.OwnTokens()
	l.inputs, l.targets = make([]uint32, n), make([]uint32, n)
	if !l.leads() {
		_, err := l.catchUp(ctx)
		return l, err
	}
	if err := CheckWritable(r.Dir); err != nil {
		return nil, err
	}
	atomicfile.ClearStale(r.Dir)
	if err := setAside(r.Dir, l.saved); err != nil {
		return nil, err
	}
	val, err := l.catchUp(ctx)
	if err != nil {
		return nil, err
	}
	var late []Metric
	if l.metrics, late, err = openMetrics(filepath.Join(r.Dir, MetricsName), r.Trainer.Updates(), val, r.Report.Warned); err != nil {
		return nil, err
	}
	l.settled = r.Resumed != nil && r.Trainer.Updates() < o.Steps && l.metrics.exhausted(o.Patience, r.Trainer.Updates())
	if val != nil { // written after its line, so that if the process is killed in between the same is done again
		r.Report.Progress(late)
		err = r.Resumed.validated(*val, l.settled)
	}
	if err == nil {
		l.best, err = Prune(r.Dir)
	}
	if err != nil {
		l.metrics.close()
	}
	return l, err
}

// CheckWritable checks whether checkpoints can be saved in a run's directory, before there is anything to lose.
func CheckWritable(dir string) error {
	root := filepath.Join(dir, checkpointsDir)
	undo, err := atomicfile.MakeDir(root)
	if err != nil {
		return fmt.Errorf("train: %w", err)
	}
	defer undo() // removes a directory that stayed empty
	probe, err := os.MkdirTemp(root, hidden+"probe-")
	if err != nil {
		return fmt.Errorf("train: %s: %w", root, cannotWrite(err))
	}
	return os.Remove(probe)
}

// goOn continues where a checkpoint ends.
func (l *loop) goOn(c *Checkpoint) error {
	if err := c.CheckTokens(l.Options.Data, l.data); err != nil {
		return err
	}
	s := c.State
	l.position = s.Position
	l.saved, l.newest, l.tokens = s.Step, c.Path, s.Tokens
	l.sum, l.count = s.LossSum, s.LossCount
	if l.tokens == 0 {
		l.tokens = int64(s.Step) * int64(s.Options.Shape().TokensPerStep())
	}
	return nil
}

// aheadTime limits the steps, by the time that they take, that are recorded before their losses are read: on a fast device
// waiting for each step would cost time; on a slow one the user wants to see each step, and to be able to stop after it.
const aheadTime = time.Second

func (l *loop) steps(ctx context.Context) error {
	o, e := l.Options, l.Trainer
	schedule := o.Schedule()
	ahead := 1
	for e.Updates() < o.Steps {
		if err := l.next(); err != nil {
			return l.rescue(schedule, err)
		}
		e.Step(schedule.Rate(e.Updates()), l.inputs, l.targets)
		done := e.Updates()
		stopped := ctx.Err() != nil
		last := done == o.Steps
		due := last || done%o.SaveInterval == 0
		validate := l.Val != nil && o.ValEvery > 0 && (due || done%o.ValEvery == 0)
		sample := l.Sample != nil && o.SampleEvery > 0 && (last || done%o.SampleEvery == 0)
		pending, full := e.Pending()
		if !full && pending < ahead && !due && !validate && !sample && !stopped {
			continue
		}
		if err := l.collect(schedule); err != nil {
			return err
		}
		stopped, err := Any(l.group, stopped)
		if err != nil {
			return err
		}
		ahead = max(int(float64(pending)*float64(aheadTime)/float64(max(time.Since(l.since), 1))), 1)
		var val *float64
		if validate && !stopped { // Ctrl-C should not have to wait: the validation is caught up on when the run continues
			if val, err = l.validate(ctx); err != nil {
				return err
			}
			stopped = val == nil
		}
		if err := l.write(); err != nil {
			return err
		}
		if val != nil && !last {
			if l.settled, err = Any(l.group, l.leads() && l.metrics.exhausted(o.Patience, done)); err != nil {
				return err
			}
		}
		if due || stopped || l.settled {
			l.owed = validate && val == nil
			if err := l.save(val, State{Stopped: stopped && !due, ValidationDue: l.owed}); err != nil {
				return err
			}
		}
		if sample && !stopped {
			l.Sample(done)
		}
		l.since = time.Now()
		if stopped || l.settled {
			return nil
		}
	}
	return nil
}

// next takes the next windows. Their ids were checked when the run began, but the file may have changed since.
func (l *loop) next() error {
	rows := uint64(l.Trainer.Shape().OwnRows())
	l.sampler.Seek(l.position + rows*uint64(l.group.Rank()))
	err := l.sampler.Next(l.inputs, l.targets)
	for _, ids := range [][]uint32{l.inputs, l.targets} {
		if id := largestID(ids); err == nil && int(id) >= l.Trainer.Config().Vocab {
			err = fmt.Errorf("%s: got token %d, want ids below %d: the file has changed since the training began", l.Options.Data, id, l.Trainer.Config().Vocab)
		}
	}
	if err != nil {
		return err
	}
	l.position += rows * uint64(l.group.Size())
	l.counted = append(l.counted, Counted(l.targets))
	return nil
}

// largestID returns the largest id of tokens, ignoring marks of documents and missing targets.
func largestID(ids []uint32) (largest uint32) {
	for _, id := range ids {
		if id != op.NoTarget {
			largest = max(largest, id&^op.NewDocument)
		}
	}
	return largest
}

// rescue ends the run with an error that does not affect the steps so far, and saves them.
func (l *loop) rescue(schedule Schedule, err error) error {
	var failed error
	if l.Trainer.Updates() > l.saved && l.group.Size() == 1 { // with several ranks, the others wait for this one
		failed = l.collect(schedule)
		if failed == nil {
			failed = l.write()
		}
		if failed == nil {
			failed = l.save(nil, State{Stopped: true})
		}
	}
	if failed != nil {
		return fmt.Errorf("%w (and %w)", err, failed)
	}
	return err
}

// collect makes the metrics of the steps since the last call.
func (l *loop) collect(schedule Schedule) error {
	results, err := l.Trainer.Results()
	tokens := l.Options.Shape().TokensPerStep()
	speed := float64(len(results)*tokens) / max(time.Since(l.since).Seconds(), 1e-9)
	l.lines = l.lines[:0]
	for i, r := range results {
		l.tokens += int64(tokens)
		n, failed := l.predicted(l.counted[i])
		if failed != nil {
			return failed
		}
		if n != tokens { // the trainer returns the mean over all tokens
			r.Loss *= float32(tokens) / float32(max(n, 1))
		}
		l.lines = append(l.lines, Metric{
			Step: r.Step, Loss: r.Loss, LR: schedule.Rate(r.Step), GradNorm: r.GradNorm,
			Tokens: l.tokens, TokensPerSecond: speed,
		})
		l.sum += float64(r.Loss)
		l.count++
	}
	l.counted = l.counted[:copy(l.counted, l.counted[len(results):])]
	var bad notFinite
	if errors.As(err, &bad) { // the first step does not depend on the learning rate
		switch {
		case l.Resumed != nil && bad.step == l.Resumed.State.Step:
			bad.advice = fmt.Sprintf("the weights of %s give it: without that directory, --resume goes on from the one before", l.Resumed.Path)
		case bad.step == 0 && bad.advice == smallerRate:
			bad.advice = givenWeights
		}
		err = bad
	}
	return l.fail(err)
}

// fail ends the run with an error, after writing the metrics so far.
func (l *loop) fail(err error) error {
	if err == nil {
		return nil
	}
	if writing := l.write(); writing != nil {
		return fmt.Errorf("%w (and %w)", err, writing)
	}
	return err
}

func (l *loop) write() error {
	if !l.leads() {
		return nil
	}
	for _, m := range l.lines {
		if err := l.metrics.add(m); err != nil {
			return err
		}
	}
	if len(l.lines) > 0 {
		l.Report.Progress(l.lines)
	}
	return nil
}

// save writes a checkpoint, after the metrics of its steps. s says why it is written.
func (l *loop) save(val *float64, s State) error {
	if !l.leads() {
		return l.helpSave()
	}
	if err := l.metrics.sync(); err != nil {
		return err
	}
	s.Step, s.Position, s.Tokens, s.Data = l.Trainer.Updates(), l.position, l.tokens, l.data
	s.Loss, s.Options = l.sum/float64(l.count), l.Options
	if s.Stopped {
		s.LossSum, s.LossCount = l.sum, l.count
	}
	if val != nil {
		s.Loss, s.Validated = *val, true
	}
	path, err := WriteCheckpoint(l.Dir, l.Trainer, l.Like, s)
	if err != nil {
		return err
	}
	l.sum, l.count, l.saved, l.newest = 0, 0, s.Step, path
	l.Report.Saved(path, s)
	l.best, err = Prune(l.Dir)
	return err
}
