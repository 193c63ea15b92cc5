package corpus

import (
	"bufio"
	"compress/gzip"
	"io"
)

// unpacker decompresses gzip data in one or more parts. Like gzip itself, it ignores zeros after the last part, with which
// tapes and some programs pad files.
type unpacker struct {
	in *bufio.Reader
	z  *gzip.Reader
}

func newUnpacker(in *bufio.Reader) (*unpacker, error) {
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return &unpacker{in, z}, nil
}

func (u *unpacker) Read(p []byte) (int, error) {
	n, err := u.z.Read(p)
	if n > 0 && err == io.EOF {
		return n, nil // the last bytes of a part may arrive with its EOF
	}
	if err != io.EOF {
		return n, err
	}
	for {
		c, err := u.in.ReadByte()
		if err != nil {
			return 0, err
		}
		if c != 0 {
			break
		}
	}
	if err := u.in.UnreadByte(); err != nil {
		return 0, err
	}
	if err := u.z.Reset(u.in); err != nil {
		return 0, err
	}
	u.z.Multistream(false)
	return u.Read(p)
}
