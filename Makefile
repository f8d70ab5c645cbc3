# make help lists the targets. Everything they make is in .payonce and web/dist.
.DEFAULT_GOAL := help
.PHONY: help setup dev demo test prove check mutants chaos chaos-mutants bench bench-quick profile generate cli fmt clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what tests need and this machine lacks (apt, npm); quick when nothing does
	@scripts/setup

demo: .payonce/bin ## Start everything; options by ARGS='--port 8080', ARGS=--cluster, see ARGS=--help
	@go build -buildvcs=false -o .payonce/bin/demo ./cmd/demo
	@exec .payonce/bin/demo --stop-with-parent $(ARGS)

dev: .payonce/bin ## The demo, with the page served from its sources by Vite
	@go build -buildvcs=false -o .payonce/bin/demo ./cmd/demo
	@exec .payonce/bin/demo --stop-with-parent --dev --no-browser $(ARGS)

.payonce/bin:
	@mkdir -p $@

test: setup ## Everything: lint, Go with -race, lab build, page, browser, a short campaign
	@exec scripts/test

prove: setup ## What proves more and takes longer: every mutant, the design's bugs, other systems, foreign programs, two ten-minute campaigns
	@exec scripts/test prove

check: ## What to run before a commit, under a minute: format, lint, rules of the house, page
	@scripts/check

mutants: setup ## Take one protection away at a time; each must make its named test fail. And twenty other providers
	@exec scripts/test mutants

# kill -9 of make must not leave a campaign behind; see the demo.
chaos: .payonce/bin ## Break everything from a seed and check the promise; DURATION=10m SEED=… ARGS=--cluster, see ARGS=--help
	@go build -buildvcs=false -o .payonce/bin/chaos ./internal/lab/chaos/cmd/chaos
	@exec .payonce/bin/chaos --stop-with-parent $(if $(DURATION),--duration $(DURATION)) $(if $(SEED),--seed $(SEED)) $(ARGS)

chaos-mutants: setup ## Plant the bugs of the design's list; say who caught whom
	@exec scripts/test bugs

bench: .payonce/bin ## Measure against the floors; options by ARGS='--only capture'
	@go build -C bench -buildvcs=false -o ../.payonce/bin/bench .
	@exec .payonce/bin/bench $(ARGS)

bench-quick: .payonce/bin ## A look at the lines that matter most, two to three minutes; nothing is written
	@go build -C bench -buildvcs=false -o ../.payonce/bin/bench .
	@exec .payonce/bin/bench --rounds 1 --seconds 1 --clients 16 --only capture,replay,relay-one,ledger $(ARGS)

profile: .payonce/bin ## Where each hot path spends: processor, allocations, statements, into .payonce/profile
	@go build -C bench -buildvcs=false -o ../.payonce/bin/bench .
	@exec .payonce/bin/bench --profile .payonce/profile --rounds 1 --seconds 5 --clients 16 --only capture,replay,relay-one,ledger,mail --between payonce,relay,worker $(ARGS)

generate: ## Write anew what is generated from api/
	@scripts/modules go generate ./...
	@npm --prefix web run --silent generate

cli: .payonce/bin ## Build the command line: .payonce/bin/payonce --help
	@go build -buildvcs=false -o .payonce/bin/payonce ./cmd/payonce

fmt: ## Format Go and the page
	@go tool -modfile=tools/go.mod golangci-lint fmt
	@npm --prefix web run --silent fix

clean: ## Remove everything that the other targets made, data included
	@! kill -0 "$$(cat .payonce/demo.lock 2>/dev/null)" 2>/dev/null || { echo "a demo is running: stop it first"; exit 1; }
	rm -rf .payonce web/node_modules
	find web/dist -mindepth 1 ! -name .gitkeep -delete
