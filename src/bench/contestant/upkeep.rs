//! Dayhaul in a warehouse that is set up and loaded: what cron runs every hour and every night.

use super::Contestant;
use super::dayhaul::{self, Variant, command_line, run_program, selection};
use super::statements::{commented, loaded_rows};
use crate::bench::environment::Work;
use crate::bench::fingerprint::{Fingerprint, compare, source_fingerprint};
use crate::bench::meter::ContestantUsage;
use crate::bench::sandbox::Sandbox;
use crate::error::{At, Result};
use crate::sql::{ident, qualified, within};
use crate::unit::{Day, Window};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upkeep {
    /// Everything that is not settled, of all tenants.
    Sync,
    /// The days of the window.
    Refresh,
}

/// `sync`, with the last day of the sandbox's period as today.
fn sync(today: Day) -> Vec<String> {
    ["sync", "--today", &today.to_string()]
        .map(str::to_owned)
        .to_vec()
}

/// Sets up all tenants and loads all their days. The last day of the window is today.
pub fn set_up(sandbox: &Sandbox) -> Work<'_, ()> {
    Box::pin(async move {
        let today = sandbox.window.to.plus(-1);
        let past = Sandbox {
            window: Window::new(sandbox.window.from, today),
            ..sandbox.clone()
        };
        dayhaul::set_up(&past, Variant::Default).await?;
        dayhaul::backfill(&past).await?;
        run_program(sandbox, &sync(today)).await?;
        let expected = source_fingerprint(sandbox).await?;
        compare(&rows_of(sandbox).await?, &expected).at(|| "dayhaul".into())
    })
}

/// The tenants' rows in the window.
async fn rows_of(sandbox: &Sandbox) -> Result<Fingerprint> {
    let template = &sandbox.template;
    let days = within(
        &ident(&template.time_column),
        sandbox.window,
        template.time_type(),
    );
    let views = sandbox.sources.iter().map(|source| {
        let view = qualified(source.schema.as_str(), template.name.as_str());
        let rows = format!("(SELECT * FROM {view} WHERE {days}) AS rows");
        (rows, sandbox.window)
    });
    let views: Vec<_> = views.collect();
    loaded_rows(sandbox, views).await
}

/// An entrant of the shared warehouse.
pub struct Keeper {
    pub does: Upkeep,
    pub today: Day,
}

impl Keeper {
    fn command(&self, sandbox: &Sandbox) -> Vec<String> {
        match self.does {
            Upkeep::Sync => sync(self.today),
            Upkeep::Refresh => selection("refresh", sandbox.window),
        }
    }
}

impl Contestant for Keeper {
    fn name(&self) -> &str {
        dayhaul::NAME
    }

    fn title(&self) -> String {
        match self.does {
            Upkeep::Sync => "dayhaul sync".into(),
            Upkeep::Refresh => "dayhaul refresh".into(),
        }
    }

    fn script(&self, sandbox: &Sandbox) -> Result<String> {
        let jobs = sandbox.jobs;
        Ok([
            commented(
                "Not timed, in a warehouse with all tenants and their days:",
                &command_line(&sync(self.today)),
            ),
            commented(
                &format!("Timed, with `load.jobs = {jobs}` and default settings:"),
                &command_line(&self.command(sandbox)),
            ),
        ]
        .join("\n"))
    }

    /// Takes back what an earlier try has left.
    fn prepare<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, ()> {
        Box::pin(async move {
            run_program(sandbox, &sync(self.today)).await?;
            Ok(())
        })
    }

    fn run<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, ContestantUsage> {
        Box::pin(async move {
            let ended = run_program(sandbox, &self.command(sandbox)).await?;
            Ok(ended.own.into())
        })
    }

    fn output<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, Fingerprint> {
        Box::pin(rows_of(sandbox))
    }
}
