# Everything a person or a machine does with this repository, on Linux with Go and gcc; "make help" lists it.

GO ?= go
CC ?= cc
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
# How long each fuzz target runs: make fuzz T=30s.
T ?= 10s
# How many ranks make test-mpi kills, and how many servers make test-replicas.
KILLS ?= 4
VERSITYGW = bin/s3/versitygw
# What was not tested, for the end of make test.
export TESTSUM = $(CURDIR)/bin/testsum.txt
# "make home PATH=example.org/x/bitgpu" names the module's path as everybody would. That PATH is not where programs are.
ifneq ($(filter home test-home,$(MAKECMDGOALS)),)
ifeq ($(origin PATH),command line)
MODULE := $(PATH)
override export PATH := $(or $(shell /usr/bin/tr '\0' '\n' </proc/$$PPID/environ 2>/dev/null | /usr/bin/sed -n 's/^PATH=//p'),/usr/local/go/bin:/opt/homebrew/bin:/usr/local/bin:/usr/bin:/bin)
endif
endif

.PHONY: help build window python cross test-cross dist test-arm64 instructions packages-arm64 test-dist test-reproducible test-windows home test-home test test-go test-parity test-python test-window lint fuzz cover licenses bench packages packages-gpu packages-window packages-screen packages-dist packages-test-dist packages-windows test-clients web packages-web test-mpi test-kubernetes packages-mpi test-dawn test-dawn-all test-dawn-here test-swiftshader test-validation packages-dawn packages-swiftshader packages-validation test-replicas scaling test-wgpu22 test-race

help: ## list what can be made
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/\1\t\2/p' Makefile | while IFS="$$(printf '\t')" read -r name what; do printf '  make %-18s %s\n' "$$name" "$$what"; done

build: ## the program, bin/bitgpu
	$(GO) build -o bin/bitgpu ./cmd/bitgpu

web: packages-web ## the page for browsers, bin/web, and the program that can write it
	GOOS=js GOARCH=wasm CGO_ENABLED=0 $(GO) build -buildvcs=false -ldflags='-s -w' -o bin/bitgpu.wasm ./cmd/bitgpu-wasm
	xz --format=lzma -9e -c bin/bitgpu.wasm > web/built/bitgpu.wasm.lzma
	cp "$$($(GO) env GOROOT)/lib/wasm/wasm_exec.js" web/built/
	$(GO) build -o bin/bitgpu ./cmd/bitgpu
	bin/bitgpu web -o bin/web

window: packages-window ## the program with the live window of "bitgpu view"
	$(GO) build -tags window -o bin/bitgpu ./cmd/bitgpu

python: ## the library of the Python package
	$(GO) build -buildmode=c-shared -buildvcs=false -o python/bitgpu/libbitgpu.so ./cmd/libbitgpu

# Without cgo there is no GPU and no window, and the compiler for every system is Go's own. Optimising is left out: it takes a third of
# the time, and what is built is thrown away.
SYSTEMS = linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64 js/wasm
cross: ## build it without GPUs for every system that Go builds it for, or for some: make cross SYSTEMS="darwin/arm64"
	@for system in $(SYSTEMS); do echo "building for $$system"; \
		CGO_ENABLED=0 GOOS=$${system%/*} GOARCH=$${system#*/} $(GO) build -gcflags='all=-N -l -dwarf=false' ./... || exit 1; done

# With these every file for one of the systems above is compiled.
test-cross: ## build it for as many systems as it takes to compile every file
	@$(MAKE) --no-print-directory cross SYSTEMS="linux/arm64 darwin/arm64 windows/amd64 js/wasm"

# The release of "make dist", that of the Python package where it is not given, and where its files will lie.
VERSION ?=
RELEASE_URL ?= https://example.org/bitgpu/v{version}

dist: packages-dist ## the packages of a release, bin/dist: make dist VERSION=1.2.3 RELEASE_URL=https://…/v{version}
	@if $(MAKE) -n web >/dev/null 2>&1; then $(MAKE) web; fi
	$(GO) run ./internal/dist -o bin/dist -version "$(VERSION)" -url "$(RELEASE_URL)" $$(test -d bin/web && echo -web bin/web)

test-dist: dist packages-test-dist ## install what make dist made, where there is neither a compiler nor Go, and use it
	BITGPU_DIST="$(CURDIR)/bin/dist" $(GO) test -tags dist -count 1 -v -timeout 60m -run Installed ./internal/dist

test-reproducible: packages-dist ## build the packages twice, in two folders and without a cache the second time, and compare them bit for bit
	$(GO) test -tags dist -count 1 -v -timeout 120m -run Reproducible ./internal/dist

# The CPU engine's packages, by a processor of Arm's without dot products of bytes and by one with all that QEMU knows; then a
# text, which a seed makes the same on every processor. What has no assembly is the same Go as elsewhere: its packages run once, and
# of nn/cpu the tests of the scalar twins and of the portable kernels are left out. All the same the engine is compared with the
# twins, and its kernels, in nn/cpu/simd, with the portable ones.
ARM64 = GOOS=linux GOARCH=arm64 CGO_ENABLED=0
ARM64_SKIP = /^(float64|scalar|ahead)$$|//^(scalar|portable)$$|///^portable$$
TEXT = run -p "ROMEO:" -n 40 --seed 7 --backend cpu
test-arm64: packages-arm64 ## the CPU engine for arm64, under QEMU, with dot-product instructions and without
	@mkdir -p bin/arm64
	$(GO) test ./nn/cpu/simd/asm/...
	$(ARM64) $(GO) vet ./nn/cpu/simd
	@set -e; for cpu in cortex-a53 max; do echo "arm64 as QEMU's $$cpu"; \
		$(ARM64) $(GO) test -short -timeout 2h -exec "qemu-aarch64-static -cpu $$cpu" -skip '$(ARM64_SKIP)' ./nn/cpu/simd ./nn/cpu; done
	$(ARM64) $(GO) test -short -timeout 2h -exec qemu-aarch64-static ./nn/ternary ./nn/optest
	$(GO) run ./cmd/bitgpu $(TEXT) >bin/arm64/native.txt
	$(ARM64) $(GO) build -o bin/arm64/bitgpu ./cmd/bitgpu
	@set -e; for cpu in cortex-a53 max; do qemu-aarch64-static -cpu $$cpu bin/arm64/bitgpu $(TEXT) >bin/arm64/$$cpu.txt; \
		cmp bin/arm64/native.txt bin/arm64/$$cpu.txt; done; echo "the text of a seed is the same"

instructions: packages-arm64 ## count what the kernels for arm64 execute
	$(GO) run ./internal/instructions

test-windows: packages-dist packages-windows ## the program for Windows, with GPU support, under Wine
	xvfb-run -a $(GO) test -tags wine -count 1 -v -timeout 30m -run Windows ./internal/dist

home: ## move the module's path, in imports and pages: make home PATH=example.org/x/bitgpu
	$(GO) run ./internal/home "$(MODULE)"

test-home: ## move a copy of the module, and build it
	$(GO) test -tags dist -count 1 -v -timeout 30m -run Home ./internal/home

# A stage that fails does not keep the others from being run; the end names it.
STAGES = test-cross test-go test-parity test-python test-window test-dawn-here
test: clean-account ## build and test everything, in stages, and say what failed and what this machine could not test
	@failed=; for stage in $(STAGES); do echo "== make $$stage"; $(MAKE) --no-print-directory $$stage || failed="$$failed $$stage"; done; \
	if test -n "$$failed"; then echo "failed:$$failed; each can be run alone: make STAGE"; exit 1; fi; \
	echo "all of it passed; what was tested and what not:"; cat "$(TESTSUM)"

.PHONY: clean-account
clean-account:
	@mkdir -p bin; : > "$(TESTSUM)"

# The tests of requests beside each other: 64 at a time, of which some go away, over places that are used again.
SERVER_RACE = 'Concurrent|Places|Turns|Queue|Prefixes|WhoGoes'

# BITGPU_REQUIRE_GPU makes a missing adapter a failure instead of a skipped test. The package that takes longest comes first, so that no
# processor waits for it at the end.
test-go: packages-gpu ## formatting, vet and the tests of all packages
	@mkdir -p bin
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt would change: $$unformatted"; exit 1; }
	$(GO) vet ./...
	BITGPU_REQUIRE_GPU=1 $(GO) run ./internal/testsum -timeout 60m ./nn/webgpu ./...
	BITGPU_REQUIRE_GPU=1 $(GO) test -race -run Session .
	$(GO) test -race ./serve -run $(SERVER_RACE)

# As many requests as without the detector, ten thousand over the same few places among them.
test-race: ## the server's concurrency under the race detector, the long form
	BITGPU_LONG=1 $(GO) test -race -timeout 2h ./serve -run $(SERVER_RACE)

# Every kernel and whole models of both engines against float64, by the benchmark's bounds.
test-parity: packages-gpu ## both engines against the float64 reference
	BITGPU_REQUIRE_GPU=1 $(GO) run ./cmd/bitgpu bench --quick --only '^parity'

# Builds the library itself.
test-python: ## the Python package
	@mkdir -p bin
	@if command -v python3 >/dev/null; then BITGPU_REQUIRE_GPU=1 python3 -m unittest discover python/tests; \
	else echo "  skipped  the Python package: python3 is not installed" | tee -a "$(TESTSUM)"; fi

test-window: packages-gpu packages-window packages-screen ## the live window, on a screen of its own
	@mkdir -p bin
	$(GO) vet -tags window ./cmd/bitgpu
	BITGPU_REQUIRE_GPU=1 xvfb-run -a $(GO) run ./internal/testsum -tags window ./cmd/bitgpu -run Window

# KILLS=50 is the long form.
test-mpi: packages-mpi ## training on several ranks under mpirun, KILLS=50 for the long form
	@mkdir -p bin
	$(GO) vet -tags mpi ./nn/train/mpi ./cmd/bitgpu
	$(GO) test -tags mpi ./nn/train/mpi
	BITGPU_KILLS=$(KILLS) $(GO) run ./internal/testsum -tags mpi -timeout 3h ./cmd/bitgpu -run MPI

# Latency and bandwidth between two ranks of this machine, by TCP over loopback: as it is, and, where namespaces can be made, as slow
# as DELAY and RATE say.
DELAY ?= 25us
RATE ?= 10gbit
scaling = mpirun --oversubscribe -n 2 --mca btl tcp,self --mca btl_tcp_if_include lo $(CURDIR)/bin/scaling measure
slow = ip link set lo up && tc qdisc add dev lo root netem delay $(DELAY) rate $(RATE)
scaling: packages-mpi ## what sums over many ranks cost, by messages measured here: make scaling DELAY=25us RATE=10gbit
	$(GO) build -tags mpi -o bin/scaling ./internal/scaling
	$(scaling)
	@if unshare -rn sh -c '$(slow)' 2>/dev/null; then echo "with a delay of $(DELAY) each way and $(RATE):"; \
		unshare -rn sh -c '$(slow) && OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 $(scaling)'; \
	else echo "  skipped  a slower network: this system has no namespaces, no tc or no netem"; fi

# Servers that share memories, over a directory and over a server of S3 that runs here: Versity's gateway, which heeds conditions.
test-replicas: $(VERSITYGW) ## servers that share memories, with some of them killed, KILLS=200 for the long form
	@mkdir -p bin
	BITGPU_S3_SERVER=$(CURDIR)/$(VERSITYGW) $(GO) test -count 1 ./serve/store
	BITGPU_S3_SERVER=$(CURDIR)/$(VERSITYGW) $(GO) test -count 1 ./serve -run 'Replica'
	BITGPU_S3_SERVER=$(CURDIR)/$(VERSITYGW) BITGPU_KILLS=$(KILLS) $(GO) run ./internal/testsum -timeout 60m -count 1 -v ./cmd/bitgpu -run 'Replicas'

$(VERSITYGW):
	GOBIN=$(CURDIR)/$(@D) $(GO) install github.com/versity/versitygw/cmd/versitygw@v1.8.0

KUBERNETES = bin/kubernetes
KUSTOMIZE = $(KUBERNETES)/bin/kustomize
KUBECONFORM = $(KUBERNETES)/bin/kubeconform
VALIDATE = $(KUBERNETES)/bin/kubernetes-validate
SCHEMAS = $(KUBERNETES)/schemas
overlays = $(notdir $(wildcard packaging/kubernetes/overlays/*))

test-kubernetes: $(VALIDATE) $(KUSTOMIZE) $(KUBECONFORM) $(SCHEMAS) ## the manifests of packaging/kubernetes, without a cluster
	@rm -f $(KUBERNETES)/*.yaml
	@for overlay in $(overlays); do $(KUSTOMIZE) build packaging/kubernetes/overlays/$$overlay >$(KUBERNETES)/$$overlay.yaml || exit 1; done
	$(KUBERNETES)/bin/python packaging/kubernetes/check.py $(overlays:%=$(KUBERNETES)/%.yaml)
	$(KUBECONFORM) -strict -summary -schema-location '$(SCHEMAS)/{{.ResourceKind}}{{.KindSuffix}}.json' $(filter-out %/kustomization.yaml,$(wildcard packaging/kubernetes/base/*.yaml)) $(overlays:%=$(KUBERNETES)/%.yaml)

$(VALIDATE):
	python3 -m venv $(KUBERNETES) && $(KUBERNETES)/bin/pip install -q kubernetes-validate==1.37.0

# kubernetes-validate's, whose addresses say that they are in the network.
$(SCHEMAS): $(VALIDATE)
	rm -rf $@ && cp -r $(KUBERNETES)/lib/python3*/site-packages/kubernetes_validate/kubernetes-json-schema/v1.37.0-local-strict $@
	find $@ -name '*.json' -exec sed -i 's|"$$id": "https:|"$$comment": "https:|; s|"/api/_definitions.json|"_definitions.json|' {} +

$(KUSTOMIZE):
	GOBIN=$(CURDIR)/$(@D) $(GO) install sigs.k8s.io/kustomize/kustomize/v5@v5.8.2

$(KUBECONFORM):
	GOBIN=$(CURDIR)/$(@D) $(GO) install github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0

# A second WebGPU, Dawn, by npm's package for node, and a software driver for it, which comes with Debian's chromium. The
# tests are the project's own, compiled for js/wasm.
DAWN_VERSION = 0.6.2
export DAWN = $(CURDIR)/bin/dawn
SWIFTSHADER = /usr/lib/chromium/vk_swiftshader_icd.json
# What takes long there: the clock, measuring, and the same cases once more in other ways.
DAWN_SLOW = ^(TestTime|TestReadbackDoesNotWaitForLaterWork|TestChangingParameters|TestEveryKernelCompiles|TestOnlyTheDriverNamesTheBinding|TestChoices|TestWorkgroupSizes|TestUnfused|TestFootprint|TestSteadyState|TestDecoders|TestProperties|TestTune|TestTuneAgain|TestRight|TestFastest|TestWrongWalk|TestWalkIsTuned|TestDispatches|TestNothingBound|TestDeltaToken)$$
dawn = $(GO) build -o bin/testsum ./internal/testsum && BITGPU_REQUIRE_GPU=1 GOOS=js GOARCH=wasm bin/testsum -exec $(CURDIR)/internal/dawn/exec
npm = test -d $(DAWN)/node_modules/webgpu || npm install --prefix $(DAWN) --no-audit --no-fund --loglevel=error webgpu@$(DAWN_VERSION)

test-dawn: packages-dawn ## shaders and engine on a second WebGPU, Dawn
	$(npm)
	$(dawn) -short -timeout 30m -skip '$(DAWN_SLOW)' ./gpu ./nn/webgpu

test-dawn-all: packages-dawn ## the same, and what takes an hour
	$(npm)
	$(dawn) -timeout 3h ./gpu ./nn/webgpu

# For "make test", which installs nothing from npm's registry on a machine that has no npm.
test-dawn-here:
	@mkdir -p bin
	@if ! command -v node >/dev/null || ! command -v npm >/dev/null || ! test -e $(SWIFTSHADER); then \
		echo "  skipped  the WebGPU of Dawn: node, npm or chromium is not installed; make test-dawn installs them" | tee -a "$(TESTSUM)"; \
	elif ! { $(npm); } >bin/npm.log 2>&1; then echo "  skipped  the WebGPU of Dawn: npm cannot install webgpu@$(DAWN_VERSION), see bin/npm.log" | tee -a "$(TESTSUM)"; \
	else $(MAKE) --no-print-directory test-dawn; fi

test-swiftshader: packages-gpu packages-swiftshader ## the native engine on a second software driver
	VK_ICD_FILENAMES=$(SWIFTSHADER) BITGPU_REQUIRE_GPU=1 $(GO) test -timeout 2h -skip '^TestOutOfMemory$$' ./gpu ./nn/webgpu

# What takes long with it: the same cases once more in other ways, and measuring.
WGPU22_SLOW = ^(TestUnfused|TestWorkgroupSizes|TestFootprint|TestSteadyState|TestDecoders|TestProperties|TestTune|TestTuneAgain|TestFastest|TestWalkIsTuned)$$
test-wgpu22: packages-gpu ## the native engine with the second binding, to wgpu-native 22
	$(GO) vet -tags wgpu22 ./gpu/... ./nn/webgpu
	BITGPU_REQUIRE_GPU=1 $(GO) run ./internal/testsum -tags wgpu22 -short -timeout 60m -skip '$(WGPU22_SLOW)' ./gpu ./nn/webgpu

# The layer writes what it finds to a file. A deliberate fault shows that it looks.
validation = VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation VK_LAYER_SETTINGS_PATH=$(CURDIR)/bin/validation/vk_layer_settings.txt
test-validation: packages-gpu packages-validation ## Vulkan's validation layer watches the native engine
	@mkdir -p bin/validation
	@printf 'khronos_validation.%s\n' 'enables = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT' 'debug_action = VK_DBG_LAYER_ACTION_LOG_MSG' \
		'report_flags = error,warn' 'log_filename = $(CURDIR)/bin/validation/found.txt' >bin/validation/vk_layer_settings.txt
	$(CC) -o bin/validation/fault internal/validation/fault.c -lvulkan
	$(validation) bin/validation/fault && grep -q SYNC-HAZARD-WRITE-AFTER-WRITE bin/validation/found.txt || { echo "the layer does not find a deliberate fault"; exit 1; }
	@for package in gpu nn/webgpu; do rm -f bin/validation/found.txt; \
		$(validation) BITGPU_REQUIRE_GPU=1 $(GO) test -count=1 -timeout 60m -skip '^(TestOutOfMemory|TestOpeningAndClosingLeavesNothing|TestTime)$$' ./$$package || exit 1; \
		test -e bin/validation/found.txt || { echo "the layer was not there"; exit 1; }; \
		test ! -s bin/validation/found.txt || { cat bin/validation/found.txt; exit 1; }; \
		echo "Vulkan's validation layer finds nothing in $$package, and a deliberate fault"; done

# By pip and npm, into bin/clients; promtool and hey are Debian's prometheus and hey. No part of test.
test-clients: build ## let other people's clients and testers use bitgpu serve; installs them into bin/clients
	python3 serve/clients/run.py bin/bitgpu bin/clients

lint: ## gofmt, vet and staticcheck
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt would change: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

# Go fails a target now and then that has found nothing, because its time was up in the middle of an input. Making an input smaller
# that reaches something new takes Go a minute where not said, and nothing else is tried meanwhile.
fuzz: ## every fuzz target for T each, 10s where not said: make fuzz T=30s
	@mkdir -p bin
	@grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed 's/:func / /' | while read -r file name; do \
		echo "$$name in $$(dirname $$file)"; $(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(T) -fuzzminimizetime 100x "$$(dirname $$file)" 2>&1 | tee bin/fuzz.txt; \
		grep -q '^ok' bin/fuzz.txt || { grep -q '^    context deadline exceeded' bin/fuzz.txt && ! grep -q 'Failing input' bin/fuzz.txt; } || exit 1; done

cover: ## the share of each package that its tests reach, bin/cover.html
	@mkdir -p bin
	$(GO) test -coverprofile=bin/cover.out ./...
	$(GO) tool cover -html=bin/cover.out -o bin/cover.html
	$(GO) tool cover -func=bin/cover.out | tail -1

licenses: ## collect the licences for "bitgpu licenses" again
	$(GO) run ./internal/licenses

bench: ## measure both engines
	$(GO) run ./cmd/bitgpu bench

packages: packages-gpu packages-web packages-window packages-screen packages-mpi ## install what the tests and the window need and the system lacks

# What is there counts, not who installed it. Only what is missing is installed, with apt; without apt it is named.
define need
	@missing="$$($(1))"; test -z "$$missing" || { \
	command -v apt-get >/dev/null || { echo "missing, by their names on Debian:" $$missing >&2; exit 1; }; \
	root=; test "$$(id -u)" = 0 || root=sudo; \
	$$root apt-get update -q && $$root apt-get install -y -q --no-install-recommends $$missing; }
endef

# A Vulkan loader and a driver for it, if only Mesa's software one. Elsewhere than on Linux the system has its own.
packages-gpu:
	$(call need,test "$$(uname -s)" != Linux || { \
		PATH="$$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null | grep -q 'libvulkan\.so\.1' || echo libvulkan1; \
		test -n "$$VK_DRIVER_FILES$$VK_ICD_FILENAMES" || ls /usr/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json /usr/local/share/vulkan/icd.d/*.json 2>/dev/null | grep -q . || echo mesa-vulkan-drivers; })

packages-dawn: packages-swiftshader
	$(call need,command -v node >/dev/null || echo nodejs; command -v npm >/dev/null || echo npm)

packages-swiftshader:
	$(call need,test -e $(SWIFTSHADER) || echo chromium)

packages-validation:
	$(call need,test -e /usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json || echo vulkan-validationlayers; \
		echo '#include <vulkan/vulkan.h>' | $(CC) -E -x c - >/dev/null 2>&1 || echo libvulkan-dev)

# What the page's engine is packed with.
packages-web:
	$(call need,command -v xz >/dev/null || echo xz-utils)

# The headers that the window is built with.
packages-window:
	$(call need,test "$$(uname -s)" != Linux || \
		for need in X11/Xlib.h:libx11-dev GL/gl.h:libgl-dev X11/Xcursor/Xcursor.h:libxcursor-dev X11/extensions/Xrandr.h:libxrandr-dev \
			X11/extensions/Xinerama.h:libxinerama-dev X11/extensions/XInput2.h:libxi-dev X11/extensions/xf86vmode.h:libxxf86vm-dev; do \
		printf '#include <X11/Xlib.h>\n#include <%s>\n' "$${need%:*}" | $(CC) -E -x c - >/dev/null 2>&1 || echo "$${need#*:}"; done)

# MPI with its headers and its launcher.
packages-mpi:
	$(call need,{ command -v mpirun >/dev/null || echo openmpi-bin; command -v pkg-config >/dev/null || echo pkg-config; \
		pkg-config --exists ompi-c 2>/dev/null || echo libopenmpi-dev; })

# A screen for the window's test.
packages-screen:
	$(call need,{ command -v xvfb-run || echo xvfb xauth; } | grep -v /)

# The C compilers of the other platforms that packages are built for, and what lists what is in a package.
packages-dist:
	$(call need,{ command -v x86_64-w64-mingw32-gcc || echo gcc-mingw-w64-x86-64; \
		command -v aarch64-linux-gnu-gcc || echo gcc-aarch64-linux-gnu libc6-dev-arm64-cross; } | grep -v /)

# Clean systems to install in, other processors, and what checks a package.
packages-test-dist:
	$(call need,{ command -v mmdebstrap || echo mmdebstrap; command -v lintian || echo lintian; \
		command -v qemu-aarch64-static || echo qemu-user-static; command -v groff || echo groff; } | grep -v /)

# Programs for arm64 here, and a disassembler that knows it.
packages-arm64:
	$(call need,{ command -v qemu-aarch64-static || echo qemu-user-static; \
		command -v aarch64-linux-gnu-objdump || echo binutils-aarch64-linux-gnu; } | grep -v /)

# Windows' programs here: Wine, the screen that it wants, and a driver for its Vulkan.
packages-windows: packages-gpu packages-screen
	$(call need,{ command -v wine && dpkg -s wine64 >/dev/null 2>&1 || echo wine wine64; } | grep -v /)
