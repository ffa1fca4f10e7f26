//! Whether the windows of a pair may hold several days: proved on its rows, assumed by the user, or not possible.

use crate::error::Result;
use crate::pg::{Row, Session};
use crate::unit::{TemplateName, TenantName, Window};

/// What is recorded about the windows of a pair, for one version of its template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Windows {
    /// A window of several days gave each day the rows that it has alone.
    Proved(Option<Window>),
    /// The user vouches for it.
    Assumed,
    /// Days are too large to compare them twice: each is fetched with its own query.
    ByDay,
}

impl Windows {
    fn word(self) -> &'static str {
        match self {
            Windows::Proved(_) => "proved",
            Windows::Assumed => "assumed",
            Windows::ByDay => "by day",
        }
    }

    /// Reads the columns `windows` and `windows_version`, which stand at `at` and after it. `None` when nothing is recorded
    /// for this version.
    pub(super) fn of(row: &Row, at: usize, version: &str) -> Option<Windows> {
        if row.get::<_, Option<&str>>(at + 1) != Some(version) {
            return None;
        }
        match row.get::<_, Option<&str>>(at)? {
            "proved" => Some(Windows::Proved(None)),
            "assumed" => Some(Windows::Assumed),
            _ => Some(Windows::ByDay),
        }
    }
}

/// Records it for a pair and a version of its template.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn record(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
    version: &str,
    windows: Windows,
) -> Result<()> {
    let wh = session.catalog();
    let window = match windows {
        Windows::Proved(window) => window,
        Windows::Assumed | Windows::ByDay => None,
    };
    let (from, to) = (window.map(|w| w.from), window.map(|w| w.to));
    session
        .execute(
            &format!(
                "UPDATE {wh}.pair SET windows = $3, windows_version = $4, windows_from = $5, windows_to = $6, \
                 windows_at = clock_timestamp() WHERE tenant = $1 AND template = $2"
            ),
            &[&tenant, &template, &windows.word(), &version, &from, &to],
        )
        .await?;
    Ok(())
}

/// Records for every pair of a template that the user vouches for it.
///
/// # Errors
/// Those of PostgreSQL.
pub async fn assume_everywhere(
    session: &Session,
    template: &TemplateName,
    version: &str,
) -> Result<()> {
    let wh = session.catalog();
    session
        .execute(
            &format!(
                "UPDATE {wh}.pair SET windows = 'assumed', windows_version = $2, windows_from = NULL, \
                 windows_to = NULL, windows_at = clock_timestamp() WHERE template = $1"
            ),
            &[&template, &version],
        )
        .await?;
    Ok(())
}
