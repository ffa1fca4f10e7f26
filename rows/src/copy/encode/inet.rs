//! Printed addresses → inet and cidr. The layout is drawn in [`super::super::decode`]'s file of the same name.

use super::fault::EncodeFault;
use super::field::put_bytes;
use bytes::BytesMut;
use std::net::IpAddr;

/// PGSQL_AF_INET in `src/include/utils/inet.h`.
const IPV4: u8 = 2;
/// PGSQL_AF_INET6.
const IPV6: u8 = 3;

/// Writes an address with optional `/bits`; without them, all bits count.
pub(super) fn put_address(out: &mut BytesMut, text: &str, cidr: bool) -> Result<(), EncodeFault> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| EncodeFault::Unreadable)?;
    let mut field = [0; 20];
    let (family, length) = match address {
        IpAddr::V4(v4) => {
            field[4..8].copy_from_slice(&v4.octets());
            (IPV4, 4)
        }
        IpAddr::V6(v6) => {
            field[4..].copy_from_slice(&v6.octets());
            (IPV6, 16)
        }
    };
    let whole = length * 8;
    let bits = match bits {
        None => whole,
        Some(bits) => bits.parse().map_err(|_| EncodeFault::Unreadable)?,
    };
    if bits > whole {
        return Err(EncodeFault::Unreadable);
    }
    field[..4].copy_from_slice(&[family, bits, cidr.into(), length]);
    put_bytes(out, &field[..4 + usize::from(length)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes_of_addresses() {
        let cases: [(&str, bool, &[u8]); 4] = [
            ("10.0.0.1", false, b"\0\0\0\x08\x02\x20\0\x04\x0a\0\0\x01"),
            ("10.0.0.0/8", true, b"\0\0\0\x08\x02\x08\x01\x04\x0a\0\0\0"),
            (
                "::ffff:1.2.3.4/120",
                false,
                b"\0\0\0\x14\x03\x78\0\x10\0\0\0\0\0\0\0\0\0\0\xff\xff\x01\x02\x03\x04",
            ),
            (
                "2001:db8::/32",
                true,
                b"\0\0\0\x14\x03\x20\x01\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\0",
            ),
        ];
        for (text, cidr, field) in cases {
            let mut out = BytesMut::new();
            put_address(&mut out, text, cidr).unwrap();
            assert_eq!(out, field, "{text}");
        }
    }

    #[test]
    fn text_that_is_not_an_address_is_detected() {
        for text in [
            "",
            "10.0.0",
            "10.0.0.1/33",
            "::/129",
            "10.0.0.1/",
            "10.0.0.1/-1",
            "x",
        ] {
            let put = put_address(&mut BytesMut::new(), text, false);
            assert_eq!(put, Err(EncodeFault::Unreadable), "{text}");
        }
    }
}
