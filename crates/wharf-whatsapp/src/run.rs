//! One run of an engine, and the questions that its events leave open: the engine tells nobody of a successful login,
//! of the stream errors 515, 429 and 503, or why a handshake failed.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use futures::channel::oneshot;
use wacore::store::commands::DeviceCommand;
use wacore_binary::{Jid as EngineJid, OwnedNodeRef, Server};
use wharf_session::port::ClientEvent;
use whatsapp_rust::handshake::do_handshake;
use whatsapp_rust::transport::TransportFactory;
use whatsapp_rust::{NodeFilter, TokioRuntime};

use crate::backend::Loss;
use crate::close_reasons::from_handshake;
use crate::engine::Engine;
use crate::network::Shared;
use crate::transport::WatchedTransportFactory;
use crate::watch::RunWatch;

/// Stream errors that the engine obeys without a word.
const SILENT_STREAM_ERRORS: [u16; 3] = [515, 429, 503];

type NodeWaiter = oneshot::Receiver<Arc<OwnedNodeRef>>;

/// Connects and serves until the connection ends; what happened is in `watch` then.
pub(crate) async fn drive(engine: &Engine, shared: &Shared, watch: &Arc<RunWatch>) {
    let version = tokio::select! {
        biased;
        () = watch.stopped() => return,
        version = shared.version.current(&*shared.clock) => version,
    };
    engine
        .manager
        .process_command(DeviceCommand::SetAppVersion(version.parts()))
        .await;
    engine
        .client
        .enable_auto_reconnect
        .store(false, std::sync::atomic::Ordering::Relaxed);
    let stream_errors = SILENT_STREAM_ERRORS.map(|code| {
        (
            code,
            engine
                .client
                .wait_for_node(NodeFilter::tag("stream:error").attr("code", code.to_string())),
        )
    });
    serve(engine, shared, watch).await;
    for (code, waiter) in stream_errors {
        if arrived(waiter) {
            watch.stream_error(code);
        }
    }
    if engine.backend.is_poisoned() {
        watch.poisoned();
    } else {
        save(engine, watch).await;
    }
    if watch.seen().handshake_was_refused() {
        tokio::select! {
            biased;
            () = watch.stopped() => {}
            () = ask_why(engine, shared, watch) => {}
        }
    }
}

/// The engine's own loop, beside the two things that it does not tell.
async fn serve(engine: &Engine, shared: &Shared, watch: &Arc<RunWatch>) {
    let mut login = engine.client.wait_for_node(NodeFilter::tag("success"));
    let mut logged_in = false;
    let run = engine.client.run();
    let ending = end_when_told(engine, shared, watch);
    tokio::pin!(run, ending);
    loop {
        tokio::select! {
            biased;
            () = &mut run => break,
            answer = &mut login, if !logged_in => {
                logged_in = true;
                if answer.is_ok() {
                    watch.emit(ClientEvent::LoggedIn);
                }
            }
            () = &mut ending => break,
        }
    }
}

/// Ends a run that must not go on.
async fn end_when_told(engine: &Engine, shared: &Shared, watch: &RunWatch) {
    tokio::select! {
        // After a failed write what is in memory is ahead of what is stored: nothing may be acknowledged or sent from it.
        () = engine.backend.poisoning() => watch.poisoned(),
        () = watch.stopped() => {}
        () = wait_for_redelivery(engine, shared, watch) => watch.conclude_for_redelivery(),
    }
    watch.stop();
    engine.shut_down().await;
    // The loop returns on its own now; what it still does must not be cut off.
    std::future::pending::<()>().await;
}

/// Returns when WhatsApp must deliver messages again, which it does on the next connection only.
async fn wait_for_redelivery(engine: &Engine, shared: &Shared, watch: &RunWatch) {
    tokio::select! {
        () = engine.backend.lossy() => {}
        () = watch.refusal() => {}
    }
    let pause = shared.redelivery.pause(engine.backend.session(), shared.clock.now());
    tokio::time::sleep(pause).await;
    ask_again(engine).await;
}

/// Messages that the ratchet has passed and nobody has. Without the ratchet the engine cannot read them when they are
/// delivered again, and asks their sender.
async fn ask_again(engine: &Engine) {
    let losses = engine.backend.take_losses();
    if losses.is_empty() {
        return;
    }
    tracing::warn!(
        session.id = %engine.backend.session(),
        messages = losses.len(),
        "Messages that came in were decrypted and not stored before a connection ended; their senders are asked again"
    );
    metrics::counter!("wharf_inbound_asked_again_total").increment(losses.len() as u64);
    for loss in &losses {
        if let Err(error) = forget_ratchet(engine, loss).await {
            tracing::error!(
                session.id = %engine.backend.session(),
                error = &*error,
                "A message could not be asked for again; it is tried on the next connection"
            );
        }
    }
}

async fn forget_ratchet(engine: &Engine, loss: &Loss) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (chat, sender): (EngineJid, EngineJid) = (loss.chat.parse()?, loss.sender.parse()?);
    let signal = engine.client.signal();
    if chat.server == Server::Group {
        signal.delete_sender_key(&chat, &sender).await?;
    } else {
        signal.delete_sessions(&[sender]).await?;
    }
    Ok(engine.backend.note_asked(loss).await?)
}

fn arrived(mut waiter: NodeWaiter) -> bool {
    matches!(waiter.try_recv(), Ok(Some(_)))
}

/// The saver may be a moment behind; the next run, perhaps of another process, reads what is stored.
async fn save(engine: &Engine, watch: &Arc<RunWatch>) {
    if let Err(error) = engine.manager.flush().await {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "The device record could not be saved"
        );
        watch.poisoned();
    }
}

/// The engine logs why a handshake failed and tells nobody. The handshake is done once more, outside of the engine's
/// loop, where its error has a type.
async fn ask_why(engine: &Engine, shared: &Shared, watch: &Arc<RunWatch>) {
    let factory = WatchedTransportFactory::new(Arc::clone(&shared.dialer), engine.proxy.clone(), Arc::clone(watch));
    let Ok((transport, mut events)) = factory.create_transport().await else {
        return;
    };
    let failures = AtomicU32::new(0);
    let outcome = do_handshake(
        Arc::new(TokioRuntime),
        &engine.manager,
        &failures,
        Arc::clone(&transport),
        &mut events,
        None,
    )
    .await;
    transport.disconnect().await;
    if let Err(error) = outcome {
        watch.handshake(from_handshake(&error));
    }
}
