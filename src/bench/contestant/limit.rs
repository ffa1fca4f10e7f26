//! The limit: what PostgreSQL itself needs for a backfill when no step waits for another.
//!
//! The sum of three wall times, each with every core busy: reading the period from the source and discarding it; copying the
//! same bytes from files into a table; building that table's indexes in parallel, then ANALYZE and a validated CHECK on the
//! time column. A loader that overlaps the three can be faster only as far as cores idle in one of them.

use super::Contestant;
use super::statements::{commented, loaded_rows, run_batch, script};
use crate::bench::environment::Work;
use crate::bench::fingerprint::Fingerprint;
use crate::bench::meter::ContestantUsage;
use crate::bench::sandbox::Sandbox;
use crate::error::{Error, Kind, Result};
use crate::sql::{ident, within};
use crate::template::copy_out_sql;
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
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};

pub const NAME: &str = "limit";

/// Windows per core. Small windows keep the wait for the last session short.
const WINDOWS_PER_CORE: usize = 4;
/// Bytes sent to COPY IN at once.
const CHUNK: usize = 256 * 1024;

pub struct Limit;

/// Work for several sessions; a free session takes the next item.
struct WorkQueue<T>(Mutex<Vec<T>>);

impl<T> WorkQueue<T> {
    fn new(mut all: Vec<T>) -> WorkQueue<T> {
        all.reverse();
        WorkQueue(Mutex::new(all))
    }

    fn next(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

/// The period in windows of equal length; of one day each where the query is for one day.
fn windows(sandbox: &Sandbox) -> Vec<Window> {
    let each = if sandbox.template.one_day_windows {
        1
    } else {
        let windows = sandbox.cores * WINDOWS_PER_CORE;
        sandbox.window.len().div_ceil(windows)
    };
    let each = i32::try_from(each).unwrap_or(1).max(1);
    let mut windows = Vec::new();
    let mut from = sandbox.window.from;
    while from < sandbox.window.to {
        let to = from.plus(each).min(sandbox.window.to);
        windows.push(Window::new(from, to));
        from = to;
    }
    windows
}

fn copy_file(sandbox: &Sandbox, window: Window) -> PathBuf {
    sandbox.folder.join(format!("{}.copy", window.from))
}

fn after_indexes(sandbox: &Sandbox) -> Vec<String> {
    let table = sandbox.relation("");
    let time = ident(&sandbox.template.time_column);
    let within = within(&time, sandbox.window, sandbox.template.time_type());
    vec![
        format!("ANALYZE {table}"),
        format!("ALTER TABLE {table} ADD CHECK ({time} IS NOT NULL AND {within})"),
    ]
}

/// What happens to the bytes that are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Output {
    Discarded,
    Files,
}

/// Reads all windows, with one session per core.
async fn copy_out(sandbox: &Sandbox, output: Output) -> Result<()> {
    let queue = WorkQueue::new(windows(sandbox));
    let session = async || {
        let session = sandbox.source().endpoint.connect().await?;
        sandbox.source().begin(&session).await?;
        while let Some(window) = queue.next() {
            let bound = sandbox.source().bound(&sandbox.template, window)?;
            let mut copy = session
                .copy_out(&copy_out_sql(&sandbox.template, bound.trim(), None))
                .await?;
            let mut file = match output {
                Output::Files => Some(CopyFile::create(copy_file(sandbox, window)).await?),
                Output::Discarded => None,
            };
            while let Some(chunk) = copy.next().await {
                let chunk = chunk?;
                if let Some(file) = &mut file {
                    file.write(&chunk).await?;
                }
            }
            if let Some(file) = file {
                file.close().await?;
            }
        }
        session.batch("COMMIT").await
    };
    try_join_all((0..sandbox.cores).map(|_| session())).await?;
    Ok(())
}

/// A file that is being written.
struct CopyFile {
    path: PathBuf,
    file: BufWriter<File>,
}

impl CopyFile {
    async fn create(path: PathBuf) -> Result<CopyFile> {
        let created = File::create(&path).await;
        let file = created.map_err(|e| io_error("create", &path, e))?;
        let file = BufWriter::with_capacity(CHUNK, file);
        Ok(CopyFile { path, file })
    }

    async fn write(&mut self, chunk: &Bytes) -> Result<()> {
        let written = self.file.write_all(chunk).await;
        written.map_err(|e| io_error("write", &self.path, e))
    }

    async fn close(mut self) -> Result<()> {
        let flushed = self.file.flush().await;
        flushed.map_err(|e| io_error("write", &self.path, e))
    }
}

fn io_error(verb: &str, path: &Path, cause: std::io::Error) -> Error {
    Error::new(Kind::Io, format!("failed to {verb} `{}`", path.display())).with_source(cause)
}

/// Copies the files into the table, with one session per core.
async fn copy_in(sandbox: &Sandbox) -> Result<()> {
    let queue = WorkQueue::new(windows(sandbox));
    let sql = sandbox.copy_in();
    let session = async || {
        let session = sandbox.warehouse.connect().await?;
        while let Some(window) = queue.next() {
            let path = copy_file(sandbox, window);
            let opened = File::open(&path).await;
            let mut from = opened.map_err(|e| io_error("open", &path, e))?;
            from.set_max_buf_size(CHUNK);
            let mut copy = session.copy_in(&sql).await?;
            loop {
                let mut chunk = bytes::BytesMut::with_capacity(CHUNK);
                let read = from.read_buf(&mut chunk).await;
                if read.map_err(|e| io_error("read", &path, e))? == 0 {
                    break;
                }
                copy.send(chunk.freeze()).await?;
            }
            copy.finish().await?;
        }
        Ok::<(), Error>(())
    };
    try_join_all((0..sandbox.cores).map(|_| session())).await?;
    Ok(())
}

/// Builds the indexes, with one session per core, then runs the statements that need all of them.
async fn index(sandbox: &Sandbox) -> Result<()> {
    let queue = WorkQueue::new(sandbox.indexes(&sandbox.relation("")));
    let session = async || {
        let session = sandbox.warehouse.connect().await?;
        while let Some(statement) = queue.next() {
            session.batch(&statement).await?;
        }
        Ok::<(), Error>(())
    };
    try_join_all((0..sandbox.cores).map(|_| session())).await?;
    // Each statement in its own transaction.
    let session = sandbox.warehouse.connect().await?;
    for statement in after_indexes(sandbox) {
        session.batch(&statement).await?;
    }
    Ok(())
}

impl Contestant for Limit {
    fn name(&self) -> &str {
        NAME
    }

    fn title(&self) -> String {
        "PostgreSQL's limit".into()
    }

    fn script(&self, sandbox: &Sandbox) -> Result<String> {
        let windows = windows(sandbox);
        let first = windows.first().copied().unwrap_or(sandbox.window);
        let bound = sandbox.source().bound(&sandbox.template, first)?;
        let cores = sandbox.cores;
        let copy_out = copy_out_sql(&sandbox.template, bound.trim(), None);
        Ok([
            commented(
                "Not timed, in addition to the first step below with output to files:",
                &script(&[sandbox.create_table()]),
            ),
            commented(
                &format!(
                    "1. At the source, {cores} sessions and {} windows; a free session takes the next window and discards the rows:",
                    windows.len()
                ),
                &script(&[copy_out]),
            ),
            commented(
                &format!("2. In the warehouse, {cores} sessions that read the files in chunks of 256 KiB:"),
                &script(&[sandbox.copy_in()]),
            ),
            commented(
                &format!("3. In the warehouse, {cores} sessions; a free session takes the next index:"),
                &script(&sandbox.indexes(&sandbox.relation(""))),
            ),
            commented("   then, one session:", &script(&after_indexes(sandbox))),
        ]
        .join("\n"))
    }

    fn prepare<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, ()> {
        Box::pin(async move {
            run_batch(sandbox, &[sandbox.create_table()]).await?;
            copy_out(sandbox, Output::Files).await
        })
    }

    fn run<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, ContestantUsage> {
        Box::pin(async move {
            let mut more = BTreeMap::new();
            let started = Instant::now();
            copy_out(sandbox, Output::Discarded).await?;
            more.insert("copy_out_seconds", started.elapsed().as_secs_f64());
            let started = Instant::now();
            copy_in(sandbox).await?;
            more.insert("copy_in_seconds", started.elapsed().as_secs_f64());
            let started = Instant::now();
            index(sandbox).await?;
            more.insert("index_seconds", started.elapsed().as_secs_f64());
            Ok(ContestantUsage {
                more,
                ..ContestantUsage::default()
            })
        })
    }

    fn output<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, Fingerprint> {
        Box::pin(loaded_rows(
            sandbox,
            [(sandbox.relation(""), sandbox.window)],
        ))
    }
}
