# Two commands are all that a newcomer needs: `make demo` and `make test`. Everything else is for people who work on
# Wharf; the work itself is done by cargo and `cargo xtask`.

DATA_DIR ?= demo-data
PORT ?= 8000
SEED ?= 1
TIMES ?= 20
FUZZ_SECONDS ?= 600

.PHONY: demo test check openapi errors prove-kill prove-otp prove-faults prove-generator prove-repeat prove-fuzz bench

# Wharf with its simulated WhatsApp network: no phone needed. Prints a link to open.
demo:
	@echo "Building Wharf with its sandbox (the first build takes some minutes) ..."
	cargo build --profile demo --package wharf-server --features sandbox
	@# See xtask/src/settle.rs: without this the second build would be as long as the first.
	@find "$${CARGO_TARGET_DIR:-target}/demo/build" -name whatsapp.local.desc -exec touch -d @0 {} +
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

# Fifty kills in the middle of the work, on each database, with the release build: nothing that was accepted is lost.
prove-kill:
	cargo xtask prove-kill --seed $(SEED)

# Fifty kills between the steps of one-time passwords, on each database, with the release build: a code that was sent works,
# once, and never again.
prove-otp:
	cargo xtask prove-otp --seed $(SEED)

# Faults of network, database, disk and clock, on each database: the same invariants, and recovery without a restart.
prove-faults:
	cargo xtask prove-faults --seed $(SEED)

# A thousand visitors of the session generator, and two hundred at once, with the release build: nothing is left of them.
prove-generator:
	cargo xtask prove-generator

# The sandbox's own tests over and over, until one fails: they must not be a matter of luck.
prove-repeat:
	cargo xtask prove-repeat --times $(TIMES)

# Bytes that no client would send, for ten minutes on each target: no panic, and no memory that grows.
prove-fuzz:
	cargo xtask prove-fuzz --seconds $(FUZZ_SECONDS)

# Memory and speed beside a minimal Baileys program; writes docs/benchmarks.md.
bench:
	cargo xtask bench --out docs/benchmarks.md
