//! The promises that only a real PostgreSQL can test. One binary, one private cluster for all tests.

mod backfill;
mod bench;
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
mod indexes;
mod init;
mod killed;
mod killer;
mod lake;
#[cfg(feature = "s3")]
mod lake_s3;
#[cfg(feature = "s3")]
mod lake_signed;
mod land;
mod land_broken;
mod landed_files;
mod landing;
mod laptop;
mod layers;
mod locks;
mod masks;
mod moved;
mod onlookers;
mod pgbouncer;
mod random;
mod readers;
mod rebuild;
mod refresh;
mod refusals;
mod repair;
mod report;
mod restore;
mod server;
mod snapshot;
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
