//! The promises that only a real PostgreSQL can test. One binary, one private cluster for all tests.

mod backfill;
mod cluster;
mod config;
mod connect;
mod crash;
mod decode;
mod demo;
mod digests;
mod events;
mod flights;
mod fold;
mod history;
mod init;
mod killed;
mod layers;
mod locks;
mod onlookers;
mod pgbouncer;
mod readers;
mod rebuild;
mod refresh;
mod refusals;
mod report;
mod server;
mod staging;
mod standby;
mod sync;
mod template;
mod tenant;
mod tls;
mod unchanged;
mod values;
mod verify;
#[allow(dead_code)] // until every command has its tests
mod world;
