//! The promises that only a real PostgreSQL can test. One binary, one private cluster for all tests.

mod backfill;
mod cluster;
mod config;
mod connect;
mod demo;
mod digests;
mod events;
mod flights;
mod history;
mod init;
mod layers;
mod pgbouncer;
mod server;
mod template;
mod tenant;
mod tls;
mod values;
#[allow(dead_code)] // until every command has its tests
mod world;
