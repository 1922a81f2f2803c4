# Bare `make` lists what there is. ARGS goes to the command behind a target:
#   make demo ARGS="--exit --json report.json"

CARGO ?= cargo
ARGS ?=

.PHONY: help demo test check golden bench bench-delay bench-import bench-queue chaos deny fuzz schemathesis setup sim

help: ## This list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

demo: setup ## Server, simulated carrier and a customer's application: 60 real calls over loopback
	$(CARGO) build --locked -p outdial
	./target/debug/outdial demo $(ARGS)

test: setup check ## Everything: format, lints, documents, and all tiers of tests
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$((2 * $$(nproc)))} $(CARGO) test --locked --workspace $(ARGS)

check: ## Format, lints and documentation, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --quiet
	@# The fuzz targets have a lock file of their own, which dependencies added here leave behind.
	$(CARGO) metadata --locked --format-version 1 --manifest-path fuzz/Cargo.toml > /dev/null

golden: ## Rewrite golden files from what the code says now; read the diff
	UPDATE_GOLDEN=1 UPDATE_EXPECT=1 $(CARGO) test --locked --workspace

bench: setup ## CPU per call beside sipp, calls and menus on one core, page turns; ARGS="--json FILE"
	$(CARGO) build --locked --release -p outdial
	./target/release/outdial bench $(ARGS)
	$(CARGO) run --locked --release -q -p outdial-script --example page_turns

sim: ## 10,000 days of calls in virtual time, judged; ARGS="DAYS FIRST_SEED --json FILE"
	$(CARGO) run --locked -q -p outdial-sim --example days -- $(ARGS)

chaos: setup ## Faults on the real program, judged by carrier and customer; ARGS="--json FILE"
	$(CARGO) build --locked -p outdial
	./target/debug/outdial lab chaos $(ARGS)

bench-delay: setup ## From the request for a call to its INVITE, on SQLite and PostgreSQL; ARGS="--json DIR --rate 100"
	$(CARGO) build --locked --release -p outdial
	@scripts/bench-delay.sh $(ARGS)

bench-import: setup ## Lists of 100,000 and 1,000,000 rows taken in by a real server, on SQLite and PostgreSQL; ARGS="--json FILE"
	$(CARGO) build --locked --release -p outdial
	@scripts/bench-import.sh $(ARGS)

bench-queue: setup ## Cycles of the dial queue on SQLite, PostgreSQL and graphile-worker; ARGS="--json FILE"
	@CARGO="$(CARGO)" scripts/bench-queue.sh $(ARGS)

schemathesis: setup ## Requests made up from the OpenAPI document, to real servers on SQLite and PostgreSQL; ARGS="--seed 7"
	$(CARGO) build --locked -p outdial
	@scripts/schemathesis.sh $(ARGS)

fuzz: setup ## A minute for each thing that comes from outside, with coverage; ARGS="SECONDS TARGET…"
	@CARGO="$(CARGO)" scripts/fuzz.sh $(ARGS)

deny: ## Licences, advisories and sources of dependencies (needs cargo-deny)
	cargo deny check

setup: ## Install what demo, test, bench and chaos need (Debian packages)
	@scripts/setup.sh
