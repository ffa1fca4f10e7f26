//! From a connection string to where and how to connect: URL, environment, password file, secrets.

pub mod parse;
pub mod passfile;
pub mod resolved;
pub mod secret;
mod url;
