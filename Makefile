# Everything a person or a machine does with this repository. `make help` lists it.

SHELL := /bin/bash -o pipefail
.DEFAULT_GOAL := help

TOOLS        := $(CURDIR)/.tools
BUILD        := $(CURDIR)/.build
STATICCHECK  := $(TOOLS)/bin/staticcheck
DYNAMODB     := $(TOOLS)/dynamodb-local
CHROMIUM     := $(TOOLS)/chromium
PYTHON_TOOLS := schemathesis sam checkov ministack

STATICCHECK_VERSION := v0.8.2
STRIPE_MOCK_VERSION := v0.203.0

# How everything but the race detector is compiled: without a C compiler, and
# the same way each time, so that no dependency is compiled more often than needed.
PLAIN := CGO_ENABLED=0 GOFLAGS=-trimpath

# How functions are compiled: small, and without what only an older runtime
# called them by.
FUNCTION := CGO_ENABLED=0 GOFLAGS="-trimpath -ldflags=-s -tags=lambda.norpc"
ARCHITECTURE ?= arm64
BUILD_DIR    ?= $(BUILD)/functions
SAM          := $(TOOLS)/sam/bin/sam

# The end-to-end suite on DynamoDB Local runs without the race detector: the same
# suite has it on the embedded store, and the adapter in its contract. So do its
# largest values, which would take minutes with it, the suite within the roles of
# the functions, what is deployed or emulated, and the console in a browser: no code
# of the tests' process. And so does what reads every system that there is a connector
# for: the suite itself has the race detector where it reads made-up ones. What reads
# a hundred megabytes to find where reading stops has one goroutine, and no minutes.
PLAINLY := ^(TestConnectors|TestAFileThatIsOneEndlessTextIsGivenUp|TestALargeFileIsReadInLittleMemory|TestCompressedAnswersAreReadUpToABound|TestOnDynamoDBLocal|TestLargeValuesOnTheEmbeddedStore|TestFunctions.*|TestDeployed|TestConsole.*)$$

# Where CI is "true" a tool that is missing is a failure. On anybody else's
# machine it is said in a line what is left out, and why.
left_out = { echo "left out: $(1)"; [ "$(CI)" != "true" ]; }

.PHONY: help run demo sync sources test templates bench build functions binaries operate tools fmt fuzz clean deploy deploy-local stop-local

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

run: build ## start the product on the embedded store; it says where, and with which key
	@exec $(BUILD)/tenure

build: ## build the program that make run starts
	@command -v go >/dev/null || { echo "Go is not installed: see https://go.dev/dl"; exit 1; }
	@$(PLAIN) go build -o $(BUILD)/tenure ./localstack

demo: ## fill the running product with a year of made-up data, through its API (ARGS="-accounts 500 -seed 1")
	@$(PLAIN) go build -o $(BUILD)/demo ./localstack/demo
	@exec $(BUILD)/demo $(ARGS)

sync: ## run a source to its end (SOURCE=name-or-id WORKSPACE=demo FULL=1)
	@$(PLAIN) go build -o $(BUILD)/sync ./localstack/sync
	@exec $(BUILD)/sync -workspace "$(WORKSPACE)" run "$(SOURCE)" $(if $(FULL),-full)

sources: ## see to the sources of a workspace (ARGS="list"; without, it says what there is)
	@$(PLAIN) go build -o $(BUILD)/sync ./localstack/sync
	@exec $(BUILD)/sync -workspace "$(WORKSPACE)" $(ARGS)

WORKSPACE ?= demo

functions: ## build the functions and the templates for AWS (ARCHITECTURE=arm64 or x86_64)
	@# Dependencies are compiled once, and not by every one of the builds beside each other.
	@GOOS=linux GOARCH=$(subst x86_64,amd64,$(ARCHITECTURE)) $(FUNCTION) go build ./functions/...
	@$(FUNCTION) SAM_CLI_TELEMETRY=0 $(SAM) build --parallel --template template.yaml --build-dir $(BUILD_DIR) --cache-dir $(BUILD)/sam-cache \
	  --parameter-overrides Architecture=$(ARCHITECTURE)

binaries: ## build the functions' programs, and an empty one to compare with, into OUT
	@$(FUNCTION) go build -o $(OUT) ./functions/... ./localstack/bench/empty

test: tools ## install what the tests need, and pass all of them
	@unformatted=$$(gofmt -l core functions infra localstack 2>/dev/null); \
	  [ -z "$$unformatted" ] || { echo "not formatted (make fmt):"; echo "$$unformatted"; exit 1; }
	$(PLAIN) go vet ./...
	@if [ -x $(STATICCHECK) ]; then \
	  echo "staticcheck ./..."; $(PLAIN) $(STATICCHECK) ./...; \
	else \
	  $(call left_out,staticcheck: it could not be installed); \
	fi
	@$(MAKE) --no-print-directory templates
	@if command -v "$$(go env CC | cut -d' ' -f1)" >/dev/null; then \
	  echo "go test -race ./..."; go test -race -skip '$(PLAINLY)' ./... && $(PLAIN) go test -timeout 40m -run '$(PLAINLY)' ./core/connector ./core/connectors ./infra ./localstack; \
	else \
	  $(call left_out,the race detector: it needs a C compiler and there is none) && go test ./...; \
	fi

templates: ## check the templates
	@if [ -x $(SAM) ]; then \
	  echo "sam validate, cfn-lint"; \
	  SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 $(SAM) validate --lint --template template.yaml && \
	  $(TOOLS)/sam/bin/cfn-lint template.yaml infra/table.yaml infra/roles.json infra/operations.json; \
	else \
	  $(call left_out,the checks of the templates: sam could not be installed); \
	fi
	@if [ -x $(TOOLS)/checkov/bin/checkov ]; then \
	  echo "checkov"; \
	  $(TOOLS)/checkov/bin/checkov --config-file infra/checkov.yaml; \
	else \
	  $(call left_out,the security check of the templates: checkov could not be installed); \
	fi

bench: build ## measure the main job and usage events on the embedded store, the matching of names, runs of sources, then on DynamoDB Local, and the functions
	@$(PLAIN) go build -o $(BUILD)/bench ./localstack/bench
	@$(BUILD)/bench -server $(BUILD)/tenure $(BENCH)
	@$(BUILD)/bench -names 100000
	@$(MAKE) --no-print-directory $(DYNAMODB)/.installed
	@PRICES=$(PRICES) $(PLAIN) go test ./core/sources ./localstack/bench -run '^$$' -bench . -benchtime 1x -timeout 60m

fuzz: ## run every fuzz target for FUZZTIME each
	@for package in $$(go list ./core/...); do \
	  for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
	    echo "$$package $$target"; \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
	  done; \
	done

FUZZTIME ?= 60s
PRICES   ?=

fmt: ## format the code
	gofmt -w core functions infra localstack

clean: ## remove what was built and installed here, but no data
	rm -rf $(BUILD) $(TOOLS)

tools: $(TOOLS)/.staticcheck $(TOOLS)/.stripe-mock $(DYNAMODB)/.installed $(CHROMIUM)/.installed $(PYTHON_TOOLS:%=$(TOOLS)/%/.installed) ## install the tools of the tests into .tools

$(TOOLS)/.staticcheck: Makefile
	@echo "installing staticcheck $(STATICCHECK_VERSION)"
	@if GOBIN=$(TOOLS)/bin go install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION); then \
	  touch $@; \
	else \
	  $(call left_out,staticcheck: it could not be installed); \
	fi

# Stripe's own stand-in for its API, which knows its description.
$(TOOLS)/.stripe-mock: Makefile
	@echo "installing stripe-mock $(STRIPE_MOCK_VERSION)"
	@if $(PLAIN) GOBIN=$(TOOLS)/bin go install github.com/stripe/stripe-mock@$(STRIPE_MOCK_VERSION); then \
	  touch $@; \
	else \
	  $(call left_out,the test on stripe-mock: it could not be installed); \
	fi

# AWS's own DynamoDB Local. Without Java or Maven the tests that need it are left out.
$(DYNAMODB)/.installed: localstack/dynamodb-local/pom.xml
	@if command -v java >/dev/null && command -v mvn >/dev/null; then \
	  echo "fetching DynamoDB Local"; \
	  mvn -q -B -f $< -Dmaven.repo.local=$(TOOLS)/m2 dependency:copy-dependencies -DoutputDirectory=$(DYNAMODB) && touch $@; \
	else \
	  $(call left_out,the tests on DynamoDB Local: they need Java 17 and Maven); \
	fi

# The browser of the tests comes whole in a package of npm, for Linux on x86-64;
# elsewhere it is the Chrome or Chromium that the machine has. axe comes the same
# way. Node is what npm runs on anyway, and unpacks Brotli.
UNBROTLI := node -e 'process.stdin.pipe(require("zlib").createBrotliDecompress()).pipe(process.stdout)'

$(CHROMIUM)/.installed: $(wildcard localstack/chromium/*)
	@if ! command -v npm >/dev/null; then \
	  $(call left_out,the browser tests: they need Node.js with npm); \
	elif echo "installing chromium" && \
	  rm -rf $(CHROMIUM) && mkdir -p $(CHROMIUM) && cp $^ $(CHROMIUM) && cd $(CHROMIUM) && \
	  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && \
	  { [ "$$(uname -sm)" != "Linux x86_64" ] || { \
	    packed=node_modules/@sparticuz/chromium/bin && \
	    $(UNBROTLI) <$$packed/al2023.tar.br | tar -x --no-same-owner && \
	    $(UNBROTLI) <$$packed/fonts.tar.br | tar -x --no-same-owner --exclude fonts.conf && \
	    $(UNBROTLI) <$$packed/chromium.br >chromium && chmod +x chromium; }; }; then \
	  touch $@; \
	else \
	  rm -rf $(CHROMIUM); \
	  $(call left_out,the browser tests: their browser could not be installed); \
	fi

# Tools written in Python: localstack/NAME/requirements.txt goes into .tools/NAME.
# schemathesis tests the running product against its own description; sam builds
# and deploys, and comes with AWS's runtime interface emulator and cfn-lint;
# checkov looks for what is unsafe in templates; ministack is the endpoint that
# stands in for AWS.
$(TOOLS)/%/.installed: localstack/%/requirements.txt
	@if ! python3 -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  $(call left_out,what needs $*: it needs Python 3.11 with venv and pip); \
	elif echo "installing $*" && \
	  python3 -m venv --clear $(TOOLS)/$* && \
	  $(TOOLS)/$*/bin/python -m pip install -q --disable-pip-version-check -r $<; then \
	  touch $@; \
	else \
	  rm -rf $(TOOLS)/$*; \
	  $(call left_out,what needs $*: it could not be installed); \
	fi

operate: ## build the operator's command into .build/operate
	@$(PLAIN) go build -o $(BUILD)/operate ./infra/operate

deploy-local: $(TOOLS)/sam/.installed $(TOOLS)/ministack/.installed ## deploy to a LocalStack-compatible endpoint on :4566, and start one if none answers
	@localstack/deploy.sh

stop-local: ## end the endpoint that deploy-local has started
	@localstack/stop.sh

STAGE ?= dev

deploy: $(TOOLS)/sam/.installed ## deploy to AWS as STAGE=dev, prod, …; the first time it asks what it needs to know
	@infra/deploy.sh $(STAGE)
