//! `psql COPY | psql COPY`, binary, one day at a time, as a shell script would do it.

use super::Contestant;
use super::statements::{commented, loaded_rows, run_batch, script};
use crate::bench::endpoint::Endpoint;
use crate::bench::environment::Work;
use crate::bench::fingerprint::Fingerprint;
use crate::bench::meter::process::{ProcessGroup, with_processes};
use crate::bench::meter::{ContestantUsage, ProcessUsage};
use crate::bench::sandbox::Sandbox;
use crate::error::{At, Result};
use crate::template::copy_out_sql;
use crate::unit::{Day, Window};
use secrecy::ExposeSecret;
use std::path::PathBuf;
use std::process::Command;

pub const NAME: &str = "psql";

const OPTIONS: [&str; 4] = ["-X", "-q", "-v", "ON_ERROR_STOP=1"];

/// Loads day after day into one table without indexes, then creates the indexes.
pub struct Pipe;

/// The statements of one day.
struct DayCopy {
    copy_out: String,
    copy_in: String,
}

impl Pipe {
    fn day_copy(sandbox: &Sandbox, day: Day) -> Result<DayCopy> {
        let bound = sandbox
            .source()
            .bound(&sandbox.template, Window::single(day))?;
        Ok(DayCopy {
            copy_out: copy_out_sql(&sandbox.template, bound.trim(), None),
            copy_in: sandbox.copy_in(),
        })
    }

    /// Loads all days.
    async fn load(sandbox: &Sandbox) -> Result<ProcessUsage> {
        let days: Vec<(Day, DayCopy)> = sandbox
            .window
            .days()
            .map(|day| Ok((day, Pipe::day_copy(sandbox, day)?)))
            .collect::<Result<_>>()?;
        let pipe = PsqlPipe {
            psql: sandbox.psql.clone(),
            source: sandbox.source().endpoint.clone(),
            warehouse: sandbox.warehouse.clone(),
        };
        with_processes(move |processes| {
            let mut own = ProcessUsage::default();
            for (day, commands) in days {
                own.add(pipe.run(processes, &commands).at(|| format!("{day}"))?);
            }
            Ok(own)
        })
        .await
    }
}

/// `psql … | psql …`.
struct PsqlPipe {
    psql: PathBuf,
    source: Endpoint,
    warehouse: Endpoint,
}

impl PsqlPipe {
    /// Loads one day.
    fn run(&self, processes: &ProcessGroup, day: &DayCopy) -> Result<ProcessUsage> {
        let [from, to] = processes.pipe(
            self.command(&self.source, &day.copy_out),
            self.command(&self.warehouse, &day.copy_in),
        )?;
        let mut own = from.ok("psql at the source")?.own;
        own.add(to.ok("psql at the warehouse")?.own);
        Ok(own)
    }

    fn command(&self, endpoint: &Endpoint, sql: &str) -> Command {
        let mut command = Command::new(&self.psql);
        command
            .arg(&endpoint.conninfo)
            .args(OPTIONS)
            .args(["-c", sql]);
        if let Some(password) = &endpoint.password {
            command.env("PGPASSWORD", password.expose_secret());
        }
        command
    }
}

impl Contestant for Pipe {
    fn name(&self) -> &str {
        NAME
    }

    fn title(&self) -> String {
        "psql COPY | psql COPY, one day at a time, one table".into()
    }

    fn script(&self, sandbox: &Sandbox) -> Result<String> {
        let commands = Pipe::day_copy(sandbox, sandbox.window.from)?;
        let options = OPTIONS.join(" ");
        let line = format!(
            "psql '{}' {options} -c \"{}\" \\\n  | psql '{}' {options} -c \"{}\"\n",
            sandbox.source().endpoint.conninfo,
            commands.copy_out,
            sandbox.warehouse.conninfo,
            commands.copy_in
        );
        Ok([
            commented("In the warehouse, not timed:", &script(&[sandbox.create_table()])),
            commented("In a shell, for the first day:", &line),
            commented(
                &format!(
                    "… and the same for each of {} days, {}, one after another; then, in the warehouse:",
                    sandbox.window.len(),
                    sandbox.window
                ),
                &script(&sandbox.indexes(&sandbox.relation(""))),
            ),
        ]
        .join("\n"))
    }

    fn prepare<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, ()> {
        Box::pin(async move { run_batch(sandbox, &[sandbox.create_table()]).await })
    }

    fn run<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, ContestantUsage> {
        Box::pin(async move {
            let own = Pipe::load(sandbox).await?;
            run_batch(sandbox, &sandbox.indexes(&sandbox.relation(""))).await?;
            Ok(own.into())
        })
    }

    fn output<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, Fingerprint> {
        Box::pin(loaded_rows(
            sandbox,
            [(sandbox.relation(""), sandbox.window)],
        ))
    }
}
