//! PostgreSQL connections: the only place that names `tokio-postgres`.
//!
//! ```text
//! Url (as written) ─▶ Target (with PG* and defaults) ─▶ socket ─▶ TLS ─▶ Session ─▶ CopyOut, CopyIn, rows
//!                     secret, pgpass ─▶ password ────────┘
//! ```
//!
//! Every error of the driver and of the server becomes a [`crate::error::Error`] in [`sqlstate`], the one table that decides
//! what a retry may fix.
//!
//! # Poolers
//!
//! A tenant may stand behind a pooler that hands each transaction to another server process. On a
//! [`Purpose::Source`] session nothing is set but within a transaction ([`SourceTransaction`]), and [`Session::batch`], [`Session::simple`],
//! [`Session::copy_out`] and [`describe`](describe()) leave nothing behind once their transaction ends. The warehouse needs a
//! server session that stays the same; [`connect_unpooled`] makes sure of it.

mod connect;
pub mod conninfo;
mod describe;
mod net;
mod params;
mod places;
mod session;
pub mod settings;
pub mod source;
pub mod sqlstate;

pub use connect::pooling::connect_unpooled;
pub use connect::{Access, Purpose, connect};
pub use conninfo::parse::Url;
pub use conninfo::password::Password;
pub use describe::{describe, describe_in};
pub use params::array::RawArray;
pub use params::raw::Raw;
pub use session::cancel::Canceller;
pub use session::cancel_on_drop::CancelOnDrop;
pub use session::copy::{CopyIn, CopyOut};
pub use session::{Session, SimpleRows};
pub use settings::search_path::SearchPath;
pub use source::{Snapshot, SourceTransaction};
pub use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};
