package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"bitgpu/io/corpus"
	"bitgpu/nn"
)

// Reporter is told how a run goes, on the goroutine of the run.
type Reporter interface {
	// Progress gives the lines of the steps since the last call.
	Progress(lines []Metric)
	// Saved tells of a checkpoint.
	Saved(path string, s State)
	// Warned tells of what was found wrong and made good.
	Warned(err error)
}

// Run is a training run: an engine, its data, and the directory that everything goes to. One
// process at a time may run in a directory; who starts it sees to that.
type Run struct {
	Engine    Engine
	Options   Options
	Dir       string
	Tokenizer json.RawMessage // nil if there is none
	Train     *corpus.Tokens
	Val       *corpus.Tokens // nil if there is none
	Resumed   *Checkpoint    // what the engine was restored from, nil for a new run
	Report    Reporter
}

// Outcome is what a run came to.
type Outcome struct {
	Steps  int         // updates done, in all
	Newest string      // path of the newest checkpoint, "" before the first
	Best   *Checkpoint // nil before the first checkpoint
}

// loop is a run under way.
type loop struct {
	*Run
	sampler         *corpus.Sampler
	data            corpus.Fingerprint
	metrics         *metricsFile
	inputs, targets []uint32
	lines           []Metric
	since           time.Time // when the first step without a line began
	tokens          int64     // predicted by the steps that have lines
	sum             float64   // of the losses since the last checkpoint
	count           int
	saved           int    // step of the newest checkpoint
	newest          string // its path
	best            *Checkpoint
}

// Do trains to the end, or until ctx ends: then the step under way is finished and saved. After an
// error the checkpoints are those that were whole before it.
func (r *Run) Do(ctx context.Context) (Outcome, error) {
	l, err := r.start()
	if err != nil {
		return Outcome{}, err
	}
	err = l.steps(ctx)
	if closing := l.metrics.close(); err == nil {
		err = closing
	}
	return Outcome{Steps: r.Engine.Updates(), Newest: l.newest, Best: l.best}, err
}

func (r *Run) start() (*loop, error) {
	if err := r.Options.Validate(); err != nil {
		return nil, err
	}
	o, l := r.Options, &loop{Run: r, since: time.Now()}
	for _, tokens := range []*corpus.Tokens{r.Train, r.Val} {
		if tokens == nil {
			continue
		}
		if err := tokens.Check(r.Engine.Config().Vocab); err != nil {
			return nil, err
		}
	}
	order, err := corpus.ParseOrder(o.Order)
	if err != nil {
		return nil, err
	}
	if l.sampler, err = corpus.NewSampler(r.Train, o.Batch*o.Accumulate, o.Time, order, o.Seed); err != nil {
		return nil, err
	}
	l.data = r.Train.Fingerprint()
	if r.Resumed != nil {
		if err := l.goOn(r.Resumed); err != nil {
			return nil, err
		}
	}
	n := o.Shape().TokensPerStep()
	l.inputs, l.targets = make([]uint32, n), make([]uint32, n)
	if err := setAside(r.Dir, l.saved); err != nil {
		return nil, err
	}
	if l.best, err = Prune(r.Dir); err != nil {
		return nil, err
	}
	l.metrics, err = openMetrics(filepath.Join(r.Dir, MetricsName), r.Engine.Updates(), r.Report.Warned)
	return l, err
}

// goOn takes up where a checkpoint ends.
func (l *loop) goOn(c *Checkpoint) error {
	if err := c.CheckTokens(l.Options.Data, l.data); err != nil {
		return err
	}
	s := c.State
	l.sampler.Seek(s.Position)
	l.saved, l.newest, l.tokens = s.Step, c.Path, s.Tokens
	if l.tokens == 0 {
		l.tokens = int64(s.Step) * int64(s.Options.Shape().TokensPerStep())
	}
	return nil
}

// aheadTime is how long the steps take that are recorded before their losses are read: on a fast device waiting for each
// would cost time, on a slow one somebody wants to see a step, and to stop after it.
const aheadTime = time.Second

func (l *loop) steps(ctx context.Context) error {
	o, e := l.Options, l.Engine
	schedule := o.Schedule()
	ahead := 1
	for e.Updates() < o.Steps {
		l.sampler.Next(l.inputs, l.targets)
		e.Step(schedule.Rate(e.Updates()), l.inputs, l.targets)
		done := e.Updates()
		stopped := ctx.Err() != nil
		last := done == o.Steps
		due := last || done%o.SaveInterval == 0
		validate := l.Val != nil && o.ValEvery > 0 && (due || done%o.ValEvery == 0) && !stopped
		pending, full := e.Pending()
		if !full && pending < ahead && !due && !validate && !stopped {
			continue
		}
		if err := l.collect(schedule); err != nil {
			return err
		}
		ahead = max(int(float64(pending)*float64(aheadTime)/float64(max(time.Since(l.since), 1))), 1)
		val, err := l.validate(ctx, validate)
		if err != nil {
			return err
		}
		if err := l.write(); err != nil {
			return err
		}
		if due || stopped {
			if err := l.save(val); err != nil {
				return err
			}
		}
		l.since = time.Now()
		if stopped {
			return nil
		}
	}
	return nil
}

// collect makes the lines of the steps that were taken since the last time.
func (l *loop) collect(schedule Schedule) error {
	results, err := l.Engine.Results()
	tokens := l.Options.Shape().TokensPerStep()
	speed := float64(len(results)*tokens) / max(time.Since(l.since).Seconds(), 1e-9)
	l.lines = l.lines[:0]
	for _, r := range results {
		l.tokens += int64(tokens)
		l.lines = append(l.lines, Metric{
			Step: r.Step, Loss: r.Loss, LR: schedule.Rate(r.Step), GradNorm: r.GradNorm,
			Tokens: l.tokens, TokensPerSecond: speed,
		})
		l.sum += float64(r.Loss)
		l.count++
	}
	var bad notFinite
	if errors.As(err, &bad) && l.Resumed != nil && bad.step == l.Resumed.State.Step {
		// No learning rate has acted yet.
		bad.advice = fmt.Sprintf("the weights of %s give it: without that directory, --resume goes on from the one before", l.Resumed.Path)
		err = bad
	}
	return l.fail(err)
}

// fail is the end by an error, with the lines before it written.
func (l *loop) fail(err error) error {
	if err == nil {
		return nil
	}
	if writing := l.write(); writing != nil {
		return fmt.Errorf("%w (and %w)", err, writing)
	}
	return err
}

// validate measures the validation data into the last line. It gives nil where it was not asked
// to, or the context ended meanwhile: a part of the data says nothing.
func (l *loop) validate(ctx context.Context, wanted bool) (*float64, error) {
	if !wanted {
		return nil, nil
	}
	v, err := l.Engine.Evaluate(l.Val, func() bool { return ctx.Err() != nil })
	ranAway := errors.Is(err, nn.ErrNotFinite)
	if err != nil && !ranAway || ctx.Err() != nil {
		return nil, err
	}
	loss := v.Loss()
	last := &l.lines[len(l.lines)-1]
	if ranAway || math.IsNaN(loss) || math.IsInf(loss, 0) {
		return nil, l.fail(notFinite{"validation loss", last.Step, advice(l.Engine.Config())})
	}
	last.ValLoss = &loss
	return &loss, nil
}

func (l *loop) write() error {
	for _, m := range l.lines {
		if err := l.metrics.add(m); err != nil {
			return err
		}
	}
	l.Report.Progress(l.lines)
	return nil
}

// save writes a checkpoint, behind the metrics of its steps.
func (l *loop) save(val *float64) error {
	if err := l.metrics.sync(); err != nil {
		return err
	}
	s := State{
		Step: l.Engine.Updates(), Position: l.sampler.Position(), Tokens: l.tokens, Data: l.data,
		Loss: l.sum / float64(l.count), Options: l.Options,
	}
	if val != nil {
		s.Loss, s.Validated = *val, true
	}
	path, err := WriteCheckpoint(l.Dir, l.Engine, l.Tokenizer, s)
	if err != nil {
		return err
	}
	l.sum, l.count, l.saved, l.newest = 0, 0, s.Step, path
	l.Report.Saved(path, s)
	l.best, err = Prune(l.Dir)
	return err
}
