//! Prints the page of all stable codes: `cargo run -p wharf-api --example errors > docs/errors.md`.

use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    std::io::stdout().write_all(wharf_api::error::reference()?.as_bytes())?;
    Ok(())
}
