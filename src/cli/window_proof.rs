//! Windows of several days are compared with their days when a template is enabled or changed, and not only before the
//! first load: who wrote the query is still there.

use super::context::Context;
use crate::catalog::registry::windows::Windows;
use crate::catalog::{self, Pair};
use crate::config::Settings;
use crate::engine::schedule::sessions::Sessions;
use crate::engine::window::window_check::{WindowCheck, check_windows};
use crate::error::{Error, Kind, Result};
use crate::unit::{Day, Window};

/// Days before today that are looked at for rows when a pair's first day is not known.
const DAYS: i32 = 400;

/// What is to be recorded about the windows of a pair; `None` when nothing could be found out: its first load compares then.
///
/// # Errors
/// Refused when a day differs; interrupted.
pub async fn windows_of(
    pair: &Pair,
    settings: &Settings,
    today: Day,
    context: &Context,
) -> Result<Option<Windows>> {
    if pair.template.one_day_windows || pair.tenant.search_path.is_undecided() {
        return Ok(None);
    }
    let first = pair.first_day.unwrap_or_else(|| today.plus(-DAYS));
    if today <= first {
        return Ok(None);
    }
    let mut sessions = Sessions::default();
    let comparing = async {
        let access = catalog::access(&pair.tenant, settings).await?;
        let days = Window::new(first, today);
        check_windows(pair, &mut sessions, &access, days, settings).await
    };
    let cancel = context.cancel();
    let compared = tokio::select! {
        compared = comparing => compared,
        () = cancel.cancelled() => Err(Error::interrupted()),
    };
    sessions.abort_source().await;
    let unknown = match compared {
        Ok(WindowCheck::Found(windows)) => return Ok(Some(windows)),
        Ok(WindowCheck::Differs(error)) => return Err(error),
        Ok(WindowCheck::NothingToCompare) => return Ok(None),
        Ok(WindowCheck::Unknown(error)) => error,
        Err(error) if error.kind() == Kind::Interrupted => return Err(error),
        Err(error) => error,
    };
    context.note(format!(
        "{}/{}: windows of several days were not compared with single days, the first load does that: {unknown}",
        pair.tenant.name, pair.template.name
    ));
    Ok(None)
}
