package gguf

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// text is a string as the format has it, and u32 and u64 are its numbers.
func text(s string) string { return u64(uint64(len(s))) + s }
func u32(n uint32) string  { return string(binary.LittleEndian.AppendUint32(nil, n)) }
func u64(n uint64) string  { return string(binary.LittleEndian.AppendUint64(nil, n)) }

func head(version uint32, tensors, keys uint64) string {
	return magic + u32(version) + u64(tensors) + u64(keys)
}

// info is an entry of the tensors' list.
func info(name string, typ uint32, offset uint64, dims ...uint64) string {
	s := text(name) + u32(uint32(len(dims)))
	for _, d := range dims {
		s += u64(d)
	}
	return s + u32(typ) + u64(offset)
}

// padded is a header and so many bytes of data.
func padded(header string, data int) string {
	return header + strings.Repeat("\x00", pad(len(header), 32)-len(header)+data)
}

const huge = uint64(1) << 63

// refused are files that are no GGUF, by what is said of them.
var refused = map[string]string{
	`gguf: f: begins with "", want "GGUF"`:                                                             "",
	`begins with "GGML", want "GGUF"`:                                                                  "GGML" + u32(3),
	"is a big-endian file of version 3, want a little-endian one":                                      magic + "\x00\x00\x00\x03" + u64(0),
	"is a big-endian file of version 2":                                                                magic + "\x00\x00\x00\x02" + u64(0),
	"has version 1, which nothing has written since 2023, want 2 or 3":                                 magic + u32(1) + u32(0) + u32(0),
	"has version 4, want 2 or 3":                                                                       head(4, 0, 0),
	"has version 0, want 2 or 3":                                                                       head(0, 0, 0),
	"the file ends too early: got 2 bytes from byte 4 on, want 4":                                      magic + "\x03\x00",
	"the file ends too early: got 0 bytes from byte 16 on, want 8":                                     magic + u32(3) + u64(0),
	"9223372036854775808 keys announced, want at most 65536":                                           head(3, 0, huge),
	"the file ends too early: 9 keys announced, 20 bytes are left":                                     head(3, 0, 9) + strings.Repeat("\x00", 20),
	"9223372036854775808 tensors announced, want at most 65536":                                        head(3, huge, 0),
	"the file ends too early: 60000 tensors announced, 100 bytes are left":                             head(3, 60000, 0) + strings.Repeat("\x00", 100),
	"key 0: the file ends too early: got 18 bytes from byte 32 on, want 9223372036854775808":           head(3, 0, 1) + u64(huge) + "general.name......",
	"key 0: a name of 0 bytes, want from 1 to 65535":                                                   head(3, 0, 1) + text("") + u32(4) + u32(1) + "....",
	"key 0: a name of 65536 bytes, want from 1 to 65535":                                               head(3, 0, 1) + text(strings.Repeat("a", 65536)) + u32(4) + u32(1),
	`key 0: the name "a\xff" is not UTF-8`:                                                             head(3, 0, 1) + text("a\xff") + u32(4) + u32(1),
	"key a is there twice":                                                                             head(3, 0, 2) + text("a") + u32(4) + u32(1) + text("a") + u32(4) + u32(1),
	"key a: has a value of type 13, want one from 0 to 12":                                             head(3, 0, 1) + text("a") + u32(13) + u64(1),
	"key a: the file ends too early: got 3 bytes from byte 45 on, want 9223372036854775808":            head(3, 0, 1) + text("a") + u32(8) + u64(huge) + "...",
	"key a: the file ends too early: an array of 9223372036854775808 values of the type uint64":        head(3, 0, 1) + text("a") + u32(9) + u32(10) + u64(huge) + "...",
	"key a: the file ends too early: an array of 2305843009213693952 values of the type uint64":        head(3, 0, 1) + text("a") + u32(9) + u32(10) + u64(1<<61) + "...",
	"key a: the file ends too early: an array of 3 values of the type string announced, 23 bytes":      head(3, 0, 1) + text("a") + u32(9) + u32(8) + u64(3) + strings.Repeat("\x00", 23),
	"key a: element 1: the file ends too early: got 0 bytes from byte 65 on, want 9223372036854775808": head(3, 0, 1) + text("a") + u32(9) + u32(8) + u64(2) + text("") + u64(huge),
	"key a: is an array of arrays, which no known model has: not supported":                            head(3, 0, 1) + text("a") + u32(9) + u32(9) + u64(1) + u32(9) + u64(1),
	"key a: is an array of type 77, want one from 0 to 12":                                             head(3, 0, 1) + text("a") + u32(9) + u32(77) + u64(1),
	"key general.alignment is 0, want a power of two up to 2³⁰":                                        head(3, 0, 1) + text(alignmentKey) + u32(4) + u32(0),
	"key general.alignment is 24, want a power of two":                                                 head(3, 0, 1) + text(alignmentKey) + u32(4) + u32(24),
	"key general.alignment is 2147483648, want a power of two":                                         head(3, 0, 1) + text(alignmentKey) + u32(4) + u32(1<<31),
	"key general.alignment is string, want uint32":                                                     head(3, 0, 1) + text(alignmentKey) + u32(8) + text("32"),
	"key general.alignment is an array of 1 values of the type uint32, want uint32":                    head(3, 0, 1) + text(alignmentKey) + u32(9) + u32(4) + u64(1) + u32(32),
	"tensor 0: a name of 0 bytes":                                                                      head(3, 1, 0) + info("", 0, 0, 8) + strings.Repeat("\x00", 99),
	"tensor w: has 5 axes, want at most 4":                                                             head(3, 1, 0) + info("w", 0, 0, 1, 1, 1, 1, 1),
	"tensor w: has 4294967295 axes":                                                                    head(3, 1, 0) + text("w") + u32(math.MaxUint32) + strings.Repeat("\x00", 40),
	"tensor w: has an axis of 0":                                                                       head(3, 1, 0) + info("w", 0, 0, 8, 0),
	"tensor w: has an axis of 9223372036854775808":                                                     head(3, 1, 0) + info("w", 0, 0, huge),
	"tensor w: has an axis of 8589934592, want from 1 to what can be addressed":                        head(3, 1, 0) + info("w", 0, 0, 1<<33, 1<<33),
	"tensor w: 4194304 × 1099511627776 weights, want from 1 to 2⁵⁶":                                    padded(head(3, 1, 0)+info("w", 0, 0, 1<<40, 1<<20, 4), 64),
	"tensor w: has type 99, which is not known":                                                        head(3, 1, 0) + info("w", 99, 0, 8),
	"tensor w: has type 38, bitnet.cpp's TL1":                                                          head(3, 1, 1) + text("general.architecture") + u32(8) + text("bitnet-b1.58") + info("w", 38, 0, 32),
	"tensor w: has type 39, bitnet.cpp's TL2":                                                          head(3, 1, 1) + text("general.architecture") + u32(8) + text("bitnet") + info("w", 39, 0, 32),
	"tensor w: rows of 100 weights, want a multiple of 128 for type PTQ1_0":                            padded(head(3, 1, 0)+info("w", 143, 0, 100), 64),
	"tensor w: rows of 33 weights, want a multiple of 32 for type MXFP4":                               padded(head(3, 1, 0)+info("w", 39, 0, 33), 64),
	"tensor w: begins at byte 8 of the data, want a multiple of 32 below 2⁶²":                          head(3, 1, 0) + info("w", 0, 8, 8),
	"tensor w: begins at byte 9223372036854775808 of the data":                                         head(3, 1, 0) + info("w", 0, huge, 8),
	"tensor w: is there twice":                                                                         head(3, 2, 0) + info("w", 0, 0, 8) + info("w", 0, 32, 8),
	"the data begin at byte 64 of 57":                                                                  head(3, 1, 0) + info("w", 0, 0, 8),
	"tensor w takes 64 bytes from byte 0 of the data on, which have 63":                                padded(head(3, 1, 0)+info("w", 0, 0, 16), 63),
	"tensor w takes 32 bytes from byte 4611686018427387872 of the data on":                             padded(head(3, 1, 0)+info("w", 0, 1<<62-32, 8), 63),
	"tensor b begins at byte 32 of the data, inside a, which ends at 64":                               padded(head(3, 2, 0)+info("a", 0, 0, 16)+info("b", 0, 32, 8), 64),
	"tensor b begins at byte 0 of the data, inside a, which ends at 64":                                padded(head(3, 2, 0)+info("a", 0, 0, 16)+info("b", 0, 0, 8), 64),
	"tensor b begins at byte 96 of the data, want 64, where what is before it":                         padded(head(3, 2, 0)+info("a", 0, 0, 16)+info("b", 0, 96, 8), 128),
	"tensor a begins at byte 32 of the data, want 0":                                                   padded(head(3, 1, 0)+info("a", 0, 32, 8), 64),
	"33 bytes follow the last tensor, a":                                                               padded(head(3, 1, 0)+info("a", 0, 0, 16), 97),
}

func TestRefusals(t *testing.T) {
	for want, data := range refused {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Parse("f", []byte(data))
		runtime.ReadMemStats(&after)
		wantError(t, err, want)
		if taken := after.TotalAlloc - before.TotalAlloc; taken > uint64(20*len(data)+1<<16) {
			t.Errorf("%s: %d bytes taken for a file of %d", want, taken, len(data))
		}
	}
	// Tensors in another order than their data, an unpadded end, a file without data and version 2 are all right.
	for name, data := range map[string]string{
		"order":    padded(head(3, 2, 0)+info("b", 0, 64, 8)+info("a", 0, 0, 16), 96),
		"unpadded": padded(head(3, 1, 0)+info("a", 0, 0, 7), 28),
		"no data":  head(3, 0, 1) + text("a") + u32(4) + u32(1),
		"two":      padded(head(2, 1, 0)+info("a", 0, 0, 8), 32),
	} {
		if _, err := Parse(name, []byte(data)); err != nil {
			t.Error(err)
		}
	}
}

// Every file cut short is refused.
func TestTruncated(t *testing.T) {
	data := encode(t, sampleKeys, sampleTensors())
	for n := range len(data) - 10 { // the last 10 bytes are padding
		if _, err := Parse("f", data[:n]); err == nil {
			t.Fatalf("%d of %d bytes were read", n, len(data))
		}
	}
}

func TestOpenRefusals(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		dir: "gguf: " + dir + ": got a directory, want a file", filepath.Join(dir, "absent"): "no such file", os.DevNull: "got a device, want a regular file",
	} {
		_, err := Open(path)
		wantError(t, err, want)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Open(empty)
	wantError(t, err, `begins with "", want "GGUF"`)
}
