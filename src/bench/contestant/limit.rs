//! The limit: what PostgreSQL itself needs for a backfill when nobody ever waits for anybody.
//!
//! The sum of three walls, each with every core busy: the period out of the source to nowhere; the same bytes from files into
//! a table; that table's indexes side by side, then ANALYZE and a validated CHECK on the time column. A loader that overlaps
//! the three can come below the sum only as far as cores idle in one of them.

use super::Contestant;
use super::statements::{at_once, commented, held, text};
use crate::bench::evidence::Evidence;
use crate::bench::ground::Work;
use crate::bench::lane::Lane;
use crate::bench::meter::Used;
use crate::error::{Error, Kind, Result};
use crate::sql::{ident, within};
use crate::template::{SOURCE_SETTINGS, copy_out_sql};
use crate::unit::Window;
use bytes::Bytes;
use futures::StreamExt;
use futures::future::try_join_all;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Instant;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub const NAME: &str = "limit";

/// Windows per core: the last ones to end leave little for the others to wait for.
const WINDOWS_PER_CORE: usize = 4;
/// Bytes handed to COPY IN at once.
const CHUNK: usize = 256 * 1024;

pub struct Limit;

/// Work for several sessions: whoever is free takes the next.
struct Shares<T>(Mutex<Vec<T>>);

impl<T> Shares<T> {
    fn new(mut all: Vec<T>) -> Shares<T> {
        all.reverse();
        Shares(Mutex::new(all))
    }

    fn next(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

/// The period in windows of equal length.
fn windows(lane: &Lane) -> Vec<Window> {
    let each = lane.window.len().div_ceil(lane.cores * WINDOWS_PER_CORE);
    let each = i32::try_from(each).unwrap_or(1).max(1);
    let mut windows = Vec::new();
    let mut from = lane.window.from;
    while from < lane.window.to {
        let to = from.plus(each).min(lane.window.to);
        windows.push(Window::new(from, to));
        from = to;
    }
    windows
}

fn file(lane: &Lane, window: Window) -> PathBuf {
    lane.folder.join(format!("{}.copy", window.from))
}

fn create(lane: &Lane) -> String {
    format!(
        "CREATE TABLE {} ({})",
        lane.relation(""),
        lane.column_list()
    )
}

fn copy_in(lane: &Lane) -> String {
    format!("COPY {} FROM STDIN (FORMAT binary)", lane.relation(""))
}

fn after_indexes(lane: &Lane) -> Vec<String> {
    let table = lane.relation("");
    let time = ident(&lane.template.time_column);
    let within = within(&time, lane.window, lane.template.time_type());
    vec![
        format!("ANALYZE {table}"),
        format!("ALTER TABLE {table} ADD CHECK ({time} IS NOT NULL AND {within})"),
    ]
}

/// Reads all windows in as many sessions as cores; to nowhere, or into files.
async fn out(lane: &Lane, keep: bool) -> Result<()> {
    let shares = Shares::new(windows(lane));
    let session = async || {
        let session = lane.source().endpoint.connect().await?;
        session
            .batch(&format!("BEGIN READ ONLY; {SOURCE_SETTINGS}"))
            .await?;
        while let Some(window) = shares.next() {
            let bound = lane.source().bound(&lane.template, window)?;
            let mut copy = session
                .copy_out(&copy_out_sql(&lane.template, bound.trim(), None))
                .await?;
            let mut to = match keep {
                true => Some(Kept::create(&file(lane, window)).await?),
                false => None,
            };
            while let Some(chunk) = copy.next().await {
                let chunk = chunk?;
                if let Some(to) = &mut to {
                    to.write(&chunk).await?;
                }
            }
            if let Some(to) = to {
                to.close().await?;
            }
        }
        session.batch("COMMIT").await
    };
    try_join_all((0..lane.cores).map(|_| session())).await?;
    Ok(())
}

/// A file under way.
struct Kept(tokio::io::BufWriter<File>);

impl Kept {
    async fn create(path: &Path) -> Result<Kept> {
        let file = File::create(path).await.map_err(|e| lost(path, e))?;
        Ok(Kept(tokio::io::BufWriter::with_capacity(CHUNK, file)))
    }

    async fn write(&mut self, chunk: &Bytes) -> Result<()> {
        let written = self.0.write_all(chunk).await;
        written.map_err(|e| lost(Path::new("a file of the limit"), e))
    }

    async fn close(mut self) -> Result<()> {
        let flushed = self.0.flush().await;
        flushed.map_err(|e| lost(Path::new("a file of the limit"), e))
    }
}

fn lost(path: &Path, e: std::io::Error) -> Error {
    Error::new(Kind::Io, format!("`{}`", path.display())).with_source(e)
}

/// Files into the table, in as many sessions as cores.
async fn r#in(lane: &Lane) -> Result<()> {
    let shares = Shares::new(windows(lane));
    let sql = copy_in(lane);
    let session = async || {
        let session = lane.warehouse.connect().await?;
        while let Some(window) = shares.next() {
            let path = file(lane, window);
            let mut from = File::open(&path).await.map_err(|e| lost(&path, e))?;
            from.set_max_buf_size(CHUNK);
            let mut copy = session.copy_in(&sql).await?;
            loop {
                let mut chunk = bytes::BytesMut::with_capacity(CHUNK);
                let read = from.read_buf(&mut chunk).await;
                if read.map_err(|e| lost(&path, e))? == 0 {
                    break;
                }
                copy.send(chunk.freeze()).await?;
            }
            copy.finish().await?;
        }
        Ok::<(), Error>(())
    };
    try_join_all((0..lane.cores).map(|_| session())).await?;
    Ok(())
}

/// The indexes in as many sessions as cores, then what needs them all.
async fn index(lane: &Lane) -> Result<()> {
    let shares = Shares::new(lane.indexes(&lane.relation("")));
    let session = async || {
        let session = lane.warehouse.connect().await?;
        while let Some(statement) = shares.next() {
            session.batch(&statement).await?;
        }
        Ok::<(), Error>(())
    };
    try_join_all((0..lane.cores).map(|_| session())).await?;
    // Each its own transaction, as a vacuum or analyze would be.
    let session = lane.warehouse.connect().await?;
    for statement in after_indexes(lane) {
        session.batch(&statement).await?;
    }
    Ok(())
}

impl Contestant for Limit {
    fn name(&self) -> &str {
        NAME
    }

    fn title(&self) -> String {
        "PostgreSQL's own limit".into()
    }

    fn script(&self, lane: &Lane) -> Result<String> {
        let windows = windows(lane);
        let first = windows.first().copied().unwrap_or(lane.window);
        let bound = lane.source().bound(&lane.template, first)?;
        let cores = lane.cores;
        let out = copy_out_sql(&lane.template, bound.trim(), None);
        Ok([
            commented(
                "Not timed, besides the first step below done once into files:",
                &text(&[create(lane)]),
            ),
            commented(
                &format!(
                    "1. At the source, {cores} sessions, {} windows, whoever is free takes the next; what comes is thrown away:",
                    windows.len()
                ),
                &text(&[out]),
            ),
            commented(
                &format!("2. In the warehouse, {cores} sessions, fed from the files in pieces of 256 KiB:"),
                &text(&[copy_in(lane)]),
            ),
            commented(
                &format!("3. In the warehouse, {cores} sessions, whoever is free takes the next:"),
                &text(&lane.indexes(&lane.relation(""))),
            ),
            commented("   then, one session:", &text(&after_indexes(lane))),
        ]
        .join("\n"))
    }

    fn prepare<'a>(&'a self, lane: &'a Lane) -> Work<'a, ()> {
        Box::pin(async move {
            at_once(lane, &[create(lane)]).await?;
            out(lane, true).await
        })
    }

    fn run<'a>(&'a self, lane: &'a Lane) -> Work<'a, Used> {
        Box::pin(async move {
            let mut more = BTreeMap::new();
            let started = Instant::now();
            out(lane, false).await?;
            more.insert("copy_out_seconds", started.elapsed().as_secs_f64());
            let started = Instant::now();
            r#in(lane).await?;
            more.insert("copy_in_seconds", started.elapsed().as_secs_f64());
            let started = Instant::now();
            index(lane).await?;
            more.insert("index_seconds", started.elapsed().as_secs_f64());
            Ok(Used {
                more,
                ..Used::default()
            })
        })
    }

    fn output<'a>(&'a self, lane: &'a Lane) -> Work<'a, Evidence> {
        Box::pin(held(lane, [(lane.relation(""), lane.window)]))
    }
}
