package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"time"
)

// Run measures backends one after another; nothing else should run meanwhile. What is wrong with an
// engine is no error of Run, but of [Report.Err]. When ctx ends, the report has what was measured so
// far.
func Run(ctx context.Context, o Options, backends ...Target) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if len(backends) == 0 {
		return nil, errors.New("bench: nothing to measure")
	}
	s := &suite{Options: o, preset: o.preset(), report: newReport(o), stopped: func() bool { return ctx.Err() != nil }}
	s.left = s.patience
	for _, b := range backends {
		info := b.info()
		s.report.Engines = append(s.report.Engines, info)
		if !info.Hardware {
			s.report.note("%s is no GPU: its driver computes on the processor, so its times say nothing about a GPU", info.Device)
		}
	}
	for _, b := range backends {
		b.parity(s)
	}
	floors := make([]Floor, len(backends))
	for i, b := range backends {
		if !s.measuresSpeed() {
			break
		}
		s.progress(b.info().Name + " floor")
		f, err := b.floor(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.info().Name, err)
		}
		floors[i] = f
		s.report.Floors = append(s.report.Floors, f)
		b.ops(s, f)
	}
	s.wholeModels(backends, floors)
	s.measureFamilies(ctx, backends, floors)
	s.report.Load = append(s.report.Load, load()...)
	s.disturbed.note(s.report)
	if s.stopped() {
		s.report.note("stopped before the end: rows are missing")
	} else if err := s.peers(ctx); err != nil {
		s.report.Failures = append(s.report.Failures, err.Error())
	}
	return s.report, nil
}

// wholeModels measures one model on all backends before the next, so that what is compared is
// measured at about the same time, and only the weights of one model are in memory.
func (s *suite) wholeModels(backends []Target, floors []Floor) {
	for _, size := range s.sizes {
		for _, mixer := range s.mixers() {
			if !s.wantsModel(size, mixer) {
				continue
			}
			m := newTestModel(size, mixer)
			for i, b := range backends {
				b.model(s, floors[i], m)
			}
		}
	}
	for _, goal := range s.preset.positions {
		for _, mixer := range s.mixers() {
			if !s.wants(positionPath(goal.size, mixer)) {
				continue
			}
			m := newTestModel(goal.size, mixer)
			for _, b := range backends {
				b.position(s, m, goal.positions)
			}
		}
	}
}

// wantsModel reports whether any row of a model is to be measured.
func (s *suite) wantsModel(size Size, mixer string) bool {
	return s.wantsSpeed(size, mixer) || slices.ContainsFunc(headPaths(size), s.wants)
}

// wantsSpeed reports whether a model's prompts, text or training are to be measured.
func (s *suite) wantsSpeed(size Size, mixer string) bool {
	return slices.ContainsFunc(speedPaths(size, mixer, s.preset), s.wants)
}

// measuresSpeed reports whether any row needs the floor.
func (s *suite) measuresSpeed() bool {
	if s.wants("floor") {
		return true
	}
	if slices.ContainsFunc(s.familyPaths(), s.wants) {
		return true
	}
	for _, size := range s.sizes {
		for _, mixer := range s.mixers() {
			if s.wantsModel(size, mixer) {
				return true
			}
		}
	}
	for _, width := range s.widths {
		for _, w := range workloads[struct{}](width, s.preset) {
			if s.wants(w.key) {
				return true
			}
		}
	}
	return false
}

func newReport(o Options) *Report {
	r := &Report{
		Version: reportVersion, Date: time.Now().UTC().Truncate(time.Second), Command: o.Command, Commit: unknownCommit,
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Machine: thisMachine(), Load: load(),
	}
	if len(r.Load) > 0 && r.Load[0] > busy*float64(r.Machine.Threads) {
		r.note("the machine was busy when the run began, with a load average of %s on %d threads: times are longer than on a quiet one",
			digits(r.Load[0]), r.Machine.Threads)
	}
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range build.Settings {
			switch {
			case setting.Key == "vcs.revision":
				r.Commit = setting.Value
			case setting.Key == "vcs.modified" && setting.Value == "true":
				r.note("built from a checkout with changes that are in no commit")
			}
		}
	}
	if r.Commit == unknownCommit {
		r.note("the commit is unknown: go build notes it in the program where it is called in a checkout, go run and -buildvcs=false do not")
	}
	return r
}

// unknownCommit is said where the program does not know what it was built from.
const unknownCommit = "unknown"
