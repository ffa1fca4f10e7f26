//! Days, names and digests as parameters; days as results.
//!
//! A name or digest that comes back as text is read by its own `parse`, whose errors explain what is wrong.

use crate::copy::Digest;
use crate::unit::{Day, SchemaName, TemplateName, TenantName};
use bytes::{BufMut, BytesMut};
use postgres_types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};
use std::error::Error;

impl ToSql for Day {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_i32(self.pg_days());
        Ok(IsNull::No)
    }

    accepts!(DATE);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Day {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Day, Box<dyn Error + Sync + Send>> {
        Ok(Day::from_pg_days(i32::from_be_bytes(raw.try_into()?)))
    }

    accepts!(DATE);
}

macro_rules! as_text {
    ($($name:ty),*) => {$(
        impl ToSql for $name {
            fn to_sql(
                &self,
                ty: &Type,
                out: &mut BytesMut,
            ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
                self.as_str().to_sql(ty, out)
            }

            fn accepts(ty: &Type) -> bool {
                <&str as ToSql>::accepts(ty)
            }

            to_sql_checked!();
        }
    )*};
}

as_text!(TenantName, SchemaName, TemplateName);

impl ToSql for Digest {
    /// 32 hex digits, as the catalog keeps it.
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.to_string().to_sql(ty, out)
    }

    fn accepts(ty: &Type) -> bool {
        <String as ToSql>::accepts(ty)
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_comes_back_as_it_was_sent() {
        for text in ["0001-01-01", "1999-12-31", "2000-01-01", "2024-02-29"] {
            let day: Day = text.parse().unwrap();
            let mut sent = BytesMut::new();
            day.to_sql(&Type::DATE, &mut sent).unwrap();
            assert_eq!(Day::from_sql(&Type::DATE, &sent).unwrap(), day, "{text}");
        }
    }
}
