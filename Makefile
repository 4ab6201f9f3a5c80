# WANSpec's front door. `make` lists what there is. Works with GNU make 3.81 (macOS) and newer.
#
# Everything is built once, in release, and shared: the demo, the tests and the benchmarks use one build folder.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test check build tests bench mutation-check bootstrap bootstrap-tests format models-demo \
  models-test reference clean distclean

# Models by catalogue name (`wanspec models list`).
DEMO_MODELS := qwen2.5-coder-1.5b-instruct-bf16 qwen2.5-coder-0.5b-instruct
TEST_MODELS := smollm2-135m-instruct smollm2-135m-instruct-q2_k
ifeq ($(WANSPEC_TEST_LARGE),1)
TEST_MODELS += $(DEMO_MODELS)
endif

BUILD := .build
SWIFT_FLAGS := -c release --scratch-path $(BUILD)
WANSPEC := $(BUILD)/release/wanspec
# Exports PKG_CONFIG_PATH, so that Swift finds the llama.cpp that dev/bootstrap chose or built.
WITH_LLAMA := eval "$$(dev/env)" &&

# Prompts of `make bench`, and how many of them, spread over all tasks.
PROMPTS ?= Benchmarks/prompts.jsonl
LIMIT ?= 24
RESULTS ?= results

help: ## List these targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
	  awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

demo: build models-demo ## Set everything up, then show speculative decoding over a WAN (about 2 minutes)
	@$(WANSPEC) demo

test: tests models-test ## Set everything up and run all tests (WANSPEC_TEST_LARGE=1: on the large models too)
	@$(WITH_LLAMA) swift test $(SWIFT_FLAGS) --skip-build --disable-xctest --no-parallel

check: ## Formatting, lint, import rules, generated code up to date
	@status=0; for each in dev/lint dev/check-imports dev/check-generated "dev/draw-house --check"; do $$each || status=1; done; \
	  dev/mutation-check --list >/dev/null || status=1; exit $$status

build: bootstrap ## Build the program: .build/release/wanspec
	@$(WITH_LLAMA) swift build $(SWIFT_FLAGS) --product wanspec

tests: bootstrap-tests ## Build the program and all tests
	@$(WITH_LLAMA) swift build $(SWIFT_FLAGS) --build-tests

bench: build models-demo ## Measure all modes and llama.cpp's own speculation on the same prompts (about 1 hour)
	@mkdir -p $(RESULTS)
	$(WANSPEC) bench --prompts $(PROMPTS) --limit $(LIMIT) --cpus 0 --worker-cpus 1 --max-tokens 96 \
	  --draft-lengths 5 --rtt 0ms --rtt 30ms --rtt 100ms --rtt 150ms \
	  --json-file $(RESULTS)/wanspec.jsonl || [ $$? = 3 ]
	@for kernels in "" patched; do \
	  Benchmarks/compare-llama.cpp --prompts $(PROMPTS) --limit $(LIMIT) $${kernels:+--$$kernels} \
	    --json $(RESULTS)/llama.cpp$${kernels:+-$$kernels}.json \
	    --target "$$(WANSPEC_JSON= $(WANSPEC) models path qwen2.5-coder-1.5b-instruct-bf16)" \
	    --draft "$$(WANSPEC_JSON= $(WANSPEC) models path qwen2.5-coder-0.5b-instruct)" || exit 1; \
	done

mutation-check: ## Plant bugs in a copy of the core and show that the fault simulation finds each (10 minutes)
	@dev/mutation-check

bootstrap: ## Install what is missing: system packages, llama.cpp
	@dev/bootstrap

bootstrap-tests: # ... and a browser, in which the tests open pages
	@dev/bootstrap --tests

models-demo: build
	@$(WANSPEC) models pull $(DEMO_MODELS)

models-test: tests
	@$(WANSPEC) models pull $(TEST_MODELS)

reference: tests ## Make the libraries' reference with DocC, where Swift has it: .build/documentation
	@BUILD=$(BUILD) dev/document

format: ## Format the Swift sources
	@dev/format

clean: ## Remove what was built in this folder
	rm -rf $(BUILD) .deps/check .deps/logs

distclean: clean ## ... and the set-up of this folder (not the cache of models and llama.cpp that all clones share)
	rm -rf .deps .swiftpm Package.resolved
