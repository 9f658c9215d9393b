//! Which addresses may be dialled. A name may resolve to anything, and to something else a moment later: every address of
//! it is checked, and those that were checked are what is dialled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An address, or one of those that a name resolved to, may not be dialled by this build.
#[derive(Debug, thiserror::Error)]
#[error("this build may not dial that address")]
pub struct AddressRefused;

/// Why a name gave no address to dial.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The name resolves to something that may not be dialled.
    #[error(transparent)]
    Refused(#[from] AddressRefused),
    /// The name could not be resolved.
    #[error("the name could not be resolved")]
    Lookup(#[source] std::io::Error),
    /// The name has no address.
    #[error("the name has no address")]
    Empty,
}

/// What a name may resolve to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Loopback, every address of the name.
    LoopbackOnly,
    /// Any address.
    Anywhere,
    /// Public addresses, every one of the name.
    PublicOnly,
}

impl Reach {
    fn allows(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match self {
            Self::LoopbackOnly => address.is_loopback(),
            Self::Anywhere => true,
            Self::PublicOnly => is_public(address),
        }
    }

    /// Passes the addresses on when every one of them may be dialled.
    fn check(self, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, ResolveError> {
        if addresses.is_empty() {
            return Err(ResolveError::Empty);
        }
        if addresses.iter().all(|address| self.allows(address.ip())) {
            Ok(addresses)
        } else {
            Err(AddressRefused.into())
        }
    }
}

/// Resolves a host, by name or by number, and checks every address it has. What comes back is what must be dialled:
/// resolving a second time could give other answers.
///
/// # Errors
/// See [`ResolveError`].
pub async fn resolve(host: &str, port: u16, reach: Reach) -> Result<Vec<SocketAddr>, ResolveError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let addresses = match bare.parse::<IpAddr>() {
        Ok(number) => vec![SocketAddr::new(number, port)],
        Err(_) => tokio::net::lookup_host((bare, port))
            .await
            .map_err(ResolveError::Lookup)?
            .collect(),
    };
    reach.check(addresses)
}

/// Whether an address belongs to the public internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => is_public_v4(four),
        IpAddr::V6(six) => is_public_v6(six),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let shared = first == 100 && (64..128).contains(&second);
    let protocol = first == 192 && second == 0 && third == 0;
    let benchmark = first == 198 && (second == 18 || second == 19);
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || first == 0
        || first >= 240
        || shared
        || protocol
        || benchmark)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // Global unicast is 2000::/3; of it, addresses that carry an IPv4 address (NAT64 is outside of it) and the
    // documentation range are not hosts of the internet.
    let global_unicast = segments[0] & 0xe000 == 0x2000;
    let documentation = segments[0] == 0x2001 && segments[1] == 0x0db8;
    let teredo = segments[0] == 0x2001 && segments[1] == 0;
    let six_to_four = segments[0] == 0x2002;
    global_unicast && !documentation && !teredo && !six_to_four
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(text: &str) -> bool {
        is_public(text.parse::<IpAddr>().unwrap().to_canonical())
    }

    #[test]
    fn only_hosts_of_the_internet_are_public() {
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2001:db8::1",
            "2002:a00:1::1",
            "ff02::1",
            "2001::1",
        ] {
            assert!(!public(inside), "{inside}");
        }
        for outside in ["8.8.8.8", "157.240.1.60", "2a03:2880:f200::1", "::ffff:8.8.8.8"] {
            assert!(public(outside), "{outside}");
        }
    }

    #[test]
    fn one_bad_address_refuses_the_name() {
        let mixed = vec!["127.0.0.1:1".parse().unwrap(), "10.0.0.1:1".parse().unwrap()];
        assert!(matches!(
            Reach::LoopbackOnly.check(mixed),
            Err(ResolveError::Refused(_))
        ));
        assert!(matches!(Reach::Anywhere.check(Vec::new()), Err(ResolveError::Empty)));
    }

    #[tokio::test]
    async fn loopback_is_known_by_number_and_by_name() {
        assert!(resolve("127.0.0.1", 80, Reach::LoopbackOnly).await.is_ok());
        assert!(resolve("[::1]", 80, Reach::LoopbackOnly).await.is_ok());
        assert!(resolve("localhost", 80, Reach::LoopbackOnly).await.is_ok());
        assert!(matches!(
            resolve("192.0.2.1", 80, Reach::LoopbackOnly).await,
            Err(ResolveError::Refused(_))
        ));
        assert!(matches!(
            resolve("localhost", 80, Reach::PublicOnly).await,
            Err(ResolveError::Refused(_))
        ));
    }
}
