# Everything a person or a machine does with this repository. `make help` lists it.

SHELL := /bin/bash -o pipefail
.DEFAULT_GOAL := help

TOOLS        := $(CURDIR)/.tools
BUILD        := $(CURDIR)/.build
STATICCHECK  := $(TOOLS)/bin/staticcheck
DYNAMODB     := $(TOOLS)/dynamodb-local
SCHEMATHESIS := $(TOOLS)/schemathesis

STATICCHECK_VERSION := v0.8.2

# How everything but the race detector is compiled: without a C compiler, and
# the same way each time, so that no dependency is compiled more often than needed.
PLAIN := CGO_ENABLED=0

# The end-to-end suite on DynamoDB Local runs without the race detector: the same
# suite has it on the embedded store, and the adapter in its contract. So do its
# largest values, which would take minutes with it.
PLAINLY := ^(TestOnDynamoDBLocal|TestLargeValuesOnTheEmbeddedStore)$$

# Where CI is "true" a tool that is missing is a failure. On anybody else's
# machine it is said in a line what is left out, and why.
left_out = { echo "left out: $(1)"; [ "$(CI)" != "true" ]; }

.PHONY: help run test bench build tools fmt fuzz clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

run: build ## start the product on the embedded store; it says where, and with which key
	@exec $(BUILD)/tenure

build: ## build the program that make run starts
	@command -v go >/dev/null || { echo "Go is not installed: see https://go.dev/dl"; exit 1; }
	@$(PLAIN) go build -o $(BUILD)/tenure ./localstack

test: tools ## install what the tests need, and pass all of them
	@unformatted=$$(gofmt -l core functions infra localstack 2>/dev/null); \
	  [ -z "$$unformatted" ] || { echo "not formatted (make fmt):"; echo "$$unformatted"; exit 1; }
	$(PLAIN) go vet ./...
	@if [ -x $(STATICCHECK) ]; then \
	  echo "staticcheck ./..."; $(PLAIN) $(STATICCHECK) ./...; \
	else \
	  $(call left_out,staticcheck: it could not be installed); \
	fi
	@if command -v "$$(go env CC | cut -d' ' -f1)" >/dev/null; then \
	  echo "go test -race ./..."; go test -race -skip '$(PLAINLY)' ./... && $(PLAIN) go test -run '$(PLAINLY)' ./localstack; \
	else \
	  $(call left_out,the race detector: it needs a C compiler and there is none) && go test ./...; \
	fi

bench: build ## measure the main job on the embedded store, then on DynamoDB Local
	@$(PLAIN) go build -o $(BUILD)/bench ./localstack/bench
	@$(BUILD)/bench -server $(BUILD)/tenure $(BENCH)
	@$(MAKE) --no-print-directory $(DYNAMODB)/.installed
	@go test ./localstack/bench -run '^$$' -bench DynamoDB -benchtime 1x -timeout 30m

fuzz: ## run every fuzz target for FUZZTIME each
	@for package in $$(go list ./core/...); do \
	  for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
	    echo "$$package $$target"; \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
	  done; \
	done

FUZZTIME ?= 60s

fmt: ## format the code
	gofmt -w core localstack

clean: ## remove what was built and installed here, but no data
	rm -rf $(BUILD) $(TOOLS)

tools: $(TOOLS)/.staticcheck $(DYNAMODB)/.installed $(SCHEMATHESIS)/.installed ## install the tools of the tests into .tools

$(TOOLS)/.staticcheck: Makefile
	@echo "installing staticcheck $(STATICCHECK_VERSION)"
	@if GOBIN=$(TOOLS)/bin go install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION); then \
	  touch $@; \
	else \
	  $(call left_out,staticcheck: it could not be installed); \
	fi

# AWS's own DynamoDB Local. Without Java or Maven the tests that need it are left out.
$(DYNAMODB)/.installed: localstack/dynamodb-local/pom.xml
	@if command -v java >/dev/null && command -v mvn >/dev/null; then \
	  echo "fetching DynamoDB Local"; \
	  mvn -q -B -f $< -Dmaven.repo.local=$(TOOLS)/m2 dependency:copy-dependencies -DoutputDirectory=$(DYNAMODB) && touch $@; \
	else \
	  $(call left_out,the tests on DynamoDB Local: they need Java 17 and Maven); \
	fi

# The test of the running product against its own description.
$(SCHEMATHESIS)/.installed: localstack/schemathesis/requirements.txt
	@if ! python3 -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  $(call left_out,the test by schemathesis: it needs Python 3.11 with venv and pip); \
	elif echo "installing $$(grep '^schemathesis==' $<)" && \
	  python3 -m venv --clear $(SCHEMATHESIS) && \
	  $(SCHEMATHESIS)/bin/python -m pip install -q --disable-pip-version-check -r $<; then \
	  touch $@; \
	else \
	  rm -rf $(SCHEMATHESIS); \
	  $(call left_out,the test by schemathesis: it could not be installed); \
	fi
