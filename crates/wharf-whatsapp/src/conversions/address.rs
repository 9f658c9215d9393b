//! Addresses, both ways.

use wacore_binary::{Jid as EngineJid, Server};
use wharf_model::{Jid, JidServer};

/// The chat, without a device; `None` for what Wharf has no chats with (status broadcasts, channels, bots).
pub(crate) fn chat_jid(jid: &EngineJid) -> Option<Jid> {
    let server = match jid.server {
        // Hosted addresses are the same person seen through a business host.
        Server::Pn | Server::Hosted | Server::Legacy => JidServer::Phone,
        Server::Lid | Server::HostedLid => JidServer::Lid,
        Server::Group => JidServer::Group,
        _ => return None,
    };
    Jid::new(&jid.user, server).ok()
}

/// A person, without a device.
pub(crate) fn person_jid(jid: &EngineJid) -> Option<Jid> {
    chat_jid(jid).filter(|jid| jid.server() != JidServer::Group)
}

/// The same address in the engine's words.
pub(crate) fn engine_jid(jid: &Jid) -> EngineJid {
    match jid.server() {
        JidServer::Phone => EngineJid::pn(jid.user()),
        JidServer::Lid => EngineJid::lid(jid.user()),
        JidServer::Group => EngineJid::group(jid.user()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_and_lose_the_device() {
        for text in [
            "15550000001@s.whatsapp.net",
            "100000000000001@lid",
            "120363000000000001@g.us",
        ] {
            let jid: Jid = text.parse().unwrap();
            assert_eq!(chat_jid(&engine_jid(&jid)), Some(jid));
        }
        let device: EngineJid = "15550000001:12@s.whatsapp.net".parse().unwrap();
        assert_eq!(chat_jid(&device).unwrap().to_string(), "15550000001@s.whatsapp.net");
    }

    #[test]
    fn a_status_broadcast_is_no_chat() {
        assert_eq!(chat_jid(&EngineJid::status_broadcast()), None);
        assert_eq!(person_jid(&EngineJid::group("120363000000000001")), None);
    }
}
