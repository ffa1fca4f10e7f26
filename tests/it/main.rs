//! The promises that only a real PostgreSQL can test. One binary, one private cluster for all tests.

mod backfill;
mod cluster;
mod config;
mod connect;
mod events;
mod demo;
mod flights;
mod init;
mod pgbouncer;
mod server;
mod tenant;
mod tls;
mod template;
#[allow(dead_code)] // until every command has its tests
mod world;
