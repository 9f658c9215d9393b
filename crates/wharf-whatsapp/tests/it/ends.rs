//! How connections end.

use std::time::Duration;

use futures::StreamExt;
use tokio::net::TcpListener;
use tokio_websockets::ServerBuilder;
use wharf_model::CloseReason;
use wharf_sandbox::{Sandbox, SandboxConfig};

use crate::fixture::{World, text};

/// Far less than a dial or a handshake may take.
const AT_ONCE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_removes_the_device_from_the_account() {
    let world = World::new().await;
    let (ann, lease) = (world.phone("Ann").await, world.session().await);
    let mut client = world.linked(lease, &ann).await;
    client.client.logout().await;
    client.closed(CloseReason::LogoutRequested).await;
    assert!(world.sandbox.phone(&ann.phone).await.unwrap().devices.is_empty());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_on_the_phone_is_told_from_other_logouts() {
    let world = World::new().await;
    let (ann, lease) = (world.phone("Ann").await, world.session().await);
    let mut client = world.linked(lease, &ann).await;
    let device = world.sandbox.phone(&ann.phone).await.unwrap().devices[0].device;
    world.sandbox.unlink(&ann.phone, device).await.unwrap();
    client.closed(CloseReason::DeviceRemoved).await;
    // The account does not know the device any more: the next login is refused.
    client.start();
    client.closed(CloseReason::LoggedOut).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_login_replaces_the_first() {
    let world = World::new().await;
    let (ann, lease) = (world.phone("Ann").await, world.session().await);
    let mut first = world.linked(lease, &ann).await;
    let mut second = world.client(lease).await;
    second.open().await;
    first.closed(CloseReason::Replaced).await;
    second.client.shutdown().await;
    second.closed(CloseReason::Shutdown).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_cannot_store_its_ratchet_ends() {
    let world = World::new().await;
    let (ann, bob, lease) = (
        world.phone("Ann").await,
        world.phone("Bob").await,
        world.session().await,
    );
    let mut client = world.linked(lease, &ann).await;
    // Another owner: every write of this one is refused from now on.
    world.claim(lease.session).await;
    client
        .client
        .send(text("3EB0000000000000B1", &bob.phone, "never stored"))
        .await
        .unwrap_err();
    client.closed(CloseReason::StorageFailed).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_is_tried_again() {
    let world = World::new().await;
    let (ann, lease) = (world.phone("Ann").await, world.session().await);
    let mut client = world.linked(lease, &ann).await;
    world.sandbox.stop().await;
    // With or without a last word, as the kernel sees it.
    let (reason, detail) = client.ended().await;
    assert!(!reason.is_permanent(), "{reason} {detail:?}");
    client.start();
    client.closed(CloseReason::ConnectionLost).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_loopback_is_dialled() {
    for address in [
        "ws://192.0.2.1:9/ws/chat",
        "wss://[2001:db8::1]:9/ws/chat",
        "http://127.0.0.1:9/",
    ] {
        refuses_to_dial(address.to_owned()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_address_of_this_machine_sees_no_connection() {
    let listener = std::net::TcpListener::bind((own_address(), 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let number = u32::from(own_address());
    // By number, and by names that the resolver of the system turns into the same address (inet_aton(3)).
    for host in [own_address().to_string(), number.to_string(), format!("{number:#x}")] {
        refuses_to_dial(format!("ws://{host}:{port}/ws/chat")).await;
        let seen = listener.accept().map(|_| host).unwrap_err();
        assert_eq!(seen.kind(), std::io::ErrorKind::WouldBlock);
    }
}

/// The address of this machine that is not loopback, as the routing table knows it; no packet is sent.
fn own_address() -> std::net::Ipv4Addr {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    socket
        .connect("192.0.2.1:9")
        .expect("this test needs a machine with a network besides loopback");
    match socket.local_addr().unwrap().ip() {
        std::net::IpAddr::V4(address) => address,
        std::net::IpAddr::V6(address) => panic!("{address} is not an IPv4 address"),
    }
}

async fn refuses_to_dial(chat_url: String) {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let world = World::with_chat_url(chat_url, sandbox).await;
    let lease = world.session().await;
    let mut client = world.client(lease).await;
    client.start();
    client.closed(CloseReason::AddressRefused).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_that_nobody_answers_is_given_up_at_a_shutdown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let address = format!("ws://{}/ws/chat", listener.local_addr().unwrap());
    let world = World::with_chat_url(address, sandbox).await;
    let mut client = world.client(world.session().await).await;
    client.start();
    let silent = listener.accept().await.unwrap();
    tokio::time::timeout(AT_ONCE, client.client.shutdown())
        .await
        .expect("the dial is given up");
    client.closed(CloseReason::Shutdown).await;
    drop(silent);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_nobody_answers_is_given_up_at_a_shutdown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let address = format!("ws://{}/ws/chat", listener.local_addr().unwrap());
    let world = World::with_chat_url(address, sandbox).await;
    let mut client = world.client(world.session().await).await;
    client.start();
    let (stream, _) = listener.accept().await.unwrap();
    let (_, mut silent) = ServerBuilder::new().accept(stream).await.unwrap();
    silent.next().await.expect("the hello").unwrap();
    tokio::time::timeout(AT_ONCE, client.client.shutdown())
        .await
        .expect("the handshake is given up");
    client.closed(CloseReason::Shutdown).await;
    world.finish().await;
}
