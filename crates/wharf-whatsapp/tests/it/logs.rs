//! What reaches the log of a whole life: linking, messages both ways, a removal.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;
use wharf_model::CloseReason;

use crate::fixture::{PATIENCE, World, text};

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Kept {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Everything at the noisiest level, through the directives of this crate. The sandbox is the other side and may say
/// what it likes.
fn keep_logs() -> Kept {
    let kept = Kept::default();
    let filter = wharf_whatsapp::log_filter_directives()
        .iter()
        .fold(EnvFilter::new("trace,wharf_sandbox=off"), |filter, directive| {
            filter.add_directive(directive.parse().unwrap())
        });
    let lines = tracing_subscriber::fmt::layer().with_writer(kept.clone());
    tracing_subscriber::registry().with(filter).with(lines).init();
    kept
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_numbers_nor_names_nor_words_reach_the_log() {
    let kept = keep_logs();
    tracing::info!("The log is open");
    let world = World::new().await;
    let (ann, bob, lease) = (
        world.phone("Annabelle").await,
        world.phone("Bartholomew").await,
        world.session().await,
    );
    let mut client = world.linked(lease, &ann).await;
    client
        .client
        .send(text("3EB0000000000000C1", &bob.phone, "words that go out"))
        .await
        .unwrap();
    world
        .sandbox
        .wait_for_message(&bob.phone, |message| message.text == "words that go out", PATIENCE)
        .await
        .unwrap();
    world
        .sandbox
        .send_text(&bob.phone, &ann.phone, "words that come in")
        .await
        .unwrap();
    client.next_message().await;
    client
        .client
        .send(text("3EB0000000000000C2", "+15550009998", "nobody"))
        .await
        .unwrap_err();
    let device = world.sandbox.phone(&ann.phone).await.unwrap().devices[0].device;
    world.sandbox.unlink(&ann.phone, device).await.unwrap();
    client.closed(CloseReason::DeviceRemoved).await;
    world.finish().await;
    let log = String::from_utf8_lossy(&kept.0.lock().unwrap()).into_owned();
    assert!(log.contains("The log is open"), "nothing was kept");
    let secrets = [&ann.phone, &bob.phone, &ann.lid, &bob.lid].map(String::as_str);
    for secret in secrets
        .into_iter()
        .chain(["15550009998", "Annabelle", "Bartholomew", "words that"])
    {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is in the log");
    }
}
