//! The promises, a file per theme.

mod backfill;
mod bench;
mod cluster;
mod config;
mod connect;
mod crash;
mod decode;
mod demo;
mod flights;
mod fold;
mod history;
mod indexes;
mod init;
mod json_docs;
mod killed;
#[cfg(feature = "s3")]
mod lake_s3;
#[cfg(feature = "s3")]
mod lake_signed;
mod land;
mod land_broken;
mod landing;
mod laptop;
mod layers;
mod locks;
mod masks;
mod moved;
mod onlookers;
mod pgbouncer;
mod rebuild;
mod refresh;
mod refusals;
mod repair;
mod report;
mod restore;
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
