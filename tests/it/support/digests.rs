//! The fingerprint of what a server holds, computed from its binary COPY without the crate's own framing.

use crate::support::server::{block_on, connect};
use crate::support::world::World;
use dayhaul::copy::Digest;
use dayhaul::template::Template;
use dayhaul::unit::TemplateName;
use futures::TryStreamExt;
use tokio_postgres::Client;

/// Rows and digest of a query at a URL, its bytes taken as they come.
pub fn of(url: &str, query: &str) -> (u64, Digest) {
    of_rows(&block_on(connect(url)).expect("a connection"), query)
}

fn of_rows(client: &Client, query: &str) -> (u64, Digest) {
    let bytes = block_on(async {
        let copy = format!("COPY ({query}) TO STDOUT (FORMAT binary)");
        let rows = client.copy_out(&copy).await.expect(query);
        futures::pin_mut!(rows);
        let mut all = Vec::new();
        while let Some(chunk) = rows.try_next().await.expect(query) {
            all.extend_from_slice(&chunk);
        }
        all
    });
    let mut rest = &bytes[19..];
    let (mut rows, mut digest) = (0, Digest::default());
    let number = |bytes: &[u8]| i32::from_be_bytes(bytes[..4].try_into().unwrap());
    loop {
        let fields = i16::from_be_bytes(rest[..2].try_into().unwrap());
        if fields == -1 {
            assert_eq!(rest.len(), 2);
            return (rows, digest);
        }
        let mut at = 2;
        for _ in 0..fields {
            at += 4 + usize::try_from(number(&rest[at..])).unwrap_or(0);
        }
        rows += 1;
        digest.add(&rest[..at]);
        rest = &rest[at..];
    }
}

impl World {
    /// Asserts for every loaded unit of a template that its table holds just what the ledger says, byte for byte.
    #[track_caller]
    pub fn digests_hold(&self, template: &str, source: &str) {
        let parsed = Template::parse(TemplateName::parse(template).unwrap(), source).unwrap();
        let columns: Vec<String> = parsed
            .columns
            .iter()
            .map(|c| format!("\"{}\"", c.name))
            .collect();
        let time = &parsed.time_column;
        let units = self.warehouse.rows(&format!(
            "SELECT relation, day, day + 1, rows, digest FROM _wh.unit WHERE template = '{template}' AND state = 'loaded'"
        ));
        assert!(!units.is_empty(), "no unit is loaded");
        let warehouse = block_on(connect(&self.warehouse.url_utc())).expect("a connection");
        for unit in units {
            let [relation, from, to, rows, digest] = <[_; 5]>::try_from(unit)
                .unwrap()
                .map(Option::unwrap_or_default);
            let (found, fingerprint) = of_rows(
                &warehouse,
                &format!(
                    "SELECT {} FROM {relation} WHERE \"{time}\" >= '{from}' AND \"{time}\" < '{to}'",
                    columns.join(", ")
                ),
            );
            assert_eq!(
                (found.to_string(), fingerprint.to_string()),
                (rows, digest),
                "{relation} on {from}"
            );
        }
    }
}
