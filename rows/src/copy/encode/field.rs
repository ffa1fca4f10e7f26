//! The fields of a tuple: a length, then the bytes.

use super::fault::EncodeFault;
use bytes::BytesMut;

/// The length of a null.
const NULL: [u8; 4] = (-1i32).to_be_bytes();

/// The size of a length.
const LENGTH: usize = 4;

pub(super) fn put_null(out: &mut BytesMut) {
    out.extend_from_slice(&NULL);
}

/// Writes a field of fixed size, length and value at once. Returns a `Result` only because the other writers do.
macro_rules! put_fixed {
    ($name:ident, $ty:ty) => {
        #[inline]
        pub fn $name(out: &mut BytesMut, value: $ty) -> Result<(), EncodeFault> {
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

pub(super) fn put_bytes(out: &mut BytesMut, bytes: &[u8]) -> Result<(), EncodeFault> {
    let len = i32::try_from(bytes.len()).map_err(|_| EncodeFault::TooLong)?;
    out.reserve(LENGTH + bytes.len());
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

/// Writes a field whose length is known only after `write`.
pub(super) fn put_sized(
    out: &mut BytesMut,
    write: impl FnOnce(&mut BytesMut) -> Result<(), EncodeFault>,
) -> Result<(), EncodeFault> {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH]);
    write(out)?;
    let len = i32::try_from(out.len() - start - LENGTH).map_err(|_| EncodeFault::TooLong)?;
    out[start..start + LENGTH].copy_from_slice(&len.to_be_bytes());
    Ok(())
}
