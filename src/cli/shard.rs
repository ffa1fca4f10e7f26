//! `--shard`: one of several loader hosts takes its share of the tenants.

use super::context::Context;
use crate::catalog::registry::tenants::Shard;
use crate::catalog::runs::shards::divided_otherwise;
use crate::catalog::{Catalog, Pair};
use crate::error::Result;
use clap::Args;

/// `--shard`.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct ShardArgs {
    /// Only share I of N equal shares of the tenants, for one of N loader hosts
    #[arg(long, value_name = "I/N", help_heading = "Selection")]
    shard: Option<Shard>,
}

impl ShardArgs {
    /// The pairs of the share. Says so when there are none, and when another host divides the tenants otherwise.
    ///
    /// # Errors
    /// The warehouse's.
    pub async fn choose(
        self,
        mut pairs: Vec<Pair>,
        catalog: &Catalog,
        context: &Context,
    ) -> Result<Vec<Pair>> {
        let Some(shard) = self.shard else {
            return Ok(pairs);
        };
        for other in divided_otherwise(catalog.session(), shard).await? {
            context.warn(format!(
                "run {} on {} took share {}, and this is share {shard}: unless all hosts use the same number of shares, \
                 some tenants are loaded by no host",
                other.run, other.host, other.shard
            ));
        }
        pairs.retain(|pair| shard.holds(&pair.tenant.name));
        if pairs.is_empty() {
            context.note(format!("no tenant of the selection is in share {shard}"));
        }
        Ok(pairs)
    }
}
