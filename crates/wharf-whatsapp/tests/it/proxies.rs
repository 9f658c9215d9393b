//! Sessions that go through a proxy: over real sockets, to the simulated network behind it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fast_socks5::server::Socks5ServerProtocol;
use fast_socks5::util::target_addr::TargetAddr;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use wharf_model::{CloseReason, Proxy};
use wharf_sandbox::{Sandbox, SandboxConfig};
use wharf_session::port::ClientSetup;

use crate::fixture::{World, text};
use crate::messages::acknowledged;

const USER: &str = "ann";
const PASSWORD: &str = "p@ss:word";
/// `ann:p@ss:word`, RFC 7617.
const BASIC: &str = "Proxy-Authorization: Basic YW5uOnBAc3M6d29yZA==";

/// How many connections a proxy has opened.
type Opened = Arc<AtomicUsize>;

/// Answers `CONNECT` for who has the password.
async fn http_proxy() -> (SocketAddr, Opened) {
    let (listener, opened) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Opened::default());
    let (address, counter) = (listener.local_addr().unwrap(), Arc::clone(&opened));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve_connect(client, Arc::clone(&counter)));
        }
    });
    (address, opened)
}

async fn serve_connect(client: TcpStream, opened: Opened) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let (mut target, mut allowed) = (String::new(), false);
    loop {
        let mut line = String::new();
        client.read_line(&mut line).await?;
        match line.trim_end() {
            "" => break,
            BASIC => allowed = true,
            line => {
                if let Some(to) = line.strip_prefix("CONNECT ") {
                    target = to.trim_end_matches(" HTTP/1.1").to_owned();
                }
            }
        }
    }
    if !allowed {
        let refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
        return client.write_all(refusal).await;
    }
    let mut server = TcpStream::connect(&target).await?;
    opened.fetch_add(1, Ordering::SeqCst);
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
}

/// SOCKS 5 for who has the password and asks by name.
async fn socks_proxy() -> (SocketAddr, Opened) {
    let (listener, opened) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Opened::default());
    let (address, counter) = (listener.local_addr().unwrap(), Arc::clone(&opened));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let counter = Arc::clone(&counter);
            tokio::spawn(async move { serve_socks(client, counter).await.ok() });
        }
    });
    (address, opened)
}

async fn serve_socks(client: TcpStream, opened: Opened) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let is_known = |user: String, password: String| (user, password) == (USER.to_owned(), PASSWORD.to_owned());
    let (asked, _) = Socks5ServerProtocol::accept_password_auth(client, is_known).await?;
    let (asked, _, target) = asked.read_command().await?;
    let TargetAddr::Domain(host, port) = target else {
        return Err("the name was looked up before the proxy was asked".into());
    };
    let mut server = TcpStream::connect((host, port)).await?;
    let mut client = asked.reply_success(server.local_addr()?).await?;
    opened.fetch_add(1, Ordering::SeqCst);
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

fn through(url: &str) -> ClientSetup {
    ClientSetup {
        proxy: Some(url.parse::<Proxy>().unwrap()),
        ..ClientSetup::default()
    }
}

/// Links through the proxy, and sends. The network has a name, which the proxy looks up.
async fn links_and_sends(setup: ClientSetup, opened: Opened) {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let named = sandbox.chat_url().replace("127.0.0.1", "localhost");
    let world = World::with_chat_url(named, sandbox).await;
    let (ann, bob, lease) = (
        world.phone("Ann").await,
        world.phone("Bob").await,
        world.session().await,
    );
    let mut client = world.linked_with(lease, &ann, setup).await;
    let sent = client.client.send(text("3EB0AA", &bob.phone, "through a proxy"));
    sent.await.unwrap();
    assert_eq!(acknowledged(&mut client, "3EB0AA").await, None);
    // The connection on which the account was linked, and the one after it.
    assert_eq!(opened.load(Ordering::SeqCst), 2);
    client.client.shutdown().await;
    client.closed(CloseReason::Shutdown).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_links_and_sends_through_an_http_proxy() {
    let (address, opened) = http_proxy().await;
    links_and_sends(through(&format!("http://ann:p%40ss%3Aword@{address}")), opened).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_links_and_sends_through_a_socks_proxy() {
    let (address, opened) = socks_proxy().await;
    links_and_sends(through(&format!("socks5://ann:p%40ss%3Aword@{address}")), opened).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_refuses_is_named_as_the_reason() {
    let world = World::new().await;
    let (http, _) = http_proxy().await;
    let (socks, _) = socks_proxy().await;
    for url in [
        format!("http://{http}"),
        format!("http://ann:wrong@{http}"),
        format!("socks5://ann:wrong@{socks}"),
        // Nobody listens.
        "http://127.0.0.1:1".to_owned(),
    ] {
        let mut client = world.client_with(world.session().await, through(&url)).await;
        client.start();
        client.closed(CloseReason::ProxyFailed).await;
        client.client.shutdown().await;
    }
    world.finish().await;
}

/// A build with the sandbox in it leaves this machine through no door.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_elsewhere_is_not_dialled() {
    let world = World::new().await;
    let setup = through("http://192.0.2.1:3128");
    let mut client = world.client_with(world.session().await, setup).await;
    client.start();
    client.closed(CloseReason::AddressRefused).await;
    world.finish().await;
}
