//! postgres_fdw: one INSERT … SELECT from a foreign table over a view at the source.

use super::Contestant;
use super::statements::{at_once, commented, held, text};
use crate::bench::evidence::Evidence;
use crate::bench::ground::Work;
use crate::bench::lane::Lane;
use crate::bench::meter::Used;
use crate::error::Result;
use crate::pg::Url;
use crate::sql::{ident, literal, qualified};

pub const NAME: &str = "postgres_fdw";

/// Rows per round trip; postgres_fdw's own 100 would be a straw man.
const FETCH_SIZE: u32 = 10_000;

/// The view at the source.
const VIEW: &str = "dayhaul_bench";

pub struct ForeignTable;

impl ForeignTable {
    /// At the source, before the clock starts.
    fn view(lane: &Lane) -> Result<String> {
        let query = lane.source().query(&lane.template, lane.window)?;
        Ok(format!("CREATE OR REPLACE VIEW {VIEW} AS\n{query}"))
    }

    /// In the warehouse, before the clock starts.
    fn definitions(lane: &Lane) -> Result<Vec<String>> {
        let url = Url::parse(&lane.source().endpoint.conninfo)?;
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
                ForeignTable::foreign(lane),
                lane.column_list()
            ),
            format!(
                "CREATE TABLE {} ({})",
                lane.relation(""),
                lane.column_list()
            ),
        ])
    }

    fn foreign(lane: &Lane) -> String {
        qualified(lane.schema.as_str(), "foreign_table")
    }

    fn statements(lane: &Lane) -> Vec<String> {
        let columns: Vec<String> = lane
            .template
            .columns
            .iter()
            .map(|c| ident(&c.name))
            .collect();
        let table = lane.relation("");
        let mut statements = vec![
            "BEGIN".to_owned(),
            format!(
                "INSERT INTO {table}\nSELECT {} FROM {}",
                columns.join(", "),
                ForeignTable::foreign(lane)
            ),
        ];
        statements.extend(lane.indexes(&table));
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

    fn script(&self, lane: &Lane) -> Result<String> {
        Ok([
            commented(
                "At the source, not timed:",
                &text(&[ForeignTable::view(lane)?]),
            ),
            commented(
                "In the warehouse, not timed:",
                &text(&ForeignTable::definitions(lane)?),
            ),
            commented(
                "In the warehouse, one session, timed:",
                &text(&ForeignTable::statements(lane)),
            ),
        ]
        .join("\n"))
    }

    fn extension(&self) -> Option<&'static str> {
        Some("postgres_fdw")
    }

    fn left_out(&self, lane: &Lane) -> Option<&'static str> {
        (!lane.is_ours).then_some("it needs a view at the source, and the source is only read")
    }

    fn prepare<'a>(&'a self, lane: &'a Lane) -> Work<'a, ()> {
        Box::pin(async move {
            let source = lane.source().endpoint.connect().await?;
            source.batch(&ForeignTable::view(lane)?).await?;
            at_once(lane, &ForeignTable::definitions(lane)?).await
        })
    }

    fn run<'a>(&'a self, lane: &'a Lane) -> Work<'a, Used> {
        Box::pin(async move {
            at_once(lane, &ForeignTable::statements(lane)).await?;
            Ok(Used::default())
        })
    }

    fn output<'a>(&'a self, lane: &'a Lane) -> Work<'a, Evidence> {
        Box::pin(held(lane, [(lane.relation(""), lane.window)]))
    }
}
