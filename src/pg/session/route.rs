//! How a connection was made, so that a cancel request can go the same way.

use crate::pg::conninfo::hosts::Host;
use crate::pg::conninfo::resolved::Target;
use crate::pg::net::socket::Address;
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;

pub struct Route {
    pub target: Arc<Target>,
    pub host: Host,
    pub address: Address,
    pub tls: Option<MakeRustlsConnect>,
}
