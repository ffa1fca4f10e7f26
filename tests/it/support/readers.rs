//! Readers that look on while something happens: none may see anything but whole totals, get an error, or wait.

use crate::support::server::{Holder, block_on, connect};
use crate::support::world::World;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio_postgres::Client;

/// What readers saw.
#[derive(Debug)]
pub struct Seen {
    pub polls: usize,
    /// What the views showed, each once.
    pub totals: BTreeSet<String>,
    pub slowest: Duration,
    /// The slowest poll of a reader that looks at nothing of ours: what the machine alone is to blame for.
    pub control: Duration,
}

impl Seen {
    fn nothing() -> Seen {
        Seen {
            polls: 0,
            totals: BTreeSet::new(),
            slowest: Duration::ZERO,
            control: Duration::ZERO,
        }
    }

    /// No poll hung. Waiting for a lock for 500 ms is an error of its own, on whatever machine; the time alone says little
    /// on one that does something else, too.
    #[track_caller]
    pub fn nobody_waited(&self) {
        let machine = self.control * 2;
        assert!(
            self.slowest < Duration::from_secs(5) + machine,
            "{:?}, {:?} where nothing of ours was read",
            self.slowest,
            self.control
        );
    }
}

/// Readers that poll tenant and public view every few milliseconds, each in its own way.
pub struct Readers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Seen>>,
    control: JoinHandle<Seen>,
}

#[derive(Clone, Copy)]
pub enum Way {
    /// Each query on its own.
    Committed,
    /// REPEATABLE READ transactions of half a second each.
    Repeatable,
    /// REPEATABLE READ transactions that look only half a second after they began: no lock keeps the view as it was when
    /// their snapshot was taken.
    Late,
    /// Queries that take two seconds.
    Slow,
}

impl Readers {
    /// `amount` is the column that is summed.
    pub fn start(world: &World, template: &str, amount: &str) -> Readers {
        let ways = [Way::Committed, Way::Repeatable, Way::Late, Way::Slow];
        Readers::in_ways(world, template, amount, &ways)
    }

    /// Without slow queries: what they look at, dayhaul need not wait for long.
    pub fn quick(world: &World, template: &str, amount: &str) -> Readers {
        let ways = [Way::Committed, Way::Repeatable, Way::Late];
        Readers::in_ways(world, template, amount, &ways)
    }

    fn in_ways(world: &World, template: &str, amount: &str, ways: &[Way]) -> Readers {
        let public = totals(&format!("public.{template}"), amount);
        Readers::of(world, &[&public], ways)
    }

    /// Each way for each query, which gives one text.
    pub fn of(world: &World, queries: &[&str], ways: &[Way]) -> Readers {
        let stop = Arc::new(AtomicBool::new(false));
        let spawn = |url: String, role: &str, sql: &str, way: Way| {
            let (role, sql, stop) = (role.to_owned(), sql.to_owned(), Arc::clone(&stop));
            std::thread::spawn(move || block_on(poll(&url, &role, &sql, way, &stop)))
        };
        let url = world.warehouse.url();
        let threads = queries
            .iter()
            .flat_map(|sql| ways.iter().map(move |way| (*sql, *way)))
            .map(|(sql, way)| spawn(url.clone(), &world.reader, sql, way))
            .collect();
        let control = spawn(
            crate::support::server::url("postgres"),
            "postgres",
            "SELECT concat_ws(' ', count(*), sum(n)) FROM generate_series(1, 10000) AS n",
            Way::Committed,
        );
        Readers {
            stop,
            threads,
            control,
        }
    }

    /// Ends the readers; fails when one of them got an error.
    pub fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Seen::nothing();
        all.control = self.control.join().expect("the control").slowest;
        for thread in self.threads {
            let seen = thread.join().expect("a reader got an error");
            all.polls += seen.polls;
            all.totals.extend(seen.totals);
            all.slowest = all.slowest.max(seen.slowest);
        }
        all
    }
}

fn totals(view: &str, amount: &str) -> String {
    format!("SELECT concat_ws(' ', count(*), sum({amount})) FROM {view}")
}

/// A transaction with its snapshot taken: the first statement takes it.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1";

async fn reader(url: &str, role: &str) -> Client {
    let client = connect(url).await.expect("a connection");
    client
        .batch_execute(&format!(
            "SET ROLE \"{role}\"; SET timezone = 'UTC'; SET lock_timeout = '500ms'"
        ))
        .await
        .expect("the reader's role");
    client
}

async fn poll(url: &str, role: &str, sql: &str, way: Way, stop: &AtomicBool) -> Seen {
    let client = reader(url, role).await;
    let mut seen = Seen::nothing();
    let slow = format!("SELECT (SELECT 'x' FROM pg_sleep(2)), q.* FROM ({sql}) AS q");
    while !stop.load(Ordering::Relaxed) {
        match way {
            Way::Committed => {
                one(&client, sql, &mut seen).await;
            }
            Way::Repeatable => {
                client.batch_execute(BEGIN).await.unwrap();
                let begun = Instant::now();
                let first = one(&client, sql, &mut seen).await;
                while begun.elapsed() < Duration::from_millis(500) {
                    let again = one(&client, sql, &mut seen).await;
                    assert_eq!(again, first, "in one REPEATABLE READ transaction");
                }
                client.batch_execute("COMMIT").await.unwrap();
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Way::Late => {
                client.batch_execute(BEGIN).await.unwrap();
                tokio::time::sleep(Duration::from_millis(500)).await;
                one(&client, sql, &mut seen).await;
                client.batch_execute("COMMIT").await.unwrap();
            }
            Way::Slow => {
                let rows = client.query(&slow, &[]).await.unwrap();
                seen.totals.insert(rows[0].get(1));
                seen.polls += 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
    seen
}

async fn one(client: &Client, sql: &str, seen: &mut Seen) -> String {
    let begun = Instant::now();
    let row = client.query_one(sql, &[]).await.unwrap();
    seen.slowest = seen.slowest.max(begun.elapsed());
    let totals: String = row.get(0);
    seen.totals.insert(totals.clone());
    seen.polls += 1;
    tokio::time::sleep(Duration::from_millis(3)).await;
    totals
}

/// A REPEATABLE READ transaction that has read something, and stays open until it is dropped.
pub struct Snapshot {
    client: Client,
    sql: String,
    saw: String,
}

impl Snapshot {
    pub fn open(world: &World, template: &str, amount: &str) -> Snapshot {
        Snapshot::of(world, totals(&format!("public.{template}"), amount))
    }

    /// Has read nothing of ours: it holds no lock, and sees what was there when it began.
    pub fn of_nothing(world: &World) -> Snapshot {
        Snapshot::of(world, "SELECT ''".into())
    }

    fn of(world: &World, sql: String) -> Snapshot {
        block_on(async {
            let client = reader(&world.warehouse.url(), &world.reader).await;
            client.batch_execute(BEGIN).await.unwrap();
            let saw = client.query_one(&sql, &[]).await.unwrap().get(0);
            Snapshot { client, sql, saw }
        })
    }

    #[track_caller]
    pub fn still_sees_the_same(&mut self) {
        let sees: String = block_on(self.client.query_one(&self.sql, &[]))
            .unwrap()
            .get(0);
        assert_eq!(sees, self.saw);
    }
}

/// A REPEATABLE READ transaction that is opened at once, and polls until it is stopped.
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Watch {
    pub fn start(world: &World, sql: &str) -> Watch {
        let stop = Arc::new(AtomicBool::new(false));
        let (url, role) = (world.warehouse.url(), world.reader.clone());
        let (sql, stopped) = (sql.to_owned(), Arc::clone(&stop));
        let (opened, wait) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            block_on(async {
                let client = reader(&url, &role).await;
                client
                    .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
                    .await
                    .unwrap();
                let mut seen = Seen::nothing();
                one(&client, &sql, &mut seen).await;
                opened.send(()).unwrap();
                while !stopped.load(Ordering::Relaxed) {
                    one(&client, &sql, &mut seen).await;
                }
                assert_eq!(seen.totals.len(), 1, "{seen:?}");
                seen.polls
            })
        });
        wait.recv().expect("a snapshot");
        Watch { stop, thread }
    }

    /// Ends it; fails when it saw two things, or got an error.
    pub fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("a reader got an error")
    }
}

/// A READ COMMITTED transaction that is idle, and holds a table as readers do.
pub fn hold(world: &World, table: &str) -> Holder {
    let role = &world.reader;
    let lock = format!("SET LOCAL ROLE \"{role}\"; LOCK TABLE {table} IN ACCESS SHARE MODE");
    Holder::new(&world.warehouse, &lock)
}
