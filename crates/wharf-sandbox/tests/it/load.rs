//! Many clients at once: a sandbox in its own process holds a thousand linked devices, lets them all log in at the
//! same time, and carries what they send.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use serde_json::json;

use crate::companion::Companion;
use crate::http::call;
use crate::process::{Process, raise_open_files};
use crate::raw_client::*;

const DEVICES: usize = 1000;
/// Links under way at one time.
const LINKING: usize = 100;
const SENDERS: usize = 100;
const MESSAGES: usize = 40;

async fn link_over_http(sandbox: &Process) -> (Keys, String, u16) {
    let made = call(&sandbox.control, "POST", "/sandbox/api/phones", Some(json!({}))).await;
    let phone = made.body["phone"].as_str().unwrap().to_owned();
    let keys = Keys::new();
    let (mut client, reference) = show_code(sandbox, &keys).await;
    let path = format!("/sandbox/api/phones/{phone}/scan");
    let scan = call(
        &sandbox.control,
        "POST",
        &path,
        Some(json!({"qr": keys.qr(&reference)})),
    );
    let (scanned, ()) = tokio::join!(scan, sign_link(&mut client, &keys));
    let device = u16::try_from(scanned.body["device"].as_u64().unwrap()).unwrap();
    (keys, phone, device)
}

struct Stage<'p> {
    sandbox: &'p Process,
    name: &'static str,
    started: Instant,
    ticks: u64,
}

impl<'p> Stage<'p> {
    fn begin(sandbox: &'p Process, name: &'static str) -> Self {
        Self {
            sandbox,
            name,
            started: Instant::now(),
            ticks: sandbox.processor_ticks(),
        }
    }

    fn end(self, count: usize) -> Duration {
        let took = self.started.elapsed();
        println!(
            "{}: {count} in {} ms, {:.0} a second; sandbox: {} ms of processor time, {} KiB",
            self.name,
            took.as_millis(),
            count as f64 / took.as_secs_f64(),
            (self.sandbox.processor_ticks() - self.ticks) * 10,
            self.sandbox.resident_kib(),
        );
        took
    }
}

/// Sends what is prepared and waits until every message is acknowledged and confirmed by the phone that got it.
async fn send_all(companion: &mut Companion, messages: &[wacore_binary::Node]) {
    for message in messages {
        companion.client.send(message).await;
    }
    let (mut acks, mut receipts) = (0, 0);
    while acks < messages.len() || receipts < messages.len() {
        let node = companion.client.node().await.expect("acks and receipts");
        acks += usize::from(node.tag == "ack");
        receipts += usize::from(node.tag == "receipt");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_devices_are_linked_log_in_and_send() {
    raise_open_files();
    let sandbox = Process::start(&[]).await;
    let stage = Stage::begin(&sandbox, "link");
    let links = stream::iter(0..DEVICES).map(|_| link_over_http(&sandbox));
    let linked: Vec<_> = links.buffer_unordered(LINKING).collect().await;
    stage.end(DEVICES);

    let stage = Stage::begin(&sandbox, "log in");
    let phones: Vec<String> = linked.iter().map(|(_, phone, _)| phone.clone()).collect();
    let shared = &sandbox;
    let logins = linked
        .into_iter()
        .map(|(keys, phone, device)| async move { Companion::logged_in(shared, keys, &phone, device).await });
    let mut companions = futures::future::join_all(logins).await;
    let took = stage.end(DEVICES);
    assert!(took < Duration::from_secs(60), "{took:?}");

    let mut prepared = Vec::new();
    for (place, companion) in companions.iter_mut().take(SENDERS).enumerate() {
        let to = &phones[DEVICES - 1 - place];
        let mut messages = Vec::new();
        for number in 0..MESSAGES {
            messages.push(
                companion
                    .text_and_own_copy(to, &format!("{place}-{number}"), "hello")
                    .await,
            );
        }
        prepared.push(messages);
    }
    let stage = Stage::begin(&sandbox, "send");
    let sends = companions.iter_mut().zip(&prepared);
    futures::future::join_all(sends.map(|(companion, messages)| send_all(companion, messages))).await;
    stage.end(SENDERS * MESSAGES);
}
