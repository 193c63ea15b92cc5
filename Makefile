# Everything a person or a machine does with this repository, on Debian with Go and gcc.

GO ?= go
APT = apt-get
ifneq ($(shell id -u),0)
APT = sudo apt-get
endif

# The software Vulkan adapter, so that the GPU tests run on a machine without a GPU.
DRIVER = mesa-vulkan-drivers libvulkan1

.PHONY: build test driver bench

build:
	$(GO) build -o bin/bitgpu ./cmd/bitgpu

# BITGPU_REQUIRE_GPU makes a missing adapter a failure instead of a skipped test.
test: driver
	test -z "$$(gofmt -l .)"
	$(GO) vet ./...
	BITGPU_REQUIRE_GPU=1 $(GO) test -timeout 15m ./...

driver:
	@ls /usr/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json >/dev/null 2>&1 && ldconfig -p | grep -q libvulkan.so.1 || \
		{ $(APT) update -q && $(APT) install -y -q --no-install-recommends $(DRIVER); }

bench:
	$(GO) test -run '^$$' -bench . ./...
