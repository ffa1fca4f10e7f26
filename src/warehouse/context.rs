//! What every piece of work in the warehouse needs: how to reach it, as whom, and how long to wait for locks.

use crate::config::{ReplicaIdentity, Settings};
use crate::error::Result;
use crate::pg::{self, Access, Purpose, Session};
use crate::sql::ident;
use std::time::Duration;

#[derive(Debug, Clone, Copy)]
pub struct WarehouseContext<'a> {
    pub access: &'a Access,
    /// The role that owns everything.
    pub owner: &'a str,
    /// The role that readers are members of.
    pub reader: &'a str,
    pub replica_identity: ReplicaIdentity,
    /// How long DDL waits for a lock before it steps back for readers.
    pub lock_timeout: Duration,
}

impl<'a> WarehouseContext<'a> {
    pub fn new(access: &'a Access, settings: &'a Settings) -> WarehouseContext<'a> {
        WarehouseContext {
            access,
            owner: &settings.warehouse.owner_role,
            reader: &settings.warehouse.reader_role,
            replica_identity: settings.warehouse.replica_identity,
            lock_timeout: settings.load.lock_timeout,
        }
    }

    /// Another session that does everything as the owner role.
    ///
    /// # Errors
    /// The warehouse's.
    pub async fn open_session(self) -> Result<Session> {
        open_session(self.access, self.owner).await
    }
}

/// A session that does everything as the owner role, and commits without waiting for the disk: rows are safe, because
/// their ledger row commits with them, and the run ends with a synchronous commit.
///
/// # Errors
/// The warehouse's.
pub async fn open_session(access: &Access, owner: &str) -> Result<Session> {
    let session = pg::connect(access, Purpose::Warehouse).await?;
    session
        .batch(&format!(
            "SET ROLE {}; SET synchronous_commit = off; SET client_min_messages = warning",
            ident(owner)
        ))
        .await?;
    Ok(session)
}
