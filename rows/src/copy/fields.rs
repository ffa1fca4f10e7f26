//! The fields of one tuple.

/// The fields of a complete tuple, in order; null is `None`. Ends early where the bytes are not a tuple.
pub fn fields(tuple: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = tuple.get(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        let len = i32::from_be_bytes(*rest.first_chunk::<4>()?);
        rest = &rest[4..];
        match usize::try_from(len) {
            Err(_) => Some(None),
            Ok(len) => {
                let (field, behind) = rest.split_at_checked(len)?;
                rest = behind;
                Some(Some(field))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_in_order_and_null_is_none() {
        let tuple = b"\0\x03\0\0\0\x01a\xff\xff\xff\xff\0\0\0\0";
        let found: Vec<_> = fields(tuple).collect();
        assert_eq!(found, [Some(&b"a"[..]), None, Some(&b""[..])]);
    }
}
