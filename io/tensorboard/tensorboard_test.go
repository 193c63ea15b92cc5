package tensorboard_test

import (
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bitgpu/io/tensorboard"

	"google.golang.org/protobuf/encoding/protowire"
)

func write(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "board")
	w, err := tensorboard.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1000, 5e8)
	for i := range 3 {
		if err := w.Scalars(int64(i), at, tensorboard.Scalar{Tag: "loss/train", Value: float32(3 - i)}, tensorboard.Scalar{Tag: "learning_rate", Value: 0.5}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Text(2, at, "sample", "to be"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// fields reads a message: the last value of each field, and the messages of a field that is given several times.
func fields(t *testing.T, m []byte) (numbers map[protowire.Number]uint64, parts map[protowire.Number][][]byte) {
	t.Helper()
	numbers, parts = map[protowire.Number]uint64{}, map[protowire.Number][][]byte{}
	for len(m) > 0 {
		field, kind, n := protowire.ConsumeTag(m)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		m = m[n:]
		switch kind {
		case protowire.VarintType:
			numbers[field], n = protowire.ConsumeVarint(m)
		case protowire.Fixed64Type:
			numbers[field], n = protowire.ConsumeFixed64(m)
		case protowire.Fixed32Type:
			var x uint32
			x, n = protowire.ConsumeFixed32(m)
			numbers[field] = uint64(x)
		case protowire.BytesType:
			var part []byte
			part, n = protowire.ConsumeBytes(m)
			parts[field] = append(parts[field], part)
		}
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		m = m[n:]
	}
	return numbers, parts
}

// What is written is TFRecords with sound checksums, the version first, then the events.
func TestRecords(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(write(t), tensorboard.FileName))
	if err != nil {
		t.Fatal(err)
	}
	sum := func(b []byte) uint32 {
		x := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
		return (x>>15 | x<<17) + 0xa282ead8
	}
	var losses []float32
	var text string
	for n := 0; len(data) > 0; n++ {
		size := binary.LittleEndian.Uint64(data)
		event := data[12 : 12+size]
		if binary.LittleEndian.Uint32(data[8:]) != sum(data[:8]) || binary.LittleEndian.Uint32(data[12+size:]) != sum(event) {
			t.Fatalf("record %d: a checksum does not fit", n)
		}
		data = data[16+size:]
		numbers, parts := fields(t, event)
		if n == 0 {
			if got := string(parts[3][0]); got != "brain.Event:2" {
				t.Fatalf("got version %q", got)
			}
			continue
		}
		if at := math.Float64frombits(numbers[1]); at != 1000.5 {
			t.Errorf("got time %v, want 1000.5", at)
		}
		_, summary := fields(t, parts[5][0])
		for _, value := range summary[1] {
			scalar, of := fields(t, value)
			switch string(of[1][0]) {
			case "loss/train":
				losses = append(losses, math.Float32frombits(uint32(scalar[2])))
			case "sample":
				_, tensor := fields(t, of[8][0])
				text = string(tensor[8][0])
			}
		}
	}
	if !slices.Equal(losses, []float32{3, 2, 1}) || text != "to be" {
		t.Errorf("got losses %v and the text %q, want 3, 2, 1 and %q", losses, text, "to be")
	}
}

// TensorBoard's own reader finds the same, where it is installed for python3.
func TestTensorBoardReads(t *testing.T) {
	const script = `import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
a = EventAccumulator(sys.argv[1])
a.Reload()
print(json.dumps({"loss": [[e.step, e.value] for e in a.Scalars("loss/train")], "tags": a.Tags()["scalars"],
    "text": [e.tensor_proto.string_val[0].decode() for e in a.Tensors("sample")]}))`
	if exec.Command("python3", "-c", "import tensorboard").Run() != nil {
		t.Skip("TensorBoard is not installed for python3")
	}
	out, err := exec.Command("python3", "-c", script, write(t)).Output()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Loss [][2]float64
		Tags []string
		Text []string
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Loss, [][2]float64{{0, 3}, {1, 2}, {2, 1}}) || len(got.Tags) != 2 || !slices.Equal(got.Text, []string{"to be"}) {
		t.Errorf("got %+v", got)
	}
}

// What cannot be written is named.
func TestFailureNamesTheFile(t *testing.T) {
	dir := t.TempDir()
	w, err := tensorboard.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Scalars(1, time.Now(), tensorboard.Scalar{Tag: "loss", Value: 1}); err == nil || !strings.HasPrefix(err.Error(), filepath.Join(dir, tensorboard.FileName)+": cannot be written: ") {
		t.Errorf("got %v", err)
	}
}
