//! A build without the feature `sandbox` believes WhatsApp's certificates only.

use wharf_model::CloseReason;

use crate::fixture::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_certificate_of_its_own_is_not_whatsapp() {
    let world = World::new().await;
    let lease = world.session().await;
    let mut client = world.client(lease).await;
    client.start();
    let detail = client.closed(CloseReason::CertificateRejected).await;
    assert_eq!(
        detail.as_deref(),
        Some("the server's certificate chain does not verify")
    );
    world.sandbox.stop().await;
}
