//! Rows of a staged year that an index refuses, such as a value that is too long for it: their days leave the year, so that
//! the others can be revealed.

use crate::error::{Error, Result, Trouble};
use crate::pg::Session;
use crate::unit::{Day, Window};
use crate::warehouse::load::rebuild::unstage;
use crate::warehouse::load::staging::YearBuild;
use crate::warehouse::place::Place;
use crate::warehouse::tables::definitions::{in_window, staging_table};
use crate::warehouse::tables::indexes::missing_indexes;
use std::collections::BTreeSet;

/// Takes the days of `year` whose rows an index refuses out of its staging table and out of the ledger. Gives them with
/// the error of each; none if they are more than `most`, or if no index refuses a day by itself.
///
/// # Errors
/// [`Kind::Locked`](crate::error::Kind::Locked) when another run owns the pair; the warehouse's.
pub async fn set_refused_aside(
    session: &Session,
    place: Place<'_>,
    year: i32,
    build: YearBuild<'_>,
    most: usize,
) -> Result<Vec<(BTreeSet<Day>, Error)>> {
    let refused = refused_days(session, place, year, most).await?;
    if refused.len() > most {
        return Ok(Vec::new());
    }
    let days: BTreeSet<Day> = refused.iter().map(|(day, _)| *day).collect();
    unstage(
        session,
        place,
        &days,
        build.run,
        build.warehouse.lock_timeout,
    )
    .await?;
    let alone = |(day, error)| (BTreeSet::from([day]), error);
    Ok(refused.into_iter().map(alone).collect())
}

/// The days, found by halving: each half's part of an index is built and discarded. Ends after more than `most`.
async fn refused_days(
    session: &Session,
    place: Place<'_>,
    year: i32,
    most: usize,
) -> Result<Vec<(Day, Error)>> {
    let table = staging_table(&place.template.name, year);
    let mut refused: Vec<(Day, Error)> = Vec::new();
    for index in missing_indexes(session, place, &table).await? {
        let mut open = vec![Window::new(
            Day::first_of_year(year),
            Day::first_of_year(year + 1),
        )];
        while let Some(window) = open.pop() {
            let part = format!("{index} WHERE {}", in_window(place.template, window));
            let Some(error) = refusal(session, &part).await? else {
                continue;
            };
            match window.halves() {
                Some((first, second)) => open.extend([second, first]),
                None if refused.iter().all(|(day, _)| *day != window.from) => {
                    refused.push((window.from, error));
                }
                None => {}
            }
            if refused.len() > most {
                return Ok(refused);
            }
        }
    }
    Ok(refused)
}

/// The error about a row with which a statement fails. It is undone in any case.
async fn refusal(session: &Session, statement: &str) -> Result<Option<Error>> {
    session.batch("BEGIN").await?;
    let done = session.batch_or_cancel(statement).await;
    if !session.is_closed() {
        session.batch("ROLLBACK").await?;
    }
    match done {
        Ok(()) => Ok(None),
        Err(error) if error.trouble() == Trouble::Row => Ok(Some(error)),
        Err(error) => Err(error),
    }
}
