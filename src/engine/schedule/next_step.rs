//! What follows a try: from how it ended to what the pool does next.

use super::task::{Refresh, Task};
use crate::error::{Error, Kind, Side};
use crate::pg;
use crate::unit::Window;
use crate::warehouse::Destination;

/// What the pool does after a try.
#[derive(Debug)]
pub enum NextStep<T> {
    /// It is done: `bytes` of tuples passed, and `more` is to be done next.
    Done {
        bytes: u64,
        more: Vec<(T, Window)>,
    },
    /// Try again at once, as this task.
    Again(T),
    /// Do `first` in this worker, one after another, then try again as `then`.
    After {
        first: Vec<(T, Window)>,
        then: T,
    },
    /// Wait, then try again, as often as a window is tried.
    Retry(Error),
    /// Put these pieces of the window back into the queue.
    Split(Vec<Window>),
    /// Put the window back into the queue, and cut shorter ones of its pair from now on.
    Shorten,
    /// Put the window back into the queue as this task.
    PutBackAs(T),
    Failed(Error),
}

/// After an error: retry, split or give up. SQLSTATE, kind and side decide.
pub fn after_error<T>(window: Window, error: Error) -> NextStep<T> {
    if error.side() == Some(Side::Source) && window.len() > 1 {
        // Shorter queries pass where longer ones were cancelled.
        if pg::sqlstate::is_recovery_conflict(&error) || error.sqlstate() == Some("57014") {
            return NextStep::Shorten;
        }
    }
    if error.is_transient() {
        return NextStep::Retry(error);
    }
    if let Some(bad) = error.day()
        && window.len() > 1
        && window.contains(bad)
    {
        return NextStep::Split(window.around(bad));
    }
    match window.halves() {
        Some((first, second)) if is_about_rows(&error) => NextStep::Split(vec![first, second]),
        _ => NextStep::Failed(error),
    }
}

/// Rows outside the window, a value that one side does not accept, a file that cannot be written: the day that causes it
/// can be found, and the others loaded.
fn is_about_rows(error: &Error) -> bool {
    error.kind() == Kind::Data
        || (error.side() == Some(Side::Landing) && error.kind() == Kind::Io)
        || error
            .sqlstate()
            .is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
}

/// After an error of a window's task. `separately`: the tasks of the days that were refreshed with it, each by itself.
pub fn after_failed_try(
    task: &Task,
    window: Window,
    error: Error,
    separately: Vec<(Task, Window)>,
) -> NextStep<Task> {
    if let Task::Load { destination } = task
        && matches!(destination, Destination::Year(_))
        && window.len() == 1
        && error.sqlstate() == Some("23505")
    {
        // Its keys are in other days of the year's table.
        return NextStep::PutBackAs(Task::Refresh(Refresh::of(*destination)));
    }
    match after_error(window, error) {
        // Refreshing each day separately shows which one causes it.
        NextStep::Failed(error) => match without_others(task, separately) {
            Some(step) => step,
            None => NextStep::Failed(error),
        },
        step => step,
    }
}

/// After a window turned out to be larger than the memory that it may take.
pub fn after_too_large(
    task: &Task,
    window: Window,
    separately: Vec<(Task, Window)>,
) -> NextStep<Task> {
    match without_others(task, separately) {
        Some(step) if window.len() == 1 => step,
        _ => NextStep::Shorten,
    }
}

/// First the other days, each by itself, then the window without them.
fn without_others(task: &Task, separately: Vec<(Task, Window)>) -> Option<NextStep<Task>> {
    let Task::Refresh(refresh) = task else {
        return None;
    };
    if separately.is_empty() {
        return None;
    }
    let mut refresh = refresh.clone();
    refresh.with.clear();
    Some(NextStep::After {
        first: separately,
        then: Task::Refresh(refresh),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::Day;
    use std::collections::BTreeSet;

    fn window(days: i32) -> Window {
        Window::new(Day::from_pg_days(0), Day::from_pg_days(days))
    }

    fn refresh(with: &[i32]) -> Task {
        let with = with.iter().map(|day| Day::from_pg_days(*day));
        Task::Refresh(Refresh {
            with: with.collect(),
            ..Refresh::of(Destination::DayTable)
        })
    }

    fn sql(code: &str) -> Error {
        Error::new(Kind::Sql, "no").with_sqlstate(code, false)
    }

    fn step(days: i32, error: Error) -> NextStep<Task> {
        after_error(window(days), error)
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        let error = Error::new(Kind::Connect, "no").with_transient(true);
        assert!(matches!(step(3, error), NextStep::Retry(_)));
    }

    #[test]
    fn a_query_cancelled_at_the_source_is_sent_for_fewer_days() {
        let cancelled = || sql("57014").on(Side::Source);
        assert!(matches!(step(3, cancelled()), NextStep::Shorten));
        assert!(matches!(step(1, cancelled()), NextStep::Failed(_)));
        let in_warehouse = sql("57014").on(Side::Warehouse);
        assert!(matches!(step(3, in_warehouse), NextStep::Failed(_)));
    }

    #[test]
    fn the_day_that_caused_an_error_is_split_off() {
        let error = Error::new(Kind::Data, "no").on_day(Day::from_pg_days(1));
        let NextStep::Split(pieces) = step(3, error) else {
            panic!("one day is bad");
        };
        assert!(pieces.contains(&Window::single(Day::from_pg_days(1))));
    }

    #[test]
    fn an_error_about_rows_halves_the_window_until_the_day_is_found() {
        let unwritable = || Error::new(Kind::Io, "no").on(Side::Landing);
        for error in [sql("22003"), sql("23502"), unwritable()] {
            assert!(matches!(step(4, error), NextStep::Split(pieces) if pieces.len() == 2));
        }
        assert!(matches!(step(1, unwritable()), NextStep::Failed(_)));
        assert!(matches!(step(4, sql("42501")), NextStep::Failed(_)));
    }

    #[test]
    fn a_day_whose_keys_are_in_its_year_already_is_refreshed_instead() {
        let load = |destination| Task::Load { destination };
        let after = |task, days| after_failed_try(&task, window(days), sql("23505"), Vec::new());
        let year = Destination::Year(2000);
        assert!(matches!(
            after(load(year), 1),
            NextStep::PutBackAs(Task::Refresh(_))
        ));
        assert!(matches!(after(load(year), 2), NextStep::Split(_)));
        let own = load(Destination::DayTable);
        assert!(matches!(after(own, 1), NextStep::Failed(_)));
    }

    #[test]
    fn days_that_do_not_work_together_are_refreshed_one_by_one() {
        let others = || vec![(refresh(&[]), Window::single(Day::from_pg_days(9)))];
        let alone = |step| {
            matches!(step, NextStep::After { then: Task::Refresh(then), first }
                if then.with == BTreeSet::new() && first.len() == 1)
        };
        let failed = after_failed_try(&refresh(&[9]), window(1), sql("42501"), others());
        assert!(alone(failed));
        assert!(alone(after_too_large(&refresh(&[9]), window(1), others())));
        assert!(matches!(
            after_too_large(&refresh(&[]), window(2), Vec::new()),
            NextStep::Shorten
        ));
    }
}
