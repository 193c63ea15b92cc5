package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"bitgpu/internal/units"
	"bitgpu/nn/train/device"
)

// mostText limits how many bytes of stdin are read as a whole to a part of the free memory: the text, its pieces and its
// tokens together take several times its size. A device such as /dev/zero has no end.
func mostText() int64 { return min(1<<28, max(device.FreeMemory()/16, 1<<20)) }

// readText reads a text whole.
func readText(in io.Reader, most int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && int64(len(data)) > most {
		return nil, tooLong(most)
	}
	return data, err
}

// readTextLine reads a line with its newline. The error is io.EOF at the end of the stream, also after a last line without a
// newline.
func readTextLine(in *bufio.Reader, most int64) (string, error) {
	var line strings.Builder
	for {
		piece, err := in.ReadSlice('\n')
		if int64(line.Len()+len(piece)) > most {
			return "", tooLong(most)
		}
		line.Write(piece)
		if err != bufio.ErrBufferFull {
			return line.String(), err
		}
	}
}

func tooLong(most int64) error {
	return fmt.Errorf("got more than %s, want at most that of a text that is read whole", units.Bytes(most))
}
