# Two commands are all that a newcomer needs: `make demo` and `make test`. Everything else is for people who work on
# Wharf; the work itself is done by cargo and `cargo xtask`.

DATA_DIR ?= demo-data
PORT ?= 8000

.PHONY: demo test check openapi errors

# Wharf with its simulated WhatsApp network: no phone needed. Prints a link to open.
demo:
	@echo "Building Wharf with its sandbox (the first build takes some minutes) ..."
	cargo build --profile demo --package wharf-server --features sandbox
	exec "$${CARGO_TARGET_DIR:-target}/demo/wharf" demo --port $(PORT) --data-dir $(DATA_DIR)

# Every test, on a machine that has Rust and Node; Debian packages that are missing are installed.
test:
	cargo xtask test

# Formatting, lints, tidy and documentation.
check:
	cargo xtask ci

# Writes openapi.json anew from the router.
openapi:
	cargo run --package wharf-api --example openapi > openapi.json

# Writes docs/errors.md anew from the tables of codes.
errors:
	cargo run --package wharf-api --example errors > docs/errors.md
