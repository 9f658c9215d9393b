//! What an unmodified Baileys keeps when it is linked, in the simulated network.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use wharf_sandbox::{NewPhone, Sandbox, SandboxConfig};
use wharf_testkit::process::Node;
use wharf_vault::{Format, examine};

use crate::recipes::{base64, gzip, zip};

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Links Baileys to a new phone, and returns its number and what Baileys keeps.
async fn linked() -> (String, Vec<(String, Vec<u8>)>) {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let phone = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/baileys/peer.mjs");
    assert!(
        script.with_file_name("node_modules").exists(),
        "run `npm ci` in tests/baileys first, as `make test` does"
    );
    let root: String = sandbox
        .root_public_key()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let arguments = [sandbox.chat_url(), root, folder.path().to_string_lossy().into_owned()];
    let mut baileys = Node::start(Path::new("node"), &script, &arguments, None).unwrap();
    loop {
        let line = baileys.next(PATIENCE).await.unwrap();
        match line["event"].as_str().unwrap() {
            "ready_for_qr" => {
                sandbox.scan(&phone, line["qr"].as_str().unwrap()).await.unwrap();
            }
            "open" => break,
            _ => {}
        }
    }
    let files = whole_files(folder.path()).await;
    drop(baileys);
    sandbox.stop().await;
    (phone, files)
}

/// Baileys goes on writing: until no file is in the middle of it.
async fn whole_files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let whole = async {
        loop {
            let files = files(folder);
            let is_whole = |(_, content): &(String, Vec<u8>)| serde_json::from_slice::<IgnoredAny>(content).is_ok();
            if files.iter().all(is_whole) {
                return files;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    tokio::time::timeout(PATIENCE, whole)
        .await
        .expect("Baileys finishes its files")
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            (
                entry.file_name().to_string_lossy().into_owned(),
                std::fs::read(entry.path()).unwrap(),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_baileys_keeps_is_valid_in_every_form() {
    let (phone, files) = linked().await;
    let creds = &files.iter().find(|(name, _)| name == "creds.json").unwrap().1;
    assert!(files.len() > 1, "Baileys keeps keys beside its credentials");
    let object: Map<String, Value> = files
        .iter()
        .map(|(name, content)| (name.clone(), serde_json::from_slice(content).unwrap()))
        .collect();
    let archive = zip(files.iter().map(|(name, content)| (name.as_str(), content.clone())));
    let forms = [
        (creds.clone(), Format::BaileysCreds),
        (
            format!("BRAND~{}", base64(gzip(creds))).into_bytes(),
            Format::BaileysCreds,
        ),
        (
            base64(Value::Object(object).to_string()).into_bytes(),
            Format::BaileysFolder,
        ),
        (archive, Format::BaileysFolder),
    ];
    for (data, format) in forms {
        let report = examine(&data).unwrap();
        let failed: Vec<_> = report.checks().iter().filter(|check| !check.ok).collect();
        assert!(failed.is_empty(), "{failed:?}");
        assert_eq!(report.format(), format);
        let owner = &report.credentials().unwrap().owner;
        assert_eq!((owner.phone.user(), owner.device), (phone.as_str(), 1));
        assert!(owner.lid.is_some());
    }
}
