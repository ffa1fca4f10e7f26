//! Sockets, TLS, and what passes over a connection.

pub mod message_tap;
pub mod recv_batching;
pub mod server_errors;
pub mod socket;
pub mod tls;
