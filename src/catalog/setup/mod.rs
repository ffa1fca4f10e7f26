//! Making a catalog: roles, rights, schema, migrations.

pub mod init;
pub mod migrate;
pub mod owners;
mod rights;
mod steps;
