# SPDX-License-Identifier: Apache-2.0
#
# The short commands; CMakeLists.txt does the work. `make help` lists them.
PYTHON ?= $(shell test -x /usr/bin/python3 && echo /usr/bin/python3 || command -v python3)
CLANG ?= $(shell command -v clang-14 || command -v clang || echo clang)
PREFIX ?= /usr/local
DESTDIR ?=
# More for the configure step, for example CMAKE_FLAGS=-DSKEP_WERROR=OFF
CMAKE_FLAGS ?=
SOAK_SECONDS ?= 60
FUZZ_SECONDS ?= 60
# Interpreters beside PYTHON for `make conformance`
PYTHONS ?= $(wildcard $(HOME)/.pyenv/versions/3.9.*/bin/python3 $(HOME)/.pyenv/versions/3.[1-9][0-9].*/bin/python3)
JOBS ?= $(shell nproc)

configure = cmake --preset $(1) -DSKEP_PYTHON=$(PYTHON) $(CMAKE_FLAGS) $(2) >/dev/null
build = cmake --build --preset $(1) -j $(JOBS) -- --quiet

.PHONY: all bootstrap build demo test bench conformance soak check-all arm64 fuzz install format lint clean help

all: build ## build library, command, Python package, tests and examples (default)

bootstrap:
	@tools/bootstrap.sh

build: bootstrap
	@$(call configure,release)
	@$(call build,release)

demo: build ## a 48 MiB array from process to process, and what it costs elsewhere
	@PYTHONPATH=build/python $(PYTHON) examples/demo.py

test: build ## every test of the normal build
	@ctest --preset release

bench: build ## measure; writes build/bench.json
	@PYTHONPATH=build/python SKEP_BUILD=build $(PYTHON) bench/run.py

conformance: build ## CPython's own tests of multiprocessing; PYTHONS= more interpreters, CONFORMANCE_FLAGS="--only REGEX" some classes
	@SKEP_BUILD=build $(PYTHON) tools/conformance.py $(CONFORMANCE_FLAGS) $(PYTHON) $(PYTHONS); status=$$?; [ $$status = 0 ] || [ $$status = 77 ]

soak: build ## random kill -9 for SOAK_SECONDS (60), each of six tests
	@SKEP_SOAK_SECONDS=$(SOAK_SECONDS) CK_DEFAULT_TIMEOUT=$$(($(SOAK_SECONDS) + 120)) SKEP_BUILD=build build/tests/soak_test
	@SKEP_SOAK_SECONDS=$(SOAK_SECONDS) CK_DEFAULT_TIMEOUT=$$(($(SOAK_SECONDS) + 120)) SKEP_BUILD=build build/tests/sync_soak_test
	@SKEP_SOAK_SECONDS=$(SOAK_SECONDS) CK_DEFAULT_TIMEOUT=$$(($(SOAK_SECONDS) + 120)) SKEP_BUILD=build build/tests/list_soak_test
	@SKEP_SOAK_SECONDS=$(SOAK_SECONDS) CK_DEFAULT_TIMEOUT=$$(($(SOAK_SECONDS) + 120)) SKEP_BUILD=build build/tests/dict_soak_test
	@SKEP_SOAK_SECONDS=$(SOAK_SECONDS) SKEP_BUILD=build build/tests/pool_soak_test
	@SKEP_SOAK_SECONDS=$(SOAK_SECONDS) PYTHONPATH=build/python $(PYTHON) -m pytest -q -s -k soak python/tests/test_pool.py

check-all: ## tests, style, sanitizers, clang, fuzz corpus, arm64, models
	@tools/bootstrap.sh --all
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory lint
	@echo "== messages of more than 2 GiB"
	@SKEP_LARGE=1 ctest --preset release -R test_large
	@echo "== address and undefined behaviour"
	@$(call configure,asan)
	@$(call build,asan)
	@ctest --preset asan
	@echo "== threads"
	@$(call configure,tsan)
	@$(call build,tsan)
	@ctest --preset tsan --no-tests=error
	@echo "== clang"
	@$(call configure,clang,-DCMAKE_C_COMPILER=$(CLANG))
	@$(call build,clang)
	@ctest --preset clang
	@echo "== fuzz corpus"
	@$(call configure,fuzz,-DCMAKE_C_COMPILER=$(CLANG))
	@$(call build,fuzz)
	@ctest --preset fuzz --no-tests=error
	@if command -v aarch64-linux-gnu-gcc >/dev/null; then $(MAKE) --no-print-directory arm64; \
	else echo "== arm64: no gcc-aarch64-linux-gnu here, left out"; fi
	@echo "== models"
	@tests/model/run.sh

arm64: ## cross-compile for 64-bit ARM; run the tests if qemu-user is there
	@echo "== arm64"
	@$(call configure,arm64)
	@$(call build,arm64)
	@if command -v qemu-aarch64 >/dev/null; then ctest --preset arm64; else echo "arm64: no qemu-aarch64 here, built only"; fi

fuzz: ## look for new inputs for FUZZ_SECONDS (60); what it finds is left in build-fuzz/
	@tools/bootstrap.sh --all
	@$(call configure,fuzz,-DCMAKE_C_COMPILER=$(CLANG))
	@$(call build,fuzz)
	@mkdir -p build-fuzz/corpus
	@build-fuzz/tests/hive_fuzz -verbosity=0 -max_total_time=$(FUZZ_SECONDS) -timeout=10 -max_len=256 -artifact_prefix=build-fuzz/ \
	        build-fuzz/corpus tests/fuzz/corpus/hive
	@mkdir -p build-fuzz/corpus-wire
	@build-fuzz/tests/wire_fuzz -verbosity=0 -max_total_time=$(FUZZ_SECONDS) -timeout=10 -max_len=512 -artifact_prefix=build-fuzz/ \
	        build-fuzz/corpus-wire tests/fuzz/corpus/wire

install: build ## PREFIX (/usr/local), DESTDIR; the Python package is installed by `pip install .`
	@DESTDIR=$(DESTDIR) cmake --install build --prefix $(PREFIX)
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ] && command -v ldconfig >/dev/null; then ldconfig; fi

format: ## clang-format over all C files
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs -r clang-format -i

lint: ## house rules, symbols, and the warnings of clang
	@$(PYTHON) tools/tidy.py
	@$(PYTHON) tools/symbols.py
	@if command -v $(CLANG) >/dev/null; then \
	        sed -e 's/#.*//' src/sources.txt | xargs -r -n 1 -P $(JOBS) $(CLANG) -fsyntax-only -std=gnu11 -D_GNU_SOURCE -pthread -Iinclude -Isrc \
	                -Wall -Wextra -Wpedantic -Wconversion -Wimplicit-fallthrough -Wunreachable-code -Werror && echo "clang: no warnings"; \
	else echo "lint: no clang here, skipped"; fi

clean: ## remove every build folder
	@rm -rf build build-*

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|'
