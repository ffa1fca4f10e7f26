//! A run without servers: which windows it would fetch, in which order, if nothing is loaded yet.
//!
//! The same decisions are made as in a run (the days of each pair, where each day's rows go, the next window of the queue)
//! by the same code; only the rows are missing. What a run decides from its servers' answers (years that exist already,
//! failures) is left out.

use super::request::{PairLedger, Request};
use crate::catalog::Pair;
use crate::catalog::registry::fold_line::FoldLine;
use crate::config::Load;
use crate::engine::schedule::queue::{
    Limits, Next, PairIndex, PairWork, Queue, runs_of, source_number,
};
use crate::engine::schedule::task::{QueueTask, Task};
use crate::engine::window::landing::To;
use crate::error::Result;
use crate::pg::Url;
use crate::unit::{Day, Window};
use crate::warehouse::Shape;
use std::collections::BTreeSet;

/// Every window of a first run over `pairs`, with its pair's position, if each day holds `bytes_per_day`.
///
/// # Errors
/// A tenant's URL is invalid; a pair that is to be synced has no first day.
pub fn windows(
    pairs: &[Pair],
    request: &Request,
    today: Day,
    load: &Load,
    bytes_per_day: u64,
) -> Result<Vec<(PairIndex, Window)>> {
    let work = pairs.iter().map(|pair| work(pair, request, today));
    let mut queue = Queue::new(limits(load), work.collect::<Result<_>>()?);
    let mut windows = Vec::new();
    while let Next::Job(job) = queue.take(0) {
        let mut bytes = 0;
        if job.task.is_window() {
            windows.push((job.pair, job.window));
            bytes = bytes_per_day * job.window.len() as u64;
        }
        queue.done(&job, bytes);
    }
    Ok(windows)
}

/// Where the rows would come from; a tenant that was restored without its URL has no server to share.
fn server(pair: &Pair) -> Result<String> {
    match &pair.tenant.url {
        Some(url) => Ok(Url::parse(url)?.endpoint()),
        None => Ok(pair.tenant.name.to_string()),
    }
}

/// A pair's work, as if it had just been enabled.
fn work(pair: &Pair, request: &Request, today: Day) -> Result<PairWork<Task>> {
    let days = request.days(pair, &PairLedger::default(), To::Warehouse, today)?;
    let fold_line = Shape::first_fold_line(today, pair.template.open_days);
    let shape = Shape::new(
        FoldLine {
            day: fold_line,
            hides: false,
        },
        &[],
    );
    let runs = runs_of(days.all(), |day| Task::Load {
        destination: shape.destination(day),
    });
    let years = runs.iter().filter_map(|(task, _)| task.staged_year());
    Ok(PairWork {
        tenant: pair.tenant.name.to_string(),
        server: server(pair)?,
        source: source_number(&pair.tenant),
        builds: years.map(|year| (year, Task::BuildYear { year })).collect(),
        runs,
        bytes_per_day: None,
        latest_first: false,
        one_day_windows: pair.one_day_windows(),
        replaced_years: BTreeSet::new(),
    })
}

fn limits(load: &Load) -> Limits {
    Limits {
        jobs: load.jobs,
        per_server: load.per_server,
        window_bytes: load.window_bytes,
        lands: false,
        max_failures: load.max_failures,
        max_failures_per_tenant: load.max_failures_per_tenant,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Tenant;
    use crate::pg::SearchPath;
    use crate::template::Template;
    use crate::unit::{TemplateName, TenantName};
    use std::collections::BTreeMap;
    use std::sync::Arc;

    fn pair(name: &str) -> Pair {
        let source = "/*\ntime_column = \"at\"\n[columns]\nat = \"timestamptz\"\n*/\n\
                      SELECT at FROM t WHERE at >= {from} AND at < {to}\n";
        let name = TenantName::parse(name).unwrap();
        Pair {
            template: Arc::new(Template::parse(TemplateName::parse("t").unwrap(), source).unwrap()),
            tenant: Tenant {
                schema: name.default_schema().unwrap(),
                name,
                url: Some("postgres://reader@localhost/x".into()),
                password: None,
                vars: BTreeMap::new(),
                enabled: true,
                source_schema: None,
                search_path: SearchPath::Unknown,
            },
            enabled: true,
            first_day: None,
            fold_line: None,
            windows: None,
        }
    }

    #[test]
    fn every_day_of_every_pair_comes_once() {
        let today = Day::from_ymd(2024, 6, 1).unwrap();
        let days = Window::new(today.plus(-200), today);
        let pairs = [pair("acme"), pair("zenith")];
        let request = Request::Backfill {
            days,
            reload: false,
        };
        let windows = windows(&pairs, &request, today, &Load::default(), 1 << 20).unwrap();
        for index in 0..pairs.len() {
            let of = windows.iter().filter(|(pair, _)| *pair == index);
            let came: Vec<Day> = of.flat_map(|(_, window)| window.days()).collect();
            let once: BTreeSet<Day> = came.iter().copied().collect();
            assert_eq!(once, days.days().collect::<BTreeSet<Day>>());
            assert_eq!(came.len(), once.len());
        }
        assert!(windows.len() < 2 * days.len() / 4, "{}", windows.len());
    }
}
