//! What an unmodified Baileys keeps when it is linked, in the simulated network.

use std::path::Path;

use serde_json::{Map, Value};
use wharf_sandbox::{NewPhone, Sandbox, SandboxConfig};
use wharf_testkit::process::{Baileys, KeptFile};
use wharf_vault::{Format, examine};

use crate::recipes::{base64, gzip, zip};

/// Links Baileys to a new phone, and returns its number and what Baileys keeps.
async fn linked() -> (String, Vec<KeptFile>) {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let phone = sandbox.create_phone(NewPhone::default()).await.unwrap().phone;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/baileys/peer.mjs");
    let root = sandbox.root_public_key();
    let mut baileys = Baileys::start(&script, &sandbox.chat_url(), root, folder.path()).unwrap();
    let shown = baileys.event("ready_for_qr").await.unwrap();
    sandbox.scan(&phone, shown["qr"].as_str().unwrap()).await.unwrap();
    baileys.event("open").await.unwrap();
    let files = baileys.stop(folder.path()).await.unwrap();
    sandbox.stop().await;
    (phone, files)
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
        let report = examine(&data, None).unwrap();
        let failed: Vec<_> = report.checks().iter().filter(|check| !check.ok).collect();
        assert!(failed.is_empty(), "{failed:?}");
        assert_eq!(report.format(), format);
        let owner = &report.credentials().unwrap().owner;
        assert_eq!((owner.phone.user(), owner.device), (phone.as_str(), 1));
        assert!(owner.lid.is_some());
    }
}
