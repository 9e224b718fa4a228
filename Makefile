# Try `make demo`, or `make help` for the rest.
.PHONY: demo test bench lint check help

demo: ## the whole stack on this machine, to flip by hand
	@examples/demo

test: ## every test, against the real Traefik and the real Redis
	scripts/install-tools
	cargo test

bench: ## measures flips and holds
	scripts/install-tools
	cargo run --release --example bench

lint: ## formatting, clippy and documentation, warnings as errors
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps

check: lint test ## lint and test

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 8
