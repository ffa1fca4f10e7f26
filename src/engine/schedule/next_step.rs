//! What follows a try: from how it ended to what the pool does next.

use super::decision::{Decision, decide};
use super::pair_work::PairWork;
use super::task::{Refresh, Task};
use crate::error::Error;
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
    /// The pair is ready: this is its work, which the worker begins with.
    Prepared(Box<PairWork<T>>),
    /// Try again at once, as this task.
    Again(T),
    /// Do `first` in this worker, one after another, then try again as `then`.
    After {
        first: Vec<(T, Window)>,
        then: T,
    },
    /// Wait, then try again, as often as a window is tried.
    Retry(Error),
    /// Put the window back until others have given their connection back, if there are any; otherwise as [`NextStep::Retry`].
    WaitForPlace(Error),
    /// Put these pieces of the window back into the queue.
    Split(Vec<Window>),
    /// Put the window back into the queue, and cut shorter ones of its pair from now on.
    Shorten,
    /// Put the window back into the queue as this task.
    PutBackAs(T),
    Failed(Error),
}

/// After an error: what [`decide`] says. A day that the error names is split off at once.
pub fn after_error<T>(window: Window, tries: u32, error: Error) -> NextStep<T> {
    let decision = decide(&error, window.len(), tries);
    if !error.is_transient()
        && decision != Decision::Shorten
        && let Some(bad) = error.day()
        && window.len() > 1
        && window.contains(bad)
    {
        return NextStep::Split(window.around(bad));
    }
    match (decision, window.halves()) {
        (Decision::Retry, _) => NextStep::Retry(error),
        (Decision::WaitForPlace, _) => NextStep::WaitForPlace(error),
        (Decision::Shorten, _) => NextStep::Shorten,
        (Decision::Halve, Some((first, second))) => NextStep::Split(vec![first, second]),
        _ => NextStep::Failed(error),
    }
}

/// After an error of a window's task. `separately`: the tasks of the days that were refreshed with it, each by itself.
pub fn after_failed_try(
    task: &Task,
    window: Window,
    tries: u32,
    error: Error,
    separately: Vec<(Task, Window)>,
) -> NextStep<Task> {
    if let Task::Load {
        destination: Destination::Year(_),
    } = task
        && window.len() == 1
        && error.sqlstate() == Some("23505")
    {
        // Its keys are in other days of the year's table.
        return NextStep::PutBackAs(Task::Refresh(Refresh::default()));
    }
    match after_error(window, tries, error) {
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
    use crate::error::{Kind, Side, Trouble};
    use crate::unit::Day;
    use std::collections::BTreeSet;

    fn window(days: i32) -> Window {
        Window::new(Day::from_pg_days(0), Day::from_pg_days(days))
    }

    fn refresh(with: &[i32]) -> Task {
        let with = with.iter().map(|day| Day::from_pg_days(*day));
        Task::Refresh(Refresh {
            with: with.collect(),
            ..Refresh::default()
        })
    }

    fn sql(trouble: Trouble) -> Error {
        Error::new(Kind::Sql, "no").with_trouble(trouble)
    }

    fn step(days: i32, error: Error) -> NextStep<Task> {
        after_error(window(days), 1, error)
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        let error = Error::new(Kind::Connect, "no").with_transient(true);
        assert!(matches!(step(3, error), NextStep::Retry(_)));
    }

    #[test]
    fn a_query_cancelled_at_the_source_is_sent_for_fewer_days() {
        let cancelled = || sql(Trouble::Cancelled).on(Side::Source);
        assert!(matches!(step(3, cancelled()), NextStep::Shorten));
        assert!(matches!(step(1, cancelled()), NextStep::Retry(_)));
        let third = after_error::<Task>(window(1), 3, cancelled());
        assert!(matches!(third, NextStep::Failed(_)));
        let in_warehouse = sql(Trouble::Cancelled).on(Side::Warehouse);
        assert!(matches!(step(3, in_warehouse), NextStep::Retry(_)));
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
        let raised = sql(Trouble::Unknown).on(Side::Source);
        for error in [sql(Trouble::Row), raised, unwritable()] {
            assert!(matches!(step(4, error), NextStep::Split(pieces) if pieces.len() == 2));
        }
        assert!(matches!(step(1, unwritable()), NextStep::Failed(_)));
        let denied = sql(Trouble::Query).on(Side::Source);
        assert!(matches!(step(4, denied), NextStep::Failed(_)));
        let in_warehouse = sql(Trouble::Unknown).on(Side::Warehouse);
        assert!(matches!(step(4, in_warehouse), NextStep::Failed(_)));
    }

    #[test]
    fn a_day_whose_keys_are_in_its_year_already_is_refreshed_instead() {
        let load = |destination| Task::Load { destination };
        let twice = || sql(Trouble::Row).with_sqlstate("23505", Trouble::Row);
        let after = |task, days| after_failed_try(&task, window(days), 1, twice(), Vec::new());
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
        let failed = after_failed_try(&refresh(&[9]), window(1), 1, sql(Trouble::Query), others());
        assert!(alone(failed));
        assert!(alone(after_too_large(&refresh(&[9]), window(1), others())));
        assert!(matches!(
            after_too_large(&refresh(&[]), window(2), Vec::new()),
            NextStep::Shorten
        ));
    }
}
