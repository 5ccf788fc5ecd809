# Two commands set everything up and do the main job: `make demo` shows it, `make test` proves it.
# All downloads are pinned, checked by digest and kept in .cache; nothing is fetched twice.

SHELL         := bash
.SHELLFLAGS   := -euo pipefail -c
.DEFAULT_GOAL := help

CACHE   := $(CURDIR)/.cache
NATIVES := $(CACHE)/natives/current

# The pinned toolchain carries the fix of CVE-2026-94439 (a smuggled request after CONNECT); the go command fetches it by itself.
export GOTOOLCHAIN        := go1.26.11
export CGO_ENABLED        := 1
export CGO_LDFLAGS        := -L$(NATIVES)
# Tests load the library from here; the program built below carries its own.
export RERANKD_ONNXRUNTIME := $(NATIVES)/libonnxruntime.so

# The program switches it off by itself; what Python loads beside it in benchmarks must have it off as well.
export ORT_DISABLE_TELEMETRY := 1

# What e2e/differential found on each engine.
REPORT := $(CACHE)/differential.txt

CLUSTER ?=
DATA    ?=

# A comma within a function's argument.
, := ,

.PHONY: help
help: ## Show what can be made
	@awk 'BEGIN {FS = ":.*## "} /^[a-z][a-z0-9-]*:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: tools-present
tools-present:
	@for t in go gcc git; do command -v $$t >/dev/null || { echo "make: $$t is missing; on Debian: apt-get install $${t/#go/golang}" >&2; exit 1; }; done

.PHONY: natives
natives: tools-present ## Get the native libraries: the tokenizer (built) and ONNX Runtime (fetched)
	@build/natives.sh

.PHONY: build
build: natives ## Build bin/rerankd: one file, with the model and the runtime inside
	go build -buildvcs=auto -tags bundled -trimpath -ldflags '-s -w' -o bin/rerankd ./cmd/rerankd

.PHONY: demo
demo: build ## See a real cluster's results become better   [CLUSTER=URL] [DATA=FILE.ndjson]
	@e2e/demo.sh $(if $(CLUSTER),--cluster "$(CLUSTER)") $(if $(DATA),--data "$(DATA)")

.PHONY: test
test: lint pure race live ## Run every check: lint, unit, property, fuzz seeds, scripts, and live clusters

.PHONY: lint
lint: natives
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt would change:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	cd tools && go build -o $(CACHE)/bin/staticcheck honnef.co/go/tools/cmd/staticcheck
	$(CACHE)/bin/staticcheck ./...

# Everything but inference builds and tests with no C compiler and no native library.
.PHONY: pure
pure: tools-present
	CGO_ENABLED=0 CGO_LDFLAGS= go build ./...

.PHONY: race
race: natives
	go test -race -shuffle=on -timeout 30m ./...

.PHONY: live
live: build
	@rm -f $(REPORT)
	RERANKD_E2E=1 RERANKD_REPORT=$(REPORT) go test -count=1 -timeout 30m ./e2e/...
	RERANKD_E2E=1 go test -count=1 -run '^TestMemoryIsFlat$$' ./rerank/onnx
	@cat $(REPORT)

.PHONY: e2e
e2e: build ## Run the live tests on the wider matrix: OpenSearch 3.8, Elasticsearch 8.14 and 7.17 too
	@rm -f $(REPORT)
	RERANKD_E2E=matrix RERANKD_REPORT=$(REPORT) go test -count=1 -timeout 60m ./e2e/...
	@cat $(REPORT)

.PHONY: relevance
relevance: build ## Measure relevance over HTTP on a live node, against the golden summary
	RERANKD_E2E=relevance go test -count=1 -v -timeout 60m ./e2e/relevance

# Folders of models and texts, from here: RERANKD_MODEL stands in for the embedded one, RERANKD_BIENCODER is what it comes from, RERANKD_FP32 its
# twin of whole weights, RERANKD_HELD has the collections outside of its domain. RERANKD_EVAL_OUT is a file for the tables in Markdown.
.PHONY: eval-model
eval-model: build ## Measure the embedded model against lexical search and the bi-encoder it comes from   [RERANKD_BIENCODER=DIR] …
	RERANKD_E2E=model go test -count=1 -v -timeout 180m -run '^TestModel$$' ./e2e/relevance

TRAIN := $(CACHE)/train

.PHONY: train-corpus
train-corpus: ## Fetch and read the texts that the embedded model is made from and measured on
	test -x $(TRAIN)/env/bin/python || python3 -m venv $(TRAIN)/env
	$(TRAIN)/env/bin/pip install -q pyyaml==$$(sed -n 's/^PyYAML==//p' rerank/model/train/requirements.txt)
	cd rerank/model/train && $(TRAIN)/env/bin/python corpus.py --dir $(TRAIN)

.PHONY: experiments
experiments: build ## Hold `eval` and experiments against a known truth on every engine, by simulated people
	RERANKD_E2E=experiment go test -count=1 -v -timeout 90m ./e2e/relevance

.PHONY: fuzz
fuzz: natives ## Fuzz everything that parses or splices, FUZZTIME each (default 30s)
	@crashed=0; for p in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
	  log=$$(mktemp); go test -run '^$$' -fuzz "^$$f$$" -fuzztime $${FUZZTIME:-30s} $$p >$$log 2>&1 && crashes=0 || { crashes=1; crashed=1; cat $$log; }; \
	  printf '%-28s %-34s %12s executions  %s crashes\n' "$${p#github.com/rerankd/rerankd/}" $$f "$$(grep -o 'execs: [0-9]*' $$log | tail -1 | cut -c8-)" $$crashes; rm -f $$log; \
	done; done; exit $$crashed

.PHONY: bench
bench: build ## Measure overhead beside nginx, streaming memory, and milliseconds per document
	go run ./e2e/bench -rerankd bin/rerankd

# What inference is compared with, and on: an environment of pinned packages, and models made in it. About 7 GB, for PyTorch's sake; where pip is
# set up with an index of PyTorch's CPU builds it takes those, and needs 2 GB.
ENVIRONMENT := $(CACHE)/bench/inference
MODELS      := $(CACHE)/bench/models

$(ENVIRONMENT)/complete: e2e/bench/inference-requirements.txt
	@command -v python3 >/dev/null || { echo "make: python3 is missing; on Debian: apt-get install python3 python3-venv" >&2; exit 1; }
	python3 -m venv --clear $(ENVIRONMENT)
	$(ENVIRONMENT)/bin/pip install --disable-pip-version-check -r $<
	@touch $@

$(MODELS)/complete: e2e/bench/models.py $(ENVIRONMENT)/complete
	@rm -rf $(MODELS)
	$(ENVIRONMENT)/bin/python e2e/bench/models.py $(MODELS)
	@touch $@

# PARTS: sidebyside, exact, concurrent, seen, overload. SHAPES: minilm, xsmall. PRECISIONS: int8, fp32.
.PHONY: bench-inference
bench-inference: build $(MODELS)/complete ## Measure inference beside Python, under load and overload   [PARTS=…] [SHAPES=…] [PRECISIONS=…]
	go run ./e2e/bench -rerankd bin/rerankd -python $(ENVIRONMENT)/bin/python -models $(MODELS) -rounds 7 \
	  -parts $(or $(PARTS),sidebyside$(,)exact$(,)concurrent$(,)seen$(,)overload) -shapes $(or $(SHAPES),minilm) -precisions $(or $(PRECISIONS),int8$(,)fp32)

.PHONY: clean
clean: ## Remove what was built (downloads in .cache stay)
	rm -rf bin
