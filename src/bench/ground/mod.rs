//! The ground on which all scenarios take place: servers, tenants, the data.

mod configured;
mod private;

pub use configured::{Asked, Configured};
pub use private::{Private, Wish};

use super::lane::{Endpoint, Lane, Source};
use crate::cluster::Programs;
use crate::error::{Error, Kind, Result};
use crate::pg::Session;
use crate::template::Template;
use crate::unit::{Day, SchemaName, Window};
use futures::future::BoxFuture;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What takes its time.
pub type Work<'a, T> = BoxFuture<'a, Result<T>>;

/// Servers and tenants. One place knows where they are; nothing else does.
pub trait Place: Send + Sync {
    /// So many tenants, made if need be. At most [`Ground::tenants`] are asked for.
    fn sources(&self, tenants: u16) -> Work<'_, Vec<Source>>;
    /// An empty place in the warehouse, `number` being another one each time.
    fn open(&self, number: u32) -> Work<'_, Endpoint>;
    /// Removes what [`Place::open`] made and all that came into it.
    fn close<'a>(&'a self, warehouse: &'a Endpoint) -> Work<'a, ()>;
    /// The schema that contestants write to, in what [`Place::open`] made.
    fn schema(&self) -> SchemaName;
    /// A session on the warehouse's server that nobody measures, and one on the sources'.
    fn watch(&self) -> Work<'_, (Session, Session)>;
    /// The postmasters of sources and warehouse, where they are ours to look at.
    fn postmasters(&self) -> (Option<u32>, Option<u32>);
    /// Whether servers and tenants are ours: they may be changed, and told when to write a checkpoint.
    fn is_ours(&self) -> bool;
    /// Leaves nothing behind, whatever was interrupted; what goes with `self` may stay until then.
    fn strike(&self) -> Work<'_, ()>;
    /// Lets rows appear at the first tenant.
    fn change(&self, change: Change) -> Work<'_, ()>;
    /// Takes them away again.
    fn undo(&self) -> Work<'_, ()>;
    /// How Dayhaul is told about the lane.
    fn launch(&self, lane: &Lane) -> Launch;
    /// In a few words, for people.
    fn about(&self) -> String;
}

/// A place, and what is hauled there.
pub struct Ground {
    pub place: Box<dyn Place>,
    pub template: Arc<Template>,
    /// All days; the last one is yesterday unless days were named.
    pub window: Window,
    /// Rows of an ordinary day, where they are made up.
    pub rows_per_day: Option<u64>,
    /// How many tenants scenarios of several have at most.
    pub tenants: u16,
    pub jobs: usize,
    pub cores: usize,
    pub folder: PathBuf,
    pub psql: PathBuf,
    /// Dayhaul itself, run as a process of its own.
    pub program: PathBuf,
    next: AtomicU32,
}

/// What is hauled, and how hard.
pub struct Task {
    pub template: Arc<Template>,
    pub window: Window,
    pub rows_per_day: Option<u64>,
    pub tenants: u16,
    pub jobs: usize,
    /// For files; there must be room for the whole period in the format of binary COPY.
    pub folder: PathBuf,
    pub psql: PathBuf,
    /// Dayhaul itself, run as a process of its own.
    pub program: PathBuf,
}

/// What a process of Dayhaul's is started with.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    /// The configuration file; where there is none, the lane gets one with `text`.
    pub file: Option<PathBuf>,
    pub text: Option<String>,
    /// Of its environment, beside ours.
    pub variables: Vec<(String, String)>,
}

/// Rows that appear at a tenant between two tries, and go again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    pub day: Day,
    /// How many; at most as many as the day has.
    pub rows: u64,
}

impl Ground {
    pub fn new(place: Box<dyn Place>, task: Task) -> Ground {
        Ground {
            place,
            template: task.template,
            window: task.window,
            rows_per_day: task.rows_per_day,
            tenants: task.tenants,
            jobs: task.jobs,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            folder: task.folder,
            psql: task.psql,
            program: task.program,
            next: AtomicU32::new(1),
        }
    }

    /// The last days of the period.
    pub fn last_days(&self, days: usize) -> Window {
        let days = i32::try_from(days.min(self.window.len())).unwrap_or(1);
        Window::new(self.window.to.plus(-days.max(1)), self.window.to)
    }

    /// An empty lane, the servers at rest.
    ///
    /// # Errors
    /// A server's; the lane's folder cannot be made.
    pub async fn lane(&self, tenants: u16, window: Window) -> Result<Lane> {
        let sources = self.place.sources(tenants).await?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.join(format!("lane-{number}"));
        std::fs::create_dir_all(&folder).map_err(|e| {
            Error::new(Kind::Io, format!("cannot make `{}`", folder.display())).with_source(e)
        })?;
        let warehouse = self.place.open(number).await?;
        let mut lane = Lane {
            is_ours: self.place.is_ours(),
            launch: Launch::default(),
            warehouse,
            schema: self.place.schema(),
            sources,
            template: Arc::clone(&self.template),
            window,
            jobs: self.jobs,
            cores: self.cores,
            folder,
            psql: self.psql.clone(),
            program: self.program.clone(),
        };
        lane.launch = self.place.launch(&lane);
        Ok(lane)
    }

    /// Removes all of a lane.
    ///
    /// # Errors
    /// The warehouse's.
    pub async fn clear(&self, lane: &Lane) -> Result<()> {
        // What stays goes with the folder around it.
        let _ = std::fs::remove_dir_all(&lane.folder);
        self.place.close(&lane.warehouse).await
    }

    /// Writes out what earlier work left to be written, so that nobody pays for another's; servers that are not ours do it
    /// when they like.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn rest(&self, watchers: &(Session, Session)) -> Result<()> {
        if !self.place.is_ours() {
            return Ok(());
        }
        for session in [&watchers.0, &watchers.1] {
            match session.batch("CHECKPOINT").await {
                Err(error) if error.kind() == Kind::Connect => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The psql that comes with server programs, else whichever there is.
pub fn client(programs: Option<&Programs>) -> PathBuf {
    programs
        .map(|programs| programs.program("psql"))
        .filter(|psql| psql.is_file())
        .unwrap_or_else(|| PathBuf::from("psql"))
}
