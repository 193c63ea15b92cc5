package main

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"bitgpu/gpu"
	"bitgpu/internal/version"
	"bitgpu/nn"
	"bitgpu/nn/cpu/parallel"
	"bitgpu/nn/op"
	"bitgpu/nn/train"
	"bitgpu/nn/train/device"
	"bitgpu/nn/train/mpi"

	"github.com/urfave/cli/v2"
)

// ranks is the processes that a training runs in: this one alone, or those that a launcher of MPI started.
type ranks struct {
	train.Group
	world  *mpi.World // nil without a launcher
	watch  *mpi.Watch
	names  []string // of the ranks, for a user
	here   int      // ranks on this host
	stderr io.Writer
	ending sync.Once
}

// errElsewhere ends a rank whose error another has told.
var errElsewhere = mpi.ErrElsewhere

// agreed is an error that all ranks know of.
type agreed struct{ error }

func (e agreed) Unwrap() error { return e.error }

// joinRanks joins the ranks of a launcher, if one started this process, shares the cores and the GPUs of a host among its ranks,
// and lets rank 0 alone be heard.
func joinRanks(c *cli.Context) (*ranks, error) {
	world, err := mpi.Start()
	if err != nil {
		return nil, err
	}
	r := &ranks{Group: train.Alone{}, here: 1, stderr: c.App.ErrWriter}
	if world == nil {
		return r, nil
	}
	r.Group, r.world = world, world
	if n := r.Size(); n&(n-1) != 0 { // before ranks tell each other anything
		world.Close()
		if !r.leads() {
			return nil, errElsewhere
		}
		return nil, usagef("%s: got %d ranks, want 1, 2, 4 …, a power of two", c.Command.Name, n)
	}
	if r.Rank() > 0 {
		c.App.Writer, c.App.ErrWriter = io.Discard, io.Discard
	}
	where, err := train.GatherText(r, world.Host()+" "+affinity())
	if err != nil {
		return nil, err
	}
	hosts, sharing := map[string]int{}, 0
	for rank, w := range where {
		host, _, _ := strings.Cut(w, " ")
		hosts[host]++
		r.names = append(r.names, fmt.Sprintf("rank %d of %d on %s", rank, r.Size(), host))
		if w == where[r.Rank()] {
			sharing++
		}
	}
	r.here = hosts[world.Host()]
	if !c.IsSet("threads") {
		n := max(runtime.GOMAXPROCS(0)/sharing, 1)
		runtime.GOMAXPROCS(n)
		parallel.SetWorkers(n)
	}
	if err := r.takeAdapter(c); err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%s (process %d)", r.names[r.Rank()], os.Getpid())
	r.watch, err = mpi.NewWatch(r, name, func(who, why string) { r.lost(c, who, why) })
	return r, err
}

// takeAdapter gives each rank of a host the next of its hardware GPUs, where nobody chose.
func (r *ranks) takeAdapter(c *cli.Context) error {
	backend, adapter, err := backendOf(c)
	if err != nil || adapter != "" || backend == "cpu" || r.here == 1 {
		return err
	}
	var hardware []int
	for _, a := range gpu.Adapters() {
		if a.Hardware() {
			hardware = append(hardware, a.Index)
		}
	}
	if len(hardware) < 2 {
		return nil
	}
	return c.Set("adapter", strconv.Itoa(hardware[r.world.LocalRank()%len(hardware)]))
}

// leads says whether this is the rank that writes and reports.
func (r *ranks) leads() bool { return r.Rank() == 0 }

// lost ends all ranks because one has ended: rank 0 says which one and how to go on, or rank 1 if it was rank 0 that ended.
func (r *ranks) lost(c *cli.Context, who, why string) {
	if r.Rank() > 1 {
		time.Sleep(time.Second) // so that the others can
		r.world.Abort(exitError)
	}
	if why == "" {
		why = "has ended before the training, and all others with it"
	}
	r.abort(c, fmt.Errorf("%s: %s", who, why), exitError)
}

// abort says why, and ends all ranks. What happens to the others then is not told.
func (r *ranks) abort(c *cli.Context, err error, code int) {
	r.ending.Do(func() {
		io.WriteString(r.stderr, fmt.Sprintf("bitgpu: %s\n", sentence(err))+goOn(c))
		if r.watch != nil {
			r.watch.Close() // the others need not tell that this one ends
		}
		r.world.Abort(code)
	})
	select {} // another goroutine ends the process
}

// goOn says how to go on with a training that has ended, if it can.
func goOn(c *cli.Context) string {
	if c.Command.Name == "learn" {
		state := adapterPath(c) + stateSuffix
		if _, err := os.Stat(state); err == nil {
			return fmt.Sprintf("to go on from %s: the same line with --resume, without other choices\n", state)
		}
		return ""
	}
	dir := c.String("output-dir")
	if found, err := train.Checkpoints(dir); err == nil && len(found) > 0 {
		return fmt.Sprintf("to go on from %s: the same line with --resume --output-dir %s\n", found[0], shellWord(dir))
	}
	return ""
}

// end leaves the group with the outcome of a command, or ends all of it where the others do not know.
func (r *ranks) end(c *cli.Context, err error) error {
	if r.world == nil {
		return err
	}
	var known agreed
	if r.watch == nil {
		r.abort(c, err, exitCode(err)) // the group is broken already
	}
	switch {
	case err == nil, r.Size() == 1, errors.As(err, &known), errors.Is(err, errInterrupted):
	case train.Everywhere(err):
		if !r.leads() {
			err = errElsewhere
		}
	case !r.leads() && r.watch.Tell(err):
		time.Sleep(10 * time.Second) // rank 0 ends all
		r.world.Abort(exitCode(err))
	case r.leads():
		r.abort(c, err, exitCode(err))
	default:
		r.abort(c, fmt.Errorf("%s: %w", r.names[r.Rank()], err), exitCode(err))
	}
	r.watch.Close()
	r.world.Close()
	return err
}

// agree gives an error on every rank where one has one. Rank 0 gets the words.
func (r *ranks) agree(err error) error {
	if r.Size() == 1 {
		return err
	}
	text := ""
	if err != nil {
		text = "error: " + sentence(err)
	}
	all, failed := train.GatherText(r, text)
	if failed != nil {
		return failed
	}
	for rank, text := range all {
		switch {
		case text == "":
		case !r.leads():
			return agreed{errElsewhere}
		case rank == 0:
			return agreed{err}
		default:
			return agreed{fmt.Errorf("%s: %s", r.names[rank], strings.TrimPrefix(text, "error: "))}
		}
	}
	return nil
}

// inTurn runs a function on rank 0, which may write what the others then read, and on the others.
func (r *ranks) inTurn(do func() error) error {
	var err error
	if r.leads() {
		err = do()
	}
	if err := r.agree(err); err != nil || r.Size() == 1 {
		return err
	}
	if !r.leads() {
		err = do()
	}
	return r.agree(err)
}

// options are the flags' and the checkpoint's, with shards where there are several ranks.
func (r *ranks) options(c *cli.Context, resumed *train.Checkpoint) (train.Options, error) {
	shards := 0
	if r.world != nil {
		shards = train.DefaultShards
	}
	o, err := runOptions(c, resumed, shards)
	if err != nil {
		return o, err
	}
	if err := train.CheckGroup(r.Size(), o.Shards); err != nil {
		return o, usagef("train: %w", err)
	}
	if o.Shards == 0 && c.Bool("shard-optimizer") {
		return o, usagef("train: --shard-optimizer: got no shards, want --shards N")
	}
	return o, nil
}

// share leaves each rank of a host its part of the memory, and tells the device of the group.
func (r *ranks) share(c *cli.Context, d *device.Device) {
	d.Group, d.ShardOptimizer = r.Group, c.Bool("shard-optimizer")
	if d.Room < math.MaxInt64 {
		d.Room /= int64(r.here)
	}
}

// describe says how many ranks share a step, where there are several.
func (r *ranks) describe(s train.Shape) string {
	if r.Size() == 1 {
		return ""
	}
	return fmt.Sprintf("%d ranks, %d a host, each with %d of the %d shards of a step\n", r.Size(), r.here, s.Shards/r.Size(), s.Shards)
}

// facts are what must be the same on all ranks, by name.
type facts map[string]string

// add adds the keys of something that is JSON, with a word before them.
func (f facts) add(word string, value any) error {
	text, err := json.Marshal(value)
	var keys map[string]json.RawMessage
	if err == nil {
		err = json.Unmarshal(text, &keys)
	}
	for key, value := range keys {
		f[word+key] = string(value)
	}
	return err
}

// sameEverywhere refuses ranks that are about to train something else than rank 0.
func (r *ranks) sameEverywhere(found facts) error {
	mine, err := json.Marshal(found)
	if err != nil {
		return err
	}
	theirs, err := train.Broadcast(r, mine)
	if err != nil {
		return err
	}
	want := facts{}
	err = json.Unmarshal(theirs, &want)
	all := maps.Clone(want)
	maps.Copy(all, found)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err == nil && found[name] != want[name] {
			err = fmt.Errorf("%s: got %s, want %s as rank 0 has", name, cmp.Or(found[name], "none"), cmp.Or(want[name], "none"))
		}
	}
	return r.agree(err)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// programSum tells builds apart that have no version.
func programSum() (uint32, error) {
	path, err := os.Executable()
	if err != nil {
		return 0, err
	}
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	sum := crc32.New(castagnoli)
	_, err = io.Copy(sum, file)
	return sum.Sum32(), err
}

// weightsSum is that of all numbers of weights, whatever their form.
func weightsSum(w *nn.Weights[op.HostTensor]) string {
	sum := crc32.New(castagnoli)
	for _, h := range *w {
		addNumbers(sum, h.F32)
		addNumbers(sum, h.F16)
		addNumbers(sum, h.I8)
		addNumbers(sum, h.Codes)
		addNumbers(sum, h.Scales)
		addNumbers(sum, h.GroupScales)
	}
	return fmt.Sprintf("CRC-32C %08x", sum.Sum32())
}

// addNumbers adds numbers, a piece at a time.
func addNumbers[N any](sum io.Writer, x []N) {
	for ; len(x) > 0; x = x[min(len(x), 4096):] {
		binary.Write(sum, binary.LittleEndian, x[:min(len(x), 4096)])
	}
}

// factsOf are those of a training.
func factsOf(c nn.Config, p *preparation, device string, w *nn.Weights[op.HostTensor]) (facts, error) {
	data, err := p.data.train.Fingerprint()
	if err != nil {
		return nil, err
	}
	from := "none"
	if p.resumed != nil {
		from = fmt.Sprint("step ", p.resumed.State.Step)
	}
	program, err := programSum()
	if err != nil {
		return nil, err
	}
	f := facts{
		"program": fmt.Sprintf("%s, CRC-32C %08x", version.Line(), program), "training tokens": data.String(), "checkpoint": from,
		"weights": weightsSum(w), "device": device,
	}
	options := p.options
	options.Data = "" // may lie elsewhere on another host
	err = f.add("model: ", c)
	return f, errors.Join(err, f.add("option ", options))
}
