//! postgres_fdw: one INSERT … SELECT from a foreign table over a view at the source.

use super::Contestant;
use super::statements::{commented, loaded_rows, run_batch, script};
use crate::bench::environment::Work;
use crate::bench::fingerprint::Fingerprint;
use crate::bench::meter::ContestantUsage;
use crate::bench::sandbox::Sandbox;
use crate::error::Result;
use crate::pg::Url;
use crate::sql::{ident, literal, qualified};

pub const NAME: &str = "postgres_fdw";

/// Rows per round trip. With the default of 100, the comparison would not be fair.
const FETCH_SIZE: u32 = 10_000;

/// The view at the source.
const VIEW: &str = "dayhaul_bench";

pub struct ForeignTable;

impl ForeignTable {
    /// At the source, before the clock starts.
    fn view(sandbox: &Sandbox) -> Result<String> {
        let query = sandbox.source().query(&sandbox.template, sandbox.window)?;
        Ok(format!("CREATE OR REPLACE VIEW {VIEW} AS\n{query}"))
    }

    /// In the warehouse, before the clock starts.
    fn definitions(sandbox: &Sandbox) -> Result<Vec<String>> {
        let url = Url::parse(&sandbox.source().endpoint.conninfo)?;
        let option = |name: &str| {
            url.get(name)
                .map(|value| format!("{name} {}", literal(value)))
        };
        let server: Vec<String> = ["host", "port", "dbname"]
            .into_iter()
            .filter_map(option)
            .collect();
        let user = option("user").unwrap_or_default();
        Ok(vec![
            format!(
                "CREATE SERVER {VIEW} FOREIGN DATA WRAPPER postgres_fdw OPTIONS ({}, fetch_size '{FETCH_SIZE}')",
                server.join(", ")
            ),
            format!("CREATE USER MAPPING FOR CURRENT_USER SERVER {VIEW} OPTIONS ({user})"),
            format!(
                "CREATE FOREIGN TABLE {} ({}) SERVER {VIEW} OPTIONS (schema_name 'public', table_name '{VIEW}')",
                ForeignTable::foreign(sandbox),
                sandbox.column_list()
            ),
            sandbox.create_table(),
        ])
    }

    fn foreign(sandbox: &Sandbox) -> String {
        qualified(sandbox.schema.as_str(), "foreign_table")
    }

    fn statements(sandbox: &Sandbox) -> Vec<String> {
        let columns: Vec<String> = sandbox
            .template
            .columns
            .iter()
            .map(|c| ident(&c.name))
            .collect();
        let table = sandbox.relation("");
        let mut statements = vec![
            "BEGIN".to_owned(),
            format!(
                "INSERT INTO {table}\nSELECT {} FROM {}",
                columns.join(", "),
                ForeignTable::foreign(sandbox)
            ),
        ];
        statements.extend(sandbox.indexes(&table));
        statements.push("COMMIT".to_owned());
        statements
    }
}

impl Contestant for ForeignTable {
    fn name(&self) -> &str {
        NAME
    }

    fn title(&self) -> String {
        "postgres_fdw: INSERT … SELECT, one table".into()
    }

    fn script(&self, sandbox: &Sandbox) -> Result<String> {
        Ok([
            commented(
                "At the source, not timed:",
                &script(&[ForeignTable::view(sandbox)?]),
            ),
            commented(
                "In the warehouse, not timed:",
                &script(&ForeignTable::definitions(sandbox)?),
            ),
            commented(
                "In the warehouse, one session, timed:",
                &script(&ForeignTable::statements(sandbox)),
            ),
        ]
        .join("\n"))
    }

    fn extension(&self) -> Option<&'static str> {
        Some("postgres_fdw")
    }

    fn left_out(&self, sandbox: &Sandbox) -> Option<&'static str> {
        (!sandbox.is_private)
            .then_some("it needs a view at the source, and the source is only read")
    }

    fn prepare<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, ()> {
        Box::pin(async move {
            let source = sandbox.source().endpoint.connect().await?;
            source.batch(&ForeignTable::view(sandbox)?).await?;
            run_batch(sandbox, &ForeignTable::definitions(sandbox)?).await
        })
    }

    fn run<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, ContestantUsage> {
        Box::pin(async move {
            run_batch(sandbox, &ForeignTable::statements(sandbox)).await?;
            Ok(ContestantUsage::default())
        })
    }

    fn output<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, Fingerprint> {
        Box::pin(loaded_rows(
            sandbox,
            [(sandbox.relation(""), sandbox.window)],
        ))
    }
}
