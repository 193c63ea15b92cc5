package op

// Executor is what a backend offers: it keeps tensors and runs programs on one device. Calls take effect in order, but may run
// later; the first error is kept, and Flush and the Download methods return it. An Executor is for one goroutine at a time.
type Executor[T any] interface {
	Tensors[T]
	// Name names the backend in errors.
	Name() string
	// Prepare checks the shapes of a program, resolves whatever it can in advance and fuses operations where the backend knows
	// how. Tensors in scratch are not read after the program, so fused operations need not write them. An operation that the
	// backend lacks is an error that names both. A shape that does not fit panics (CheckShapes).
	Prepare(p Program[T], scratch ...T) (Prepared, error)
	// PrepareAlike is Prepare for a program with one row per sequence, for at most Alike sequences. Each row gets bit for bit
	// the result that it would get alone.
	PrepareAlike(p Program[T], scratch ...T) (Prepared, error)
	Alike() int
	// Has reports whether the backend has an operation, whatever its tensors: the zero value of its type will do.
	Has(o Op[T]) bool
}

// WalkWidth is the largest width of a model, or of its memory, for which a backend may take a token through all blocks in one
// dispatch, which reads a copy of their weights.
const WalkWidth = 512

// Prepared is a program that can be run again and again. Running it checks, allocates and creates nothing. It must not be
// used after one of its tensors has been released.
type Prepared interface {
	Run()
	// Release frees what Prepare made. Call nothing else afterwards.
	Release()
}

// Tensors makes and keeps the tensors of a backend.
type Tensors[T any] interface {
	// New makes a tensor of zeros: F32, F16 or U32. F16 tensors can only be written by operations, Write, Copy and Load.
	New(format Format, shape ...int) T
	// NewSet makes n tensors like New, placed so that a kernel can see all of them at once where the backend supports that. Copy
	// cannot copy between tensors of one set.
	NewSet(n int, format Format, shape ...int) []T
	// NewGrowing is NewSet for F32 and F16 tensors that are filled from the front and rarely to the end, such as caches. A
	// backend may take their memory as it is written.
	NewGrowing(n int, format Format, shape ...int) []T
	// NewTernary makes room for a ternary matrix (rows, cols) of `blocks` stacked blocks with one γ each. absmean: products are
	// multiplied by γ.
	NewTernary(rows, cols, blocks int, absmean bool) T
	// NewGroups makes room for a ternary matrix (rows, cols) with one scale per `group` inputs of a row; group is a multiple of
	// 32 and divides cols.
	NewGroups(rows, cols, group int) T
	// Load copies a host tensor to the device in the format that it has.
	Load(t HostTensor) T
	// Release frees tensors that New or Load made. It must not be called with others, such as views.
	Release(ts ...T)
	// Shape returns a tensor's shape, which must not be changed; nil for the zero T.
	Shape(t T) []int
	// Rows returns a view of the first n rows (along the first axis) of t. A view owns no memory.
	Rows(t T, n int) T
	// Write replaces elements of an F32 or F16 tensor, after the programs run so far.
	Write(t T, offset int, values []float32)
	// WriteTokens replaces elements of a U32 tensor, after the programs run so far.
	WriteTokens(t T, offset int, ids []uint32)
	// Download waits for the programs run so far and copies elements of an F32 or F16 tensor.
	Download(t T, offset int, dst []float32) error
	// DownloadTokens is Download for a U32 tensor.
	DownloadTokens(t T, offset int, dst []uint32) error
	// DownloadTernary is Download for a whole ternary tensor, which stays packed.
	DownloadTernary(t T) (HostTensor, error)
	// StartDownload starts copying the elements of a U32 tensor as the programs run so far leave them, and submits. Two
	// downloads of one tensor may be under way at once; which (0, 1) tells them apart. FinishDownload waits for one.
	StartDownload(t T, which int)
	FinishDownload(t T, which int, dst []uint32) error
	// Lookahead returns how many tokens are worth sampling before they are read back: 1 where reading back is free.
	Lookahead() int
	// Copy copies n elements between F32, F16 or U32 tensors of the same format, or within one.
	Copy(dst T, dstOffset int, src T, srcOffset, n int)
	// CopySet copies the first n elements of each tensor of one set to those of another.
	CopySet(dst, src []T, n int)
	// Zero fills a tensor with zeros, ZeroPart n of its elements starting at offset.
	Zero(t T)
	ZeroPart(t T, offset, n int)
	// Submit starts the programs recorded so far without waiting for them.
	Submit()
	// Flush waits for the programs run so far, and returns the first error since the last Flush.
	Flush() error
}
