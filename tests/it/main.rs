//! The promises that only a real PostgreSQL can test. One binary, one private cluster for all tests.

mod backfill;
mod cluster;
mod config;
mod connect;
mod demo;
mod events;
mod flights;
mod init;
mod pgbouncer;
mod report;
mod server;
mod template;
mod tenant;
mod tls;
#[allow(dead_code)] // until every command has its tests
mod world;
