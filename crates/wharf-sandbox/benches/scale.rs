//! How large a network one sandbox process carries, and how fast: `cargo bench --package wharf-sandbox`.
//!
//! A thousand companions and two thousand virtual phones, then messages between raw connections. The load runs in this
//! process, the sandbox in its own; both share the machine.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    dead_code,
    reason = "a benchmark fails by panicking and prints what it measured; the clients are those of the tests"
)]

#[path = "../tests/it/http.rs"]
mod http;
#[path = "../tests/it/process.rs"]
mod process;
#[path = "../tests/it/raw_client.rs"]
mod raw_client;

use std::time::Instant;

use futures::future::join_all;
use futures::{StreamExt as _, stream};
use serde_json::json;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use http::call;
use process::{Process, raise_open_files};
use raw_client::*;

const COMPANIONS: usize = 1000;
const PHONES: usize = 2000;
/// Links under way at one time.
const LINKING: usize = 50;
/// Pairs of connections, one of which writes to the other.
const PAIRS: usize = 50;
const MESSAGES: usize = 4000;
/// Messages of a pair that are on the way.
const WINDOW: usize = 64;
const MEMORY_TARGET: u64 = 400;
const ROUTED_TARGET: f64 = 10_000.0;

struct Linked {
    keys: Keys,
    phone: String,
    device: u16,
}

fn main() {
    // Tests of all targets start this, too; only `cargo bench` says so.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run());
}

async fn run() {
    let sandbox = Process::start(&[]).await;
    println!("empty: {} MB", sandbox.resident_kib() / 1000);
    let started = Instant::now();
    let links = stream::iter(0..COMPANIONS).map(|_| link_over_http(&sandbox));
    let linked: Vec<Linked> = links.buffer_unordered(LINKING).collect().await;
    println!(
        "{COMPANIONS} companions linked in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    let more = stream::iter(COMPANIONS..PHONES).map(|_| make_phone(&sandbox));
    more.buffer_unordered(LINKING)
        .for_each(|_| std::future::ready(()))
        .await;
    let started = Instant::now();
    let clients = linked.iter().map(|one| async {
        let mut client = log_in(&sandbox, &one.keys, &one.phone, one.device).await;
        activate(&mut client).await;
        client
    });
    let mut clients = join_all(clients).await;
    println!(
        "{COMPANIONS} companions logged in in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    let megabytes = sandbox.resident_kib() * 1024 / 1_000_000;
    println!(
        "{COMPANIONS} connected companions and {PHONES} phones: {megabytes} MB (target: at most {MEMORY_TARGET} MB, {})",
        verdict(megabytes <= MEMORY_TARGET)
    );
    route(&sandbox, &linked, &mut clients).await;
}

async fn make_phone(sandbox: &Process) -> String {
    let made = call(&sandbox.control, "POST", "/sandbox/api/phones", Some(json!({}))).await;
    made.body["phone"].as_str().unwrap().to_owned()
}

async fn link_over_http(sandbox: &Process) -> Linked {
    let phone = make_phone(sandbox).await;
    let keys = Keys::new();
    let (mut client, reference) = show_code(sandbox, &keys).await;
    let path = format!("/sandbox/api/phones/{phone}/scan");
    let qr = Some(json!({"qr": keys.qr(&reference)}));
    let scan = call(&sandbox.control, "POST", &path, qr);
    let (scanned, ()) = tokio::join!(scan, sign_link(&mut client, &keys));
    let device = u16::try_from(scanned.body["device"].as_u64().unwrap()).unwrap();
    Linked { keys, phone, device }
}

/// Half of the connections write to the other half; what is written is opaque to the server, as always.
async fn route(sandbox: &Process, linked: &[Linked], clients: &mut [RawClient]) {
    let (senders, receivers) = clients[..2 * PAIRS].split_at_mut(PAIRS);
    let (started, ticks) = (Instant::now(), sandbox.processor_ticks());
    let pairs = senders.iter_mut().zip(receivers).zip(&linked[PAIRS..]);
    join_all(pairs.map(|((sender, receiver), to)| write_to(sender, receiver, to))).await;
    let took = started.elapsed().as_secs_f64();
    let count = PAIRS * MESSAGES;
    let rate = count as f64 / took;
    let busy = (sandbox.processor_ticks() - ticks) as f64 / 100.0;
    println!(
        "{count} messages routed in {took:.1} s: {rate:.0} a second (target: at least {ROUTED_TARGET:.0}, {}); the sandbox \
         used {:.0} % of a core, {:.0} µs a message; {} MB afterwards",
        verdict(rate >= ROUTED_TARGET),
        100.0 * busy / took,
        1e6 * busy / count as f64,
        sandbox.resident_kib() * 1024 / 1_000_000,
    );
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}

/// Writes in windows: each is acknowledged to the sender and confirmed by the receiver before the next begins.
async fn write_to(sender: &mut RawClient, receiver: &mut RawClient, to: &Linked) {
    for first in (0..MESSAGES).step_by(WINDOW) {
        let count = WINDOW.min(MESSAGES - first);
        for number in first..first + count {
            sender.send(&message(to, number)).await;
        }
        let acknowledged = async {
            for _ in 0..count {
                sender.expect("ack").await;
            }
        };
        let received = async {
            for _ in 0..count {
                let message = receiver.expect("message").await;
                receiver.send(&confirmation(&message)).await;
            }
        };
        tokio::join!(acknowledged, received);
    }
}

fn message(to: &Linked, number: usize) -> Node {
    let jid = Jid::pn(to.phone.as_str());
    let sealed = NodeBuilder::new("enc")
        .attr("v", "2")
        .attr("type", "msg")
        .bytes(vec![0x33; 200])
        .build();
    let copy = NodeBuilder::new("to").attr("jid", jid.with_device(to.device));
    let copies = NodeBuilder::new("participants").children([copy.children([sealed]).build()]);
    NodeBuilder::new("message")
        .attr("to", jid)
        .attr("id", format!("M{number}"))
        .attr("type", "text")
        .children([copies.build()])
        .build()
}

fn confirmation(message: &Node) -> Node {
    NodeBuilder::new("ack")
        .attr("class", "message")
        .attr("id", attr(message, "id"))
        .attr("to", attr(message, "from").parse::<Jid>().unwrap())
        .build()
}
