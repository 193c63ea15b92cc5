package corpus

import (
	"bufio"
	"compress/gzip"
	"io"
)

// unpacker reads what gzip has packed, in one part or several. Zeros after the last part, with which tapes and some programs
// pad a file, are ignored, as gzip itself does.
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
		return n, nil // the last bytes of a part may come with its end
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
