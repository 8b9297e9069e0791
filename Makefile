# Every target that a person calls; "make" alone lists them. What is missing is installed first: Node 24 and the packages
# by npm, nats-server by Go, for tests and benchmark swaks, postfix and python3 by apt-get. Nothing outside this folder is
# touched, except by targets that say so.

NODE_VERSION := 24.21.0
NATS_VERSION := 2.15.2
VAR ?= var
PORT ?= 2525
CONFIG ?= etc/postfleet

.DEFAULT_GOAL := help
SHELL := /bin/bash
TOOLS := $(CURDIR)/.tools
export PATH := $(TOOLS)/bin:$(CURDIR)/node_modules/.bin:$(PATH)
export POSTFLEET_VAR ?= $(VAR)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/\1|\2/' | awk -F'|' '{printf "  make %-16s %s\n", $$1, $$2}'

.PHONY: install
install: ## install what is missing: Node, packages, nats-server
	@tools/install $(NODE_VERSION) $(NATS_VERSION)

.PHONY: build
build: install ## compile to dist/
	@tsc -p tsconfig.build.json

.PHONY: up
up: build ## start everything, SMTP on 127.0.0.1:PORT; VAR= state, PORT= SMTP port, CONFIG= main.cf and master.cf
	@exec bin/postfleet start --var "$(VAR)" --port "$(PORT)" --config "$(CONFIG)" $(ARGS)

.PHONY: down
down: ## stop what "make up" started (in VAR)
	@tools/down "$(VAR)"

.PHONY: reload
reload: ## read main.cf and master.cf again (in VAR); no session is dropped
	@bin/postfleet reload --var "$(VAR)"

.PHONY: check
check: ## say what is wrong with main.cf, master.cf and permissions
	@bin/postfleet check --config "$(CONFIG)" --var "$(VAR)"

.PHONY: status
status: ## say whether an instance runs (in VAR)
	@bin/postfleet status --var "$(VAR)"

.PHONY: abort
abort: ## end what "make up" started at once (in VAR)
	@bin/postfleet abort --var "$(VAR)"

.PHONY: flush
flush: ## try to deliver all that is deferred (in VAR)
	@bin/postfleet flush

.PHONY: clean
clean: down ## stop, and remove what was built and the state in VAR
	rm -rf dist "$(VAR)"

.PHONY: test-programs
test-programs: # swaks, postfix and python3, by apt-get where root or sudo may
	@tools/install-test-programs

.PHONY: test
test: install test-programs ## run every test; installs swaks, postfix and python3 by apt-get where they are missing
	@tools/test

.PHONY: lint
lint: install ## formatting, lint, types, protocols
	@biome check . && buf lint && tsc --noEmit -p .

.PHONY: generate
generate: install ## make lib/clients/generated from proto/
	@buf generate

.PHONY: generate-check
generate-check: install ## fail where generated files differ from their sources
	@tools/generate-check

.PHONY: docs
docs: install ## write docs/man and docs/parameters.md from the sources
	@node tools/parameter-readers.ts && node tools/parameters-page.ts && node tools/man-pages.ts

.PHONY: conformance
conformance: install ## run Postfix's own cases, where they lie beside the checkout
	@tools/conformance $(FAMILY)

.PHONY: charts
charts: install ## check the Helm charts: lint, suites, schemas (builds helm by Go the first time)
	@tools/check-charts

.PHONY: charts-generate
charts-generate: install ## make schema and README of each chart from its values
	@node tools/charts/main.ts

.PHONY: bench
bench: build test-programs ## compare with Debian's Postfix, installed where it is missing; ONLY=relay-20 for one scenario
	@node dist/test/bench/main.js --var "$(VAR)" $(if $(ONLY),--only $(ONLY)) $(ARGS)

.PHONY: faults
faults: build ## kill everything at random under load and check the ledger; ARGS="--messages N --kills K --seed S"
	@node dist/test/faults/main.js --var "$(VAR)" $(ARGS)

-include test/cluster/cluster.mk
-include test/bench/tables.mk
