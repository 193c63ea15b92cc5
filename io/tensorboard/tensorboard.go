// Package tensorboard writes TensorBoard's event files: scalars and texts by step. It does not read them, and does not
// support histograms or pictures.
//
// A file consists of TFRecords, each a length, its checksum, an Event message and its checksum. The messages are those of
// tensorflow/core/util/event.proto and framework/summary.proto.
package tensorboard

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"time"

	"bitgpu/io/atomicfile"
	"bitgpu/io/regular"

	"google.golang.org/protobuf/encoding/protowire"
)

// FileName is the name of the event file. TensorBoard recognises it by "tfevents".
const FileName = "events.out.tfevents.0.bitgpu"

// Scalar is a named number. Slashes in the name make groups.
type Scalar struct {
	Tag   string
	Value float32
}

// Writer appends to an event file.
type Writer struct{ file *os.File }

// Create starts a new event file in a directory, which it creates if necessary. On an error it leaves nothing behind.
func Create(dir string) (*Writer, error) {
	undo, err := atomicfile.MakeDir(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, FileName)
	_, err = os.Stat(path)
	fresh := err != nil
	file, err := os.Create(path)
	if err != nil {
		undo()
		return nil, fmt.Errorf("%s: cannot be written: %w", path, regular.Cause(err))
	}
	w := &Writer{file}
	version := protowire.AppendString(protowire.AppendTag(nil, 3, protowire.BytesType), "brain.Event:2")
	if err := w.event(0, time.Now(), version); err != nil {
		file.Close()
		if fresh {
			os.Remove(path)
		}
		undo()
		return nil, err
	}
	return w, nil
}

// Close closes the file.
func (w *Writer) Close() error { return w.file.Close() }

// Scalars writes numbers for a step.
func (w *Writer) Scalars(step int64, at time.Time, all ...Scalar) error {
	var summary []byte
	for _, s := range all {
		value := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), s.Tag)
		value = protowire.AppendFixed32(protowire.AppendTag(value, 2, protowire.Fixed32Type), math.Float32bits(s.Value))
		summary = message(summary, 1, value)
	}
	return w.event(step, at, message(nil, 5, summary))
}

// Text writes a text for a step in the form of TensorBoard's text plugin.
func (w *Writer) Text(step int64, at time.Time, tag, text string) error {
	plugin := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "text")
	const dtString = 7
	tensor := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), dtString)
	one := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)
	tensor = message(tensor, 2, message(nil, 2, one)) // of shape (1)
	tensor = message(tensor, 8, []byte(text))
	value := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), tag)
	value = message(value, 9, message(nil, 1, plugin))
	value = message(value, 8, tensor)
	return w.event(step, at, message(nil, 5, message(nil, 1, value)))
}

// message appends a field that contains a message.
func message(to []byte, field protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(to, field, protowire.BytesType), m)
}

// event writes a record.
func (w *Writer) event(step int64, at time.Time, what []byte) error {
	e := protowire.AppendFixed64(protowire.AppendTag(nil, 1, protowire.Fixed64Type), math.Float64bits(float64(at.UnixMicro())/1e6))
	e = protowire.AppendVarint(protowire.AppendTag(e, 2, protowire.VarintType), uint64(step))
	e = append(e, what...)
	record := binary.LittleEndian.AppendUint64(nil, uint64(len(e)))
	record = binary.LittleEndian.AppendUint32(record, mask(record))
	sum := mask(e)
	record = binary.LittleEndian.AppendUint32(append(record, e...), sum)
	if _, err := w.file.Write(record); err != nil {
		return fmt.Errorf("%s: cannot be written: %w", w.file.Name(), regular.Cause(err))
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// mask is the masked checksum of a TFRecord.
func mask(data []byte) uint32 {
	sum := crc32.Checksum(data, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}
