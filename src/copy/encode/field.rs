//! Fields as they stand in a tuple: a length, then the bytes.

use super::fault::Fault;
use bytes::BytesMut;

/// Length of a null.
const NULL: [u8; 4] = (-1i32).to_be_bytes();

/// Bytes of a length.
const LENGTH: usize = 4;

pub(super) fn put_null(out: &mut BytesMut) {
    out.extend_from_slice(&NULL);
}

/// A field of a fixed number of bytes, length and value in one write. Never fails; says so as its like do.
macro_rules! put_fixed {
    ($name:ident, $ty:ty) => {
        #[inline]
        pub fn $name(out: &mut BytesMut, value: $ty) -> Result<(), Fault> {
            const WIDTH: usize = size_of::<$ty>();
            let mut field = [0; LENGTH + WIDTH];
            field[LENGTH - 1] = WIDTH as u8;
            field[LENGTH..].copy_from_slice(&value.to_be_bytes());
            out.extend_from_slice(&field);
            Ok(())
        }
    };
}

put_fixed!(put_i16, i16);
put_fixed!(put_i32, i32);
put_fixed!(put_i64, i64);
put_fixed!(put_f32, f32);
put_fixed!(put_f64, f64);

pub(super) fn put_bytes(out: &mut BytesMut, bytes: &[u8]) -> Result<(), Fault> {
    let len = i32::try_from(bytes.len()).map_err(|_| Fault::TooLong)?;
    out.reserve(LENGTH + bytes.len());
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

/// A field whose length is known when `write` has written it.
pub(super) fn put_sized(
    out: &mut BytesMut,
    write: impl FnOnce(&mut BytesMut) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH]);
    write(out)?;
    let len = i32::try_from(out.len() - start - LENGTH).map_err(|_| Fault::TooLong)?;
    out[start..start + LENGTH].copy_from_slice(&len.to_be_bytes());
    Ok(())
}
