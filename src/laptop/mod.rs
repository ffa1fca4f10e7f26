//! A private warehouse with the latest days of some tenants, masked by the tenants' own servers.
//!
//! `home` is its folder, server and configuration; `fill` loads it; `summary` describes it to people and programs.

pub mod fill;
pub mod home;
pub mod summary;
