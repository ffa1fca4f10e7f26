//! From a connection string to where and how to connect: URL, service file, environment, password file, secrets.

pub mod env;
#[cfg(test)]
mod fuzz;
pub mod hosts;
mod keys;
pub mod parse;
pub mod passfile;
pub mod password;
mod render;
pub mod resolved;
pub mod secret;
mod service;
#[cfg(test)]
mod tests;
mod url;
pub mod values;
