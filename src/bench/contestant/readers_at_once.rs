//! Several readers of the public view at once: what they hold in the server's lock table, and who finds it full.

use super::Contestant;
use super::readers::{
    PUBLIC_VIEW, Question, ReadFrom, Reader, explain, held_locks, reading_session,
};
use super::statements::{commented, script};
use crate::bench::environment::Work;
use crate::bench::fingerprint::Fingerprint;
use crate::bench::meter::ContestantUsage;
use crate::bench::sandbox::Sandbox;
use crate::error::Result;
use crate::pg::Session;
use futures::future::{join_all, try_join_all};
use std::time::Instant;

/// "out of shared memory"
const LOCK_TABLE_FULL: &str = "53200";

/// All send the same query at the same moment, each in a transaction of its own that stays open until all have an answer.
pub struct ReadersAtOnce {
    pub readers: u32,
}

impl ReadersAtOnce {
    fn reader() -> Reader {
        Reader {
            question: Question::TwoDays,
            from: ReadFrom::PublicView,
        }
    }

    async fn measure(&self, sandbox: &Sandbox) -> Result<ContestantUsage> {
        let sql = ReadersAtOnce::reader().sql(sandbox);
        let sessions = (0..self.readers).map(|_| reading_session(sandbox));
        let sessions = try_join_all(sessions).await?;
        try_join_all(sessions.iter().map(|session| session.batch("BEGIN"))).await?;
        let started = Instant::now();
        let answers = sessions.into_iter().map(|session| ask(session, &sql));
        let (answered, failed) = with_room(join_all(answers).await)?;
        let seconds = started.elapsed().as_secs_f64();
        // All of these transactions still hold their locks.
        let locks = try_join_all(answered.iter().map(held_locks)).await?;
        let explained = answered.iter().map(|session| explain(session, &sql));
        let (explained, failed_later) = with_room(join_all(explained).await)?;
        let most = |values: Vec<f64>| values.into_iter().reduce(f64::max);
        let planning = explained.iter().map(|e| e.planning).collect();
        let execution = explained.iter().map(|e| e.execution).collect();
        // Nobody has these when nobody found room.
        let found = [
            ("locks", most(locks)),
            ("planning_seconds", most(planning)),
            ("execution_seconds", most(execution)),
        ];
        let counted = [
            ("readers", f64::from(self.readers)),
            ("failed_readers", f64::from(failed + failed_later)),
        ];
        let found = found
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        Ok(ContestantUsage {
            own: None,
            seconds: Some(seconds),
            more: counted.into_iter().chain(found).collect(),
        })
    }
}

async fn ask(session: Session, sql: &str) -> Result<Session> {
    session.simple(sql).await?;
    Ok(session)
}

/// Those who found room in the lock table, and the number of the others.
///
/// # Errors
/// One fails for another reason.
fn with_room<T>(ended: Vec<Result<T>>) -> Result<(Vec<T>, u32)> {
    let (mut found, mut full) = (Vec::new(), 0);
    for one in ended {
        match one {
            Ok(one) => found.push(one),
            Err(error) if error.sqlstate() == Some(LOCK_TABLE_FULL) => full += 1,
            Err(error) => return Err(error),
        }
    }
    Ok((found, full))
}

impl Contestant for ReadersAtOnce {
    fn name(&self) -> &str {
        PUBLIC_VIEW
    }

    fn title(&self) -> String {
        match self.readers {
            1 => "one reader of Dayhaul's public view".into(),
            n => format!("{n} readers of Dayhaul's public view at once"),
        }
    }

    fn script(&self, sandbox: &Sandbox) -> Result<String> {
        let how = format!(
            "Timed in {} new sessions, each in a transaction, until the last has its answer or finds the lock table full; then \
             once more with EXPLAIN (ANALYZE, TIMING OFF) for planning and execution:",
            self.readers
        );
        let sql = ReadersAtOnce::reader().sql(sandbox);
        Ok(commented(&how, &script(&[sql])))
    }

    fn run<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, ContestantUsage> {
        Box::pin(self.measure(sandbox))
    }

    /// The fingerprint of the answer.
    fn output<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, Fingerprint> {
        Box::pin(async move { ReadersAtOnce::reader().answer(sandbox).await })
    }
}
