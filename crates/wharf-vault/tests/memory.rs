//! How much memory hostile input takes, on an allocator that counts. With times:
//! `cargo test --release --package wharf-vault --test memory -- --nocapture`
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "it/recipes.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod recipes;

use std::time::Instant;

use peak_alloc::PeakAlloc;
use recipes::{base64, creds, gzip, tar, zip};
use serde_json::{Value, json};
use wharf_vault::examine;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const MOST: usize = 32 * 1024 * 1024;

fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let (mib, creds_file) = (1024 * 1024, || creds().to_string().into_bytes());
    let spaces = |count: usize| vec![b' '; count * mib];
    let with = |name: &str, value: &Value| json!({"creds.json": creds(), name: value}).to_string().into_bytes();
    let zeros = |count: usize| Value::Array(vec![json!(0); count]);
    let many: Vec<_> = (0..19_000).map(|number| format!("pre-key-{number}.json")).collect();
    let many_files = || {
        many.iter()
            .map(|name| (name.as_str(), b"{}".to_vec()))
            .chain([("creds.json", creds_file())])
    };
    let large: Vec<_> = (0..100).map(|number| format!("session-{number}.0.json")).collect();
    let large_files = || {
        let files = large
            .iter()
            .map(|name| (name.as_str(), zeros(200_000).to_string().into_bytes()));
        files.chain([("creds.json", creds_file())])
    };
    let nested = format!("{{\"creds\": {}{}}}", "[".repeat(mib), "]".repeat(mib));
    vec![
        ("gzip bomb", gzip(spaces(64))),
        ("gzip bomb in base64", base64(gzip(spaces(64))).into_bytes()),
        ("zip bomb", zip([("creds.json", spaces(64))])),
        ("zip of many files", zip(many_files())),
        ("tar of many files", gzip(tar(many_files()))),
        ("zip of large keys", zip(large_files())),
        ("tar of large keys", gzip(tar(large_files()))),
        ("one huge key", gzip(with("session-1.0.json", &zeros(3 * mib)))),
        ("large keys in one object", {
            let mut object = json!({"creds.json": creds()});
            for name in &large[..15] {
                object[name] = zeros(250_000);
            }
            gzip(object.to_string())
        }),
        ("the same keys again and again", {
            let group = format!("\"pre-key\":{{{}}}", vec!["\"\":0"; 19_000].join(","));
            gzip(format!("{{\"creds\":{{}},\"keys\":{{{}}}}}", vec![group; 60].join(",")))
        }),
        ("nesting", nested.into_bytes()),
        ("a large bundle of somebody else", {
            let bundle = [b"WHARFBDL\x01".to_vec(), vec![7; 3 * mib - 1024]].concat();
            base64(bundle).into_bytes()
        }),
        ("4 MiB of base64", vec![b'A'; 4 * mib]),
        ("4 MiB of delimiters", vec![b'~'; 4 * mib]),
    ]
}

#[test]
fn hostile_input_costs_little() {
    for (name, data) in hostile() {
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let begun = Instant::now();
        let outcome = examine(&data, Some("twelve or more characters")).map(|report| report.valid());
        let (took, grown) = (begun.elapsed(), MEMORY.peak_usage().saturating_sub(before));
        println!(
            "{name}: {outcome:?} after {} ms, {} KiB",
            took.as_millis(),
            grown / 1024
        );
        assert!(grown < MOST, "{name} takes {grown} bytes");
    }
}
