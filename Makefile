# Try `make demo`, or `make help` for the rest.
.PHONY: demo test bench lint check help

demo: ## the whole stack on this machine, to flip by hand
	@examples/demo

test: ## every test, against the real Traefik and the real Redis
	scripts/install-tools --tests
	cargo test

bench: ## how long a flip takes, ours beside Traefik's own ways, all in one run
	scripts/install-tools
	cargo bench --bench flip

lint: ## formatting, clippy and documentation, warnings as errors
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps

check: lint test ## lint and test

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 8
