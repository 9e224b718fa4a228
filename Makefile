# Try `make demo`, or `make help` for the rest.
.PHONY: demo test test-compose fuzz bench bench-fanout lint check help

demo: ## the whole stack on this machine, to flip by hand
	@examples/demo

test: ## every test but that of the compose files, against the real Traefik, Redis, PostgreSQL and Chromium
	scripts/install-tools --tests
	cargo test

test-compose: ## the compose files, on a Docker engine; its ports must be free
	cargo test --test it -- --ignored --nocapture compose::

fuzz: ## the tests that make up their input, with many more of it; CASES=100000 for as many
	scripts/install-tools --tests
	PROPTEST_CASES=$(or $(CASES),3000) cargo test --test it properties:: -- --nocapture

bench: ## how long a flip takes, ours beside Traefik's own ways, all in one run
	scripts/install-tools
	cargo bench --bench flip

bench-fanout: ## how many held polls one provider carries, and what they cost
	scripts/install-tools
	cargo bench --bench fanout

lint: ## formatting, clippy and documentation, warnings as errors
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps

check: lint test ## lint and test

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16
