# Every target that matters has a line of its own; `make` prints them.
.DEFAULT_GOAL := help
.PHONY: help build run demo test race fuzz bench crash ha drills lint gen proto check tools

GO       ?= go
T        ?= 10s
ROUNDS   ?= 20
LINT      = golangci-lint
LINT_PKG  = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
PROTO_BIN = $(CURDIR)/bin/proto
PROTO_PKG = github.com/bufbuild/buf/cmd/buf@v1.75.0 \
  google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12 \
  google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2 \
  github.com/planetscale/vtprotobuf/cmd/protoc-gen-go-vtproto@v0.6.1-0.20240319094008-0393e58bdf10
GOBIN    := $(shell $(GO) env GOPATH)/bin
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
SHA      ?= $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
LDFLAGS   = -s -w -X main.version=$(VERSION) -X main.gitSHA=$(SHA)

help: ## print this
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "%-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## the static binary, in bin/broker
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/broker ./cmd/broker

run: ## serve from source, on 127.0.0.1:7900
	$(GO) run ./cmd/broker serve

demo: ## two peers exchange sealed messages through the chain
	$(GO) run ./cmd/broker demo

test: ## everything that has to hold: vet, then all tests with the race detector
	$(GO) vet ./...
	$(GO) test -race -shuffle=on -timeout 30m ./...

race: test ## the same as test

fuzz: ## each fuzz target, and the HTTP surface, for T (10s): make fuzz T=10m
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "== $$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(T) $$pkg; \
	  done; done
	$(GO) test -race -count=1 ./core/app -run OpenAPI -http.requests=1000000 -http.time=$(T) -timeout 24h

bench: ## benchmarks of the hot paths; docs/performance.md says how to measure the whole
	$(GO) test -run '^$$' -bench . -benchmem ./core/... ./stages/...

crash: ## kill -9 the broker under load for ROUNDS (20) rounds of 5,000 messages
	$(GO) test -count=1 -run Crash -v ./core/app -crash.rounds=$(ROUNDS) -crash.sends=5000 -timeout 30m

ha: ## cut the wire between replicas for ROUNDS (20) rounds of 1,000 messages
	$(GO) test -count=1 -run Replica -v ./cmd/broker -replica.rounds=$(ROUNDS) -replica.sends=1000 \
	  -replica.peers=1000 -replica.freeze=40s -timeout 2h

drills: ## kill, wedge, change and reload plugins under load, with 1,000 reloads
	$(GO) test -race -count=1 -run Drill -v ./cmd/broker -timeout 1h
	$(GO) test -count=1 -run DrillReloads -v ./cmd/broker -drill.reloads=1000 -timeout 1h
	$(GO) test -count=1 -run SlowPlugin -v ./core/pluginhost

lint: tools ## golangci-lint with .golangci.yml
	$(GOBIN)/$(LINT) run ./...

tools: ## build the pinned linter, once (some minutes from source)
	@$(GOBIN)/$(LINT) version 2>/dev/null | grep -q 'version v\?2.15.0' || $(GO) install $(LINT_PKG)

gen: ## refresh the generated documents
	$(GO) test ./core/config ./core/feature ./core/api/openapi ./core/app ./core/logging ./cmd/broker -run 'Reference|Doc' -update

proto: ## refresh the code of plugin.proto (the first time downloads and builds its programs)
	@echo '$(PROTO_PKG)' | cmp -s - $(PROTO_BIN)/versions || { set -e; \
	  for p in $(PROTO_PKG); do echo "build $$p"; GOBIN=$(PROTO_BIN) $(GO) install $$p; done; \
	  echo '$(PROTO_PKG)' > $(PROTO_BIN)/versions; }
	cd sdk/plugin/pluginpb && PATH=$(PROTO_BIN):$$PATH buf generate
	cp sdk/plugin/pluginpb/plugin.proto sdk/typescript/proto/plugin.proto

check: gen ## what CI runs, and that generated files are committed
	git diff --exit-code
	$(MAKE) test lint
