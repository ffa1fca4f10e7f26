//! A world with a landing folder, and its files read back.

use crate::support::events;
use crate::support::server::block_on;
use crate::support::world::World;
use dayhaul::copy::{Digest, Encoder, Tally};
use dayhaul::landing::{Footer, LandedFile, Landing, ObjectPath, WriterOptions};
use dayhaul::template::Template;
use dayhaul::unit::{SchemaName, TemplateName};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A unit's file, read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    pub rows: u64,
    pub digest: String,
    pub footer: Footer,
}

impl World {
    /// The folder that days are landed in.
    pub fn lake(&self) -> PathBuf {
        self.folder().join("lake")
    }

    /// Makes the folder and names it in `dayhaul.toml`.
    pub fn with_lake(self) -> World {
        std::fs::create_dir_all(self.lake()).expect("a folder");
        self.configure(&format!("[landing]\nurl = \"{}\"\n", self.lake_url()));
        self
    }

    pub fn lake_url(&self) -> String {
        format!("file://{}", self.lake().display())
    }

    pub fn landing(&self) -> Landing {
        Landing::open(&self.lake_url(), WriterOptions::default()).expect("a root")
    }

    /// The file of a day of a tenant whose schema has its name.
    pub fn file(&self, template: &str, tenant: &str, day: &str) -> PathBuf {
        let folder = format!("{template}/tenant={tenant}/date={day}");
        self.lake().join(folder).join("data.parquet")
    }

    /// Reads a day's file. `None` when there is none.
    pub fn read_file(&self, template: &str, tenant: &str, day: &str) -> Option<Read> {
        read(&self.landing(), &object(template, tenant, day))
    }

    /// Asserts that every unit is landed, and that each file holds just what the ledger says. Gives their number.
    #[track_caller]
    pub fn lake_is_whole(&self, template: &str) -> usize {
        let units = self.warehouse.rows(&format!(
            "SELECT p.schema_name, u.day, u.rows, u.digest, u.object, u.object_digest, u.object_bytes \
             FROM _wh.unit u JOIN _wh.tenant p ON p.name = u.tenant \
             WHERE u.template = '{template}' AND u.state IN ('loaded', 'landed')"
        ));
        for unit in &units {
            let [schema, day, rows, digest, object, object_digest, bytes] =
                <[_; 7]>::try_from(unit.clone())
                    .unwrap()
                    .map(Option::unwrap_or_default);
            assert_eq!(digest, object_digest, "{schema} {day} is not landed");
            let file = self.file(template, &schema, &day);
            assert_eq!(object, format!("file://{}", file.display()));
            assert_eq!(
                bytes,
                std::fs::metadata(&file).expect(&object).len().to_string()
            );
            let read = self.read_file(template, &schema, &day).expect(&object);
            assert_eq!(
                (read.rows.to_string(), read.digest),
                (rows, digest),
                "{day}"
            );
            assert_eq!(read.footer.origin.day.to_string(), day);
        }
        assert_eq!(self.files().len(), units.len(), "{:?}", self.files());
        self.nothing_is_aside();
        units.len()
    }

    /// Every file below the lake's folder, with its inode and time of change: what a rewrite changes.
    pub fn files(&self) -> BTreeMap<PathBuf, (u64, i64)> {
        let mut files = BTreeMap::new();
        for path in all_files(&self.lake()) {
            let found = std::fs::metadata(&path).unwrap();
            files.insert(path, (found.ino(), found.mtime_nsec()));
        }
        files
    }

    /// Asserts that no file stands beside its place.
    #[track_caller]
    pub fn nothing_is_aside(&self) {
        let hidden: Vec<PathBuf> = all_files(&self.lake())
            .into_iter()
            .filter(|path| path.file_name().unwrap() != "data.parquet")
            .collect();
        assert!(hidden.is_empty(), "{hidden:?}");
    }

    /// Runs a command that loads, with the day that the tests take for today, and gives its JSON.
    #[track_caller]
    pub fn hauls(&self, args: &[&str], code: i32) -> serde_json::Value {
        let args = [args, &["--json", "--today", events::TODAY]].concat();
        self.dayhaul(&args).exits(code).json()
    }
}

/// Reads a day's file to its end: its rows as tuples again. `None` when there is none.
pub fn read(landing: &Landing, object: &ObjectPath) -> Option<Read> {
    let file: LandedFile = block_on(landing.open_file(object)).unwrap()?;
    let footer = file.footer().clone();
    let then = Template::parse(
        footer.origin.template.clone(),
        &footer.origin.template_source,
    );
    let mut encoder = Encoder::new(&then.unwrap().columns).unwrap();
    let (mut rows, mut digest) = (0, Digest::default());
    let mut tuples = bytes::BytesMut::new();
    for batch in file.batches().unwrap() {
        let batch = batch.unwrap();
        let each = |tuple: &[u8]| {
            rows += 1;
            digest.add(tuple);
        };
        encoder.encode(&batch, &mut tuples, each).unwrap();
        tuples.clear();
    }
    Some(Read {
        rows,
        digest: digest.to_string(),
        footer,
    })
}

/// Writes the rows of acme's event file of `from` as the one of `day`: with the digest that they have, or with that of
/// `day`'s own.
pub fn forge(landing: &Landing, day: &str, from: &str, honest: bool) {
    block_on(async {
        let read = async |day: &str| {
            let file = landing.open_file(&object("event", "acme", day)).await;
            file.unwrap().expect("a file")
        };
        let (target, other) = (read(day).await, read(from).await);
        let digest = if honest { &other } else { &target }.footer().digest;
        let tally = Tally {
            rows: other.footer().rows,
            bytes: 0,
            digest,
        };
        let origin = target.footer().origin.clone();
        let schema = other.schema().clone();
        let mut writer = landing.create(origin, schema).await.unwrap();
        for batch in other.batches().unwrap() {
            writer.write(&batch.unwrap()).await.unwrap();
        }
        let finished = writer.finish(&tally, None, 1).await.unwrap();
        finished.publish().await.unwrap();
    });
}

/// The object of a day of a tenant whose schema has its name.
pub fn object(template: &str, tenant: &str, day: &str) -> ObjectPath {
    ObjectPath {
        template: TemplateName::parse(template).unwrap(),
        schema: SchemaName::parse(tenant).unwrap(),
        day: day.parse().unwrap(),
    }
}

fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(all_files(&path));
        } else {
            files.push(path);
        }
    }
    files
}

impl World {
    /// Runs the binary, and gives how it ended with the most memory that it held, in bytes.
    #[cfg(target_os = "linux")]
    pub fn peak_memory(&self, args: &[&str]) -> (std::process::ExitStatus, u64) {
        let mut child = self
            .command(args)
            .stderr(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let status = format!("/proc/{}/status", child.id());
        let mut peak = 0;
        loop {
            // The high-water mark, so that no peak falls between two looks.
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let kilobytes = text
                .lines()
                .find_map(|l| l.strip_prefix("VmHWM:"))
                .and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok());
            peak = peak.max(kilobytes.unwrap_or(0) * 1024);
            if let Some(ended) = child.try_wait().unwrap() {
                return (ended, peak);
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
}
