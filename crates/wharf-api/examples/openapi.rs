//! Prints the OpenAPI document: `cargo run -p wharf-api --example openapi > openapi.json`.

use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    std::io::stdout().write_all(wharf_api::document()?.as_bytes())?;
    Ok(())
}
