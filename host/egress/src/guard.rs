//! Which addresses may be contacted: public ones, and no others.
//!
//! Must never be asked about a name: a name is what its addresses are, at the moment of connecting.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::error::EgressError;

/// IPv4 networks that are not the public internet (RFC 6890 and its registry), as network and prefix length.
const REFUSED_V4: [([u8; 4], u32); 19] = [
    ([0, 0, 0, 0], 8),        // this network, unspecified
    ([10, 0, 0, 0], 8),       // private
    ([100, 64, 0, 0], 10),    // carrier-grade NAT, and a cloud's metadata service
    ([127, 0, 0, 0], 8),      // loopback
    ([168, 63, 129, 16], 32), // a cloud's metadata service
    ([169, 254, 0, 0], 16),   // link-local, and most clouds' metadata services
    ([172, 16, 0, 0], 12),    // private
    ([192, 0, 0, 0], 24),     // protocol assignments
    ([192, 0, 2, 0], 24),     // documentation
    ([192, 31, 196, 0], 24),  // AS112
    ([192, 52, 193, 0], 24),  // AMT
    ([192, 88, 99, 0], 24),   // 6to4 relays
    ([192, 168, 0, 0], 16),   // private
    ([192, 175, 48, 0], 24),  // AS112
    ([198, 18, 0, 0], 15),    // benchmarks
    ([198, 51, 100, 0], 24),  // documentation
    ([203, 0, 113, 0], 24),   // documentation
    ([224, 0, 0, 0], 4),      // multicast
    ([240, 0, 0, 0], 4),      // reserved, broadcast
];

/// All of IPv6 that is global unicast; mapped, compatible, NAT64, unique-local, link-local, site-local and
/// multicast addresses lie outside.
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What of global unicast is not the public internet.
const REFUSED_V6: [(Ipv6Addr, u32); 5] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments: Teredo, benchmarks, ORCHID
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4, which can mean any IPv4 address
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48), // AS112
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// Whether the address belongs to the public internet.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let inside = |(network, prefix): &([u8; 4], u32)| {
                (u32::from(address) ^ u32::from(Ipv4Addr::from(*network))) >> (32 - prefix) == 0
            };
            !REFUSED_V4.iter().any(inside)
        }
        IpAddr::V6(address) => {
            let inside = |(network, prefix): &(Ipv6Addr, u32)| {
                (u128::from(address) ^ u128::from(*network)) >> (128 - prefix) == 0
            };
            inside(&GLOBAL_V6) && !REFUSED_V6.iter().any(inside)
        }
    }
}

/// Refuses a URL whose host is an address that is not public. The URL parser has turned decimal, octal and
/// hexadecimal forms into plain addresses; connectors skip the resolver for these, hence this check.
pub(crate) fn check_literal(url: &Url) -> Result<(), EgressError> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(_)) | None => return Ok(()),
    };
    if is_public(address) {
        return Ok(());
    }
    Err(EgressError::PrivateAddress { host: address.to_string(), address })
}

/// Refuses a name that no certificate can be for: it could be looked up, but never be proved.
pub(crate) fn check_name(url: &Url) -> Result<(), EgressError> {
    let Some(name) = url.domain().filter(|_| url.scheme() == "https") else { return Ok(()) };
    match rustls::pki_types::DnsName::try_from(name) {
        Ok(_) => Ok(()),
        Err(_) => Err(EgressError::Denied { rule: format!("{name:?} is no host name") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_public_is_refused() {
        let refused = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.0.0.53",
            "127.255.255.255",
            "168.63.129.16",
            "169.254.0.1",
            "169.254.169.254",
            "169.254.170.2",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "192.168.255.255",
            "192.175.48.6",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::2",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:8.8.8.8",
            "::ffff:0:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::10.0.0.1",
            "100::1",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:808:808::1",
            "2620:4f:8000::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fe80::a9fe:a9fe",
            "febf::1",
            "fec0::1",
            "feff::1",
            "ff00::1",
            "ff02::1",
            "ff0e::1",
            "4000::1",
            "8000::1",
        ];
        assert!(refused.len() >= 60);
        for text in refused {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.255.255",
            "169.255.0.1",
            "172.15.255.255",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.255.255",
            "192.169.0.1",
            "198.17.255.255",
            "198.20.0.1",
            "223.255.255.255",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2600::1",
            "2a00:1450::1",
            "3ffe::1",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn names_that_cannot_be_proved_are_refused_over_https() {
        for (url, refused) in [
            ("https://api.example.org/", false),
            ("https://api.example.org./", false),
            ("https://a_b.example.org/", false),
            ("https://xn--bcher-kva.example/", false),
            ("https://8.8.8.8/", false),
            ("https://$(reboot).example.org/", true),
            ("https://a{b.example.org/", true),
            ("https://-.example.org/", true),
            ("https://a..example.org/", true),
            ("http://a..example.org/", false),
        ] {
            assert_eq!(check_name(&Url::parse(url).unwrap()).is_err(), refused, "{url}");
        }
    }

    #[test]
    fn every_way_to_write_an_address_is_one_address() {
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://0x7f.1/",
            "http://127.0.0.1./",
            "http://①②⑦.0.0.1/",
            "http://%31%32%37.0.0.1/",
            "http://0/",
            "http://[::1]/",
            "http://[0:0:0:0:0:0:0:1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://169.254.169.254/latest/",
        ] {
            let url = Url::parse(url).unwrap();
            assert!(matches!(check_literal(&url), Err(EgressError::PrivateAddress { .. })), "{url}");
        }
        for url in ["http://8.8.8.8/", "https://[2600::1]/", "https://example.org/"] {
            assert!(check_literal(&Url::parse(url).unwrap()).is_ok(), "{url}");
        }
    }

    proptest! {
        /// However an IPv4 address is wrapped into an IPv6 one, the wrapped form is refused.
        #[test]
        fn wrapped_addresses_are_refused(bits in any::<u32>()) {
            let [a, b] = [(bits >> 16) as u16, bits as u16];
            for wrapped in [
                Ipv6Addr::new(0, 0, 0, 0, 0, 0, a, b),
                Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, a, b),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a, b),
                Ipv6Addr::new(0x2002, a, b, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, !a, !b),
            ] {
                prop_assert!(!is_public(wrapped.into()));
            }
        }
    }
}
