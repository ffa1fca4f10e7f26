//! inet and cidr → the text that PostgreSQL prints.
//!
//! # Layout
//!
//! `network_send` in PostgreSQL's `src/backend/utils/adt/network.c`:
//!
//! ```text
//!  0      1     2        3       4
//! ┌──────┬─────┬────────┬───────┬───────────────────────
//! │family│bits │is_cidr │length │address, length bytes        family 2 with length 4, or 3 with length 16
//! └──────┴─────┴────────┴───────┴───────────────────────
//! ```
//!
//! `network_out` always appends `/bits` to a cidr, and to an inet only when it has fewer bits than the address. In an IPv6
//! address (`pg_inet_net_ntop` in `src/port/inet_net_ntop.c`), `::` replaces the first of the longest runs of at least two zero
//! words, and an embedded IPv4 address is written with dots: `::ffff:1.2.3.4`.

use super::fault::DecodeFault;
use std::io::Write;

/// PGSQL_AF_INET in `src/include/utils/inet.h`.
const IPV4: u8 = 2;
/// PGSQL_AF_INET6.
const IPV6: u8 = 3;

/// An inet's text.
pub(super) fn inet(field: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeFault> {
    print(field, false, out)
}

/// A cidr's text.
pub(super) fn cidr(field: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeFault> {
    print(field, true, out)
}

fn print(field: &[u8], cidr: bool, out: &mut Vec<u8>) -> Result<(), DecodeFault> {
    let ([family, bits, flag, length], address) = field
        .split_first_chunk::<4>()
        .ok_or(DecodeFault::Malformed)?;
    if *flag != u8::from(cidr) || usize::from(*length) != address.len() {
        return Err(DecodeFault::Malformed);
    }
    let whole = match (*family, address.len()) {
        (IPV4, 4) => {
            dotted(address, out);
            32
        }
        (IPV6, 16) => {
            let words: [u16; 8] =
                std::array::from_fn(|i| u16::from_be_bytes([address[2 * i], address[2 * i + 1]]));
            colons(&words, address, out);
            128
        }
        _ => return Err(DecodeFault::Malformed),
    };
    if *bits > whole {
        return Err(DecodeFault::Malformed);
    }
    if cidr || *bits < whole {
        write(out, format_args!("/{bits}"));
    }
    Ok(())
}

fn dotted(octets: &[u8], out: &mut Vec<u8>) {
    for (i, octet) in octets.iter().enumerate() {
        let dot = if i == 0 { "" } else { "." };
        write(out, format_args!("{dot}{octet}"));
    }
}

fn colons(words: &[u16; 8], address: &[u8], out: &mut Vec<u8>) {
    let (base, len) = longest_zeros(words);
    let mut i = 0;
    while i < words.len() {
        if i == base && len > 0 {
            out.push(b':');
            i += len;
            if i == words.len() {
                out.push(b':');
            }
            continue;
        }
        if i != 0 {
            out.push(b':');
        }
        let holds_ipv4 =
            base == 0 && (len == 6 || len == 7 && words[7] != 1 || len == 5 && words[5] == 0xffff);
        if i == 6 && holds_ipv4 {
            dotted(&address[12..], out);
            return;
        }
        write(out, format_args!("{:x}", words[i]));
        i += 1;
    }
}

/// Start and length of the first of the longest runs of zero words; length 0 when none has two.
fn longest_zeros(words: &[u16; 8]) -> (usize, usize) {
    let mut best = (0, 0);
    let mut run = 0;
    for (i, word) in words.iter().enumerate() {
        run = if *word == 0 { run + 1 } else { 0 };
        if run > best.1 {
            best = (i + 1 - run, run);
        }
    }
    if best.1 < 2 { (0, 0) } else { best }
}

fn write(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a Vec cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes_print_as_postgresql_does() {
        let cases: [(bool, &[u8], &str); 5] = [
            (false, b"\x02\x20\0\x04\x0a\0\0\x01", "10.0.0.1"),
            (false, b"\x02\x08\0\x04\x0a\0\0\x01", "10.0.0.1/8"),
            (true, b"\x02\x20\x01\x04\x0a\0\0\x01", "10.0.0.1/32"),
            (
                false,
                b"\x03\x80\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
                "::",
            ),
            (
                true,
                b"\x03\x20\x01\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\0",
                "2001:db8::/32",
            ),
        ];
        for (is_cidr, field, text) in cases {
            let mut out = Vec::new();
            print(field, is_cidr, &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn bytes_that_are_not_an_address_are_detected() {
        for field in [
            &b""[..],
            b"\x02\x20\0\x04\x0a\0\0",
            b"\x02\x21\0\x04\x0a\0\0\x01",
            b"\x04\x20\0\x04\x0a\0\0\x01",
            b"\x02\x20\x01\x04\x0a\0\0\x01",
            b"\x03\x20\0\x04\x0a\0\0\x01",
        ] {
            assert_eq!(inet(field, &mut Vec::new()), Err(DecodeFault::Malformed));
        }
    }
}
