//! A folder of Parquet files for the tests: written from what a warehouse holds, and then spoilt.

use crate::support::server::{block_on, connect};
use crate::support::world::World;
use dayhaul::copy::{Decoder, Intake, Tally};
use dayhaul::landing::{Landing, Origin, WriterOptions};
use dayhaul::schema::arrow::arrow_schema;
use dayhaul::template::Template;
use dayhaul::unit::{Day, SchemaName, TemplateName, TenantName, Window};
use futures::TryStreamExt;
use std::path::{Path, PathBuf};

/// A folder that days land in.
pub struct Lake {
    folder: tempfile::TempDir,
}

/// A file to be written: whose, and what its footer is to say.
pub struct Written<'a> {
    pub tenant: &'a str,
    pub schema: &'a str,
    pub template: &'a Template,
    pub day: Day,
    pub run: i64,
    /// What the footer says in place of the truth.
    pub lie: Option<Tally>,
}

pub fn template(name: &str, source: &str) -> Template {
    Template::parse(TemplateName::parse(name).unwrap(), source).unwrap()
}

impl Lake {
    pub fn new() -> Lake {
        Lake {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn url(&self) -> String {
        format!("file://{}", self.folder().display())
    }

    pub fn file(&self, template: &str, schema: &str, day: &str) -> PathBuf {
        let unit = format!("{template}/tenant={schema}/date={day}/data.parquet");
        self.folder().join(unit)
    }

    /// Every file below the folder, by its path in it.
    pub fn copy_from(&self, other: &Lake) {
        copy(other.folder(), self.folder());
    }

    /// Writes a day's rows: the query's, at a URL, in the order of the template's columns.
    pub fn write(&self, url: &str, query: &str, written: &Written<'_>) {
        let template = written.template;
        let bytes = block_on(async {
            let client = connect(url).await.expect("a connection");
            client
                .batch_execute("SET timezone = 'UTC'")
                .await
                .expect("a zone");
            let copy = format!("COPY ({query}) TO STDOUT (FORMAT binary)");
            let rows = client.copy_out(&copy).await.expect(query);
            futures::pin_mut!(rows);
            let mut all = Vec::new();
            while let Some(chunk) = rows.try_next().await.expect(query) {
                all.extend_from_slice(&chunk);
            }
            all
        });
        let mut decoder = Decoder::new(&template.columns).expect("columns that land");
        let window = Window::single(written.day);
        let mut intake = Intake::new(&template.columns, template.time_index(), window);
        let mut decoded = Ok(());
        intake
            .push(&bytes, |_, tuple| {
                if decoded.is_ok() {
                    decoded = decoder.push(tuple);
                }
            })
            .expect("tuples");
        decoded.expect("tuples that land");
        let tally = written.lie.unwrap_or(intake.finish().expect("tuples")[0]);
        let batch = decoder.finish().expect("a batch");
        let origin = Origin::new(
            &TenantName::parse(written.tenant).unwrap(),
            &SchemaName::parse(written.schema).unwrap(),
            template,
            written.day,
        );
        let landing = Landing::open(&self.url(), WriterOptions::default()).expect("a folder");
        block_on(async {
            let schema = arrow_schema(&template.columns).expect("columns that land");
            let mut writer = landing.create(origin, schema).await.expect("a file");
            writer.write(&batch).await.expect("rows");
            let finished = writer.finish(&tally, None, written.run).await;
            finished.expect("a footer").publish().await.expect("a file");
        });
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

impl World {
    /// Lands every loaded unit of a template as files, as a run would, and says so in the ledger.
    pub fn land(&self, lake: &Lake, name: &str, source: &str) {
        let template = template(name, source);
        let columns: Vec<String> = template
            .columns
            .iter()
            .map(|c| format!("\"{}\"", c.name))
            .collect();
        let units = self.warehouse.rows(&format!(
            "SELECT u.tenant, t.schema_name, u.day, u.run, u.relation FROM _wh.unit u JOIN _wh.tenant t ON t.name = u.tenant \
             WHERE u.template = '{name}' AND u.state = 'loaded' ORDER BY 1, 2"
        ));
        for unit in units {
            let [tenant, schema, day, run, relation] = <[_; 5]>::try_from(unit)
                .unwrap()
                .map(Option::unwrap_or_default);
            let query = format!(
                "SELECT {} FROM {relation} WHERE (\"{time}\" AT TIME ZONE 'UTC')::date = '{day}'",
                columns.join(", "),
                time = template.time_column
            );
            let written = Written {
                tenant: &tenant,
                schema: &schema,
                template: &template,
                day: day.parse().unwrap(),
                run: run.parse().unwrap(),
                lie: None,
            };
            lake.write(&self.warehouse.url(), &query, &written);
        }
        self.warehouse.run(&format!(
            "UPDATE _wh.unit u SET object = '{}/' || u.template || '/tenant=' || t.schema_name || '/date=' || u.day || '/data.parquet', \
             object_digest = digest, object_bytes = 1 FROM _wh.tenant t WHERE t.name = u.tenant AND u.template = '{name}' \
             AND u.state = 'loaded'",
            lake.url()
        ));
    }

    /// Drops the whole warehouse, and makes an empty database of its name.
    pub fn lose_warehouse(&self) {
        let admin = self
            .warehouse
            .url()
            .replace(&format!("/{}", self.warehouse.name), "/postgres");
        crate::support::server::run(
            &admin,
            &format!("DROP DATABASE \"{}\" WITH (FORCE)", self.warehouse.name),
        );
        crate::support::server::run(
            &admin,
            &format!("CREATE DATABASE \"{}\"", self.warehouse.name),
        );
    }
}
