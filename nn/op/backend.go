package op

// Backend keeps tensors and runs programs on one device. What is asked of it runs in the order of the calls, but may run
// later; the first error is kept and comes back from Flush and the Download methods. A Backend is for one goroutine at a
// time.
type Backend[T any] interface {
	Tensors[T]
	// Name names the backend in errors.
	Name() string
	// Prepare checks the shapes of a program, resolves all that can be resolved in advance and fuses what the backend can
	// fuse. scratch are tensors that are not read after the program: fused operations need not write them.
	// An operation that the backend lacks is an error that names the operation and the backend. A shape that does not fit
	// panics (CheckShapes).
	Prepare(p Program[T], scratch ...T) (Prepared, error)
	// PrepareAlike is Prepare for a program in which each sequence has one row, as many sequences as Alike at most: each
	// gets to the bit what it gets in the same program with its row alone.
	PrepareAlike(p Program[T], scratch ...T) (Prepared, error)
	Alike() int
	// Has says whether the backend has an operation, whatever its tensors: the zero value of a type will do.
	Has(o Op[T]) bool
}

// WalkWidth is the largest width of a model, or of its memory, for which a backend may take a token through all blocks at once, from a copy
// of their weights.
const WalkWidth = 512

// Prepared is a program that can be run again and again. Running it checks, allocates and creates nothing. It is invalid
// once one of its tensors has been released.
type Prepared interface {
	Run()
	// Release frees what Prepare made. Nothing else may be called after it.
	Release()
}

// Tensors makes and keeps the tensors of a backend.
type Tensors[T any] interface {
	// New makes a tensor of zeros, F32, F16 or U32. Those of F16 are written by operations, Write, Copy and Load alone.
	New(format Format, shape ...int) T
	// NewSet makes n tensors like New, side by side where a kernel can then see them all. Copy does
	// not copy from one to another of a set.
	NewSet(n int, format Format, shape ...int) []T
	// NewGrowing is NewSet for F32 and F16 tensors that are written from the front and of which mostly a beginning is used, such
	// as caches: a backend may take memory only as it is written.
	NewGrowing(n int, format Format, shape ...int) []T
	// NewTernary makes room for a ternary matrix (rows, cols) of stacked blocks with a γ each;
	// absmean says that its products are multiplied by γ.
	NewTernary(rows, cols, blocks int, absmean bool) T
	// NewGroups makes room for a ternary matrix (rows, cols) with a scale each so many inputs of a row, a multiple of 32 that
	// divides cols.
	NewGroups(rows, cols, group int) T
	// Load copies a host tensor to the device, packed as it is.
	Load(t HostTensor) T
	// Release frees the memory of tensors that New or Load made, and of no others.
	Release(ts ...T)
	// Shape is a tensor's shape, nil of the zero T. It must not be changed.
	Shape(t T) []int
	// Rows is a view of the first n rows (along the first axis) of t. It owns nothing.
	Rows(t T, n int) T
	// Write replaces elements of an F32 or F16 tensor, in order with what was run before.
	Write(t T, offset int, values []float32)
	// WriteTokens replaces elements of a U32 tensor, in order with what was run before.
	WriteTokens(t T, offset int, ids []uint32)
	// Download waits for what was run and copies elements of an F32 or F16 tensor.
	Download(t T, offset int, dst []float32) error
	// DownloadTokens waits for what was run and copies elements of a U32 tensor.
	DownloadTokens(t T, offset int, dst []uint32) error
	// DownloadTernary waits for what was run and copies a ternary tensor, packed.
	DownloadTernary(t T) (HostTensor, error)
	// StartDownload begins to copy the elements of a U32 tensor as they are after what was run so far, and submits.
	// which (0, 1) tells two reads of one tensor apart: sessions that take turns each read a tensor of their own.
	// FinishDownload waits for what was started.
	StartDownload(t T, which int)
	FinishDownload(t T, which int, dst []uint32) error
	// Lookahead is how many tokens are worth sampling before they are read back: 1 where a read
	// costs nothing.
	Lookahead() int
	// Copy copies n elements of one F32, F16 or U32 tensor to another of the same format, or to other places of the same.
	Copy(dst T, dstOffset int, src T, srcOffset, n int)
	// CopySet copies the n elements of each tensor of a set into those of another.
	CopySet(dst, src []T, n int)
	// Zero fills a tensor with zeros, ZeroPart n of its elements from offset on.
	Zero(t T)
	ZeroPart(t T, offset, n int)
	// Submit starts what was run without waiting for it.
	Submit()
	// Flush waits for what was run, and returns the first error since the last Flush.
	Flush() error
}
