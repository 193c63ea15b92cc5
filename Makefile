# Everything a person or a machine does with this repository, on Debian with Go and gcc.

GO ?= go
APT = apt-get
ifneq ($(shell id -u),0)
APT = sudo apt-get
endif

# The software Vulkan adapter, so that the GPU tests run on a machine without a GPU.
DRIVER = mesa-vulkan-drivers libvulkan1
# What the live window is built with, and a display for its test.
WINDOW = libx11-dev libgl-dev libxcursor-dev libxrandr-dev libxinerama-dev libxi-dev libxxf86vm-dev xvfb xauth

.PHONY: build window python test test-go test-parity test-python test-window bench packages

build:
	$(GO) build -o bin/bitgpu ./cmd/bitgpu

window: packages
	$(GO) build -tags window -o bin/bitgpu ./cmd/bitgpu

python:
	$(GO) build -buildmode=c-shared -buildvcs=false -o python/bitgpu/libbitgpu.so ./cmd/libbitgpu

test: test-go test-parity test-python test-window

# BITGPU_REQUIRE_GPU makes a missing adapter a failure instead of a skipped test.
test-go: packages
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt would change: $$unformatted"; exit 1; }
	$(GO) vet ./...
	BITGPU_REQUIRE_GPU=1 $(GO) test -timeout 15m ./...
	BITGPU_REQUIRE_GPU=1 $(GO) test -race -run Session .

# Every kernel and whole models of both engines against float64, by the benchmark's bounds.
test-parity: packages
	BITGPU_REQUIRE_GPU=1 $(GO) run ./cmd/bitgpu bench --quick --only '^parity'

# Builds the library itself.
test-python:
	@if command -v python3 >/dev/null; then BITGPU_REQUIRE_GPU=1 python3 -m unittest discover python/tests; \
	else echo "python3 is not installed: the Python package is not tested"; fi

test-window: packages
	$(GO) vet -tags window ./cmd/bitgpu
	BITGPU_REQUIRE_GPU=1 xvfb-run -a $(GO) test -tags window ./cmd/bitgpu -run Window

bench:
	$(GO) run ./cmd/bitgpu bench

packages:
	@dpkg -s $(DRIVER) $(WINDOW) >/dev/null 2>&1 || { $(APT) update -q && $(APT) install -y -q --no-install-recommends $(DRIVER) $(WINDOW); }
