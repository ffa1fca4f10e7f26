//! A share of the tenants, for one of several loader hosts.

use crate::error::{Error, Result};
use crate::unit::TenantName;
use std::fmt;
use std::str::FromStr;
use xxhash_rust::xxh3::xxh3_64;

/// One of several equal shares of the tenants: `2/5` is the second of five.
///
/// A tenant's name alone decides which share it is in: XXH3-64 of the name, modulo the number of shares. So hosts need not
/// know of each other, and a tenant that is added or dropped moves no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    pub number: u32,
    pub of: u32,
}

impl Shard {
    /// Whether the tenant is in this share.
    pub fn holds(self, tenant: &TenantName) -> bool {
        xxh3_64(tenant.as_str().as_bytes()) % u64::from(self.of) == u64::from(self.number - 1)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Shard {
    type Err = Error;

    /// # Errors
    /// The text is not `I/N` with 1 ≤ I ≤ N.
    fn from_str(text: &str) -> Result<Shard> {
        let numbers = text.split_once('/').and_then(|(number, of)| {
            let (number, of) = (number.parse().ok()?, of.parse().ok()?);
            (1..=of).contains(&number).then_some(Shard { number, of })
        });
        numbers.ok_or_else(|| {
            Error::usage("not a share of the tenants: write `I/N` with I from 1 to N, as in `2/5`")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tenant_is_in_one_share() {
        let mut sizes = [0; 5];
        for n in 0..1_000 {
            let tenant = TenantName::parse(&format!("tenant{n}")).unwrap();
            let shards = (1..=5).map(|number| Shard { number, of: 5 });
            let holding: Vec<_> = shards.filter(|shard| shard.holds(&tenant)).collect();
            assert_eq!(holding.len(), 1, "{tenant}");
            sizes[holding[0].number as usize - 1] += 1;
        }
        assert!(
            sizes.iter().all(|size| (150..250).contains(size)),
            "{sizes:?}"
        );
    }

    #[test]
    fn a_tenant_never_changes_its_share() {
        let shard = |name: &str| {
            let tenant = TenantName::parse(name).unwrap();
            let mut shards = (1..=4).map(|number| Shard { number, of: 4 });
            shards
                .find(|shard| shard.holds(&tenant))
                .unwrap()
                .to_string()
        };
        assert_eq!(["acme", "beta", "zenith"].map(shard), ["2/4", "2/4", "1/4"]);
    }

    #[test]
    fn a_share_that_does_not_exist_is_refused() {
        assert_eq!("2/5".parse::<Shard>().unwrap().to_string(), "2/5");
        for wrong in [
            "", "2", "0/5", "6/5", "1/0", "a/b", "-1/5", "1/5/2", "1 / 5",
        ] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
