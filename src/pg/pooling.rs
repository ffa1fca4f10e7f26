//! Whether a pooler stands before the warehouse that hands each transaction to another server process.

use super::Access;
use crate::error::Result;

pub async fn refuse_transaction_pooling(_access: &Access) -> Result<()> {
    todo!()
}
