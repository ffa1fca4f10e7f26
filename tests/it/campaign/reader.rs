//! A reader that asks for the quiet day all the time: all of its rows or, before their first load, none.

use super::sources::{QUIET_DAY, ROWS_A_DAY};
use crate::support::server::{block_on, connect};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio_postgres::Client;

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// The server itself is down, or a lock of the test's own keeps readers out: errors are its doing.
    excused: AtomicBool,
    polls: AtomicUsize,
    wrong: Mutex<Vec<String>>,
}

pub struct Reader {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    /// `url` leads to the server itself.
    pub fn start(url: String, role: String) -> Reader {
        let shared = Arc::new(Shared::default());
        let reading = Arc::clone(&shared);
        let thread = std::thread::spawn(move || block_on(read(&url, &role, &reading)));
        Reader {
            shared,
            thread: Some(thread),
        }
    }

    pub fn excuse(&self, excused: bool) {
        self.shared.excused.store(excused, Ordering::SeqCst);
    }

    pub fn polls(&self) -> usize {
        self.shared.polls.load(Ordering::SeqCst)
    }

    /// What it saw and should not have seen.
    pub fn wrong(&self) -> Vec<String> {
        self.shared.wrong.lock().unwrap().clone()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn read(url: &str, role: &str, shared: &Shared) {
    let mut complete = BTreeSet::new();
    let mut client = None;
    while !shared.stop.load(Ordering::SeqCst) {
        // A lock or a crash may end while the answer is on its way: the excuse counts from before the question.
        let before = shared.excused.load(Ordering::SeqCst);
        let answer = poll(&mut client, url, role).await;
        let excused = before || shared.excused.load(Ordering::SeqCst);
        let fault = match answer {
            Ok(rows) => judge(&rows, &mut complete),
            Err(e) => {
                client = None;
                let not_there = e.code().is_some_and(|code| code.code() == "42P01");
                let fault = format!("{e:?}");
                (!excused && (!not_there || !complete.is_empty())).then_some(fault)
            }
        };
        shared.polls.fetch_add(1, Ordering::SeqCst);
        if let Some(fault) = fault {
            shared.wrong.lock().unwrap().push(fault);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

type Counts = Vec<(String, i64)>;

async fn poll(
    client: &mut Option<Client>,
    url: &str,
    role: &str,
) -> Result<Counts, tokio_postgres::Error> {
    if client.is_none() {
        let new = connect(url).await?;
        let set = format!("SET ROLE \"{role}\"; SET lock_timeout = '2s'");
        new.batch_execute(&set).await?;
        *client = Some(new);
    }
    let Some(client) = client else {
        return Ok(Vec::new());
    };
    let sql = format!(
        "SELECT schema_name || '.event', count(*) FROM public.event \
         WHERE at >= '{QUIET_DAY} 00:00+00' AND at < timestamptz '{QUIET_DAY} 00:00+00' + interval '1 day' GROUP BY 1 \
         UNION ALL SELECT schema_name || '.visit', count(*) FROM public.visit WHERE day = '{QUIET_DAY}' GROUP BY 1"
    );
    let rows = client.query(&sql, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// What is wrong with an answer. Views that were complete once stay so.
fn judge(rows: &Counts, complete: &mut BTreeSet<String>) -> Option<String> {
    if let Some((view, count)) = rows.iter().find(|(_, n)| n.unsigned_abs() != ROWS_A_DAY) {
        return Some(format!("{view}: {count} rows of the quiet day"));
    }
    let seen: BTreeSet<String> = rows.iter().map(|(view, _)| view.clone()).collect();
    if let Some(lost) = complete.difference(&seen).next() {
        return Some(format!("{lost}: the quiet day is gone"));
    }
    complete.extend(seen);
    None
}
