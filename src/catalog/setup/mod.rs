//! Making a catalog: roles, rights, schema, migrations.

pub mod init;
pub mod migrate;
mod rights;
mod steps;
