//! `psql COPY | psql COPY`, binary, as a shell script would do it: one day at a time, or the whole period at once.

use super::Contestant;
use super::statements::{commented, loaded_rows, one_query_left_out, run_batch, script};
use crate::bench::endpoint::Endpoint;
use crate::bench::environment::Work;
use crate::bench::fingerprint::Fingerprint;
use crate::bench::meter::process::{ProcessGroup, with_processes};
use crate::bench::meter::{ContestantUsage, ProcessUsage};
use crate::bench::sandbox::Sandbox;
use crate::error::{At, Result};
use crate::template::copy_out_sql;
use crate::unit::Window;
use secrecy::ExposeSecret;
use std::path::PathBuf;
use std::process::Command;

pub const NAME: &str = "psql";
pub const BULK: &str = "psql-bulk";

const OPTIONS: [&str; 4] = ["-X", "-q", "-v", "ON_ERROR_STOP=1"];

/// Loads one table without indexes, then creates the indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pipe {
    /// Day after day.
    Days,
    /// The whole period by one COPY; ANALYZE at the end. The least that a shell script can do.
    Bulk,
}

/// The statements of one `psql | psql`.
struct WindowCopy {
    copy_out: String,
    copy_in: String,
}

impl WindowCopy {
    fn new(sandbox: &Sandbox, window: Window) -> Result<WindowCopy> {
        let bound = sandbox.source().bound(&sandbox.template, window)?;
        Ok(WindowCopy {
            copy_out: copy_out_sql(&sandbox.template, bound.trim(), None),
            copy_in: sandbox.copy_in(),
        })
    }
}

impl Pipe {
    fn windows(self, sandbox: &Sandbox) -> Vec<Window> {
        match self {
            Pipe::Days => sandbox.window.days().map(Window::single).collect(),
            Pipe::Bulk => vec![sandbox.window],
        }
    }

    /// What follows when all rows are there.
    fn after(self, sandbox: &Sandbox) -> Vec<String> {
        let table = sandbox.relation("");
        let mut statements = sandbox.indexes(&table);
        if self == Pipe::Bulk {
            statements.push(format!("ANALYZE {table}"));
        }
        statements
    }

    /// Loads all rows.
    async fn load(self, sandbox: &Sandbox) -> Result<ProcessUsage> {
        let copies: Vec<(Window, WindowCopy)> = self
            .windows(sandbox)
            .into_iter()
            .map(|window| Ok((window, WindowCopy::new(sandbox, window)?)))
            .collect::<Result<_>>()?;
        let pipe = PsqlPipe {
            psql: sandbox.psql.clone(),
            source: sandbox.source().endpoint.clone(),
            warehouse: sandbox.warehouse.clone(),
        };
        with_processes(move |processes| {
            let mut own = ProcessUsage::default();
            for (window, commands) in copies {
                own.add(pipe.run(processes, &commands).at(|| window.to_string())?);
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
    /// Loads one window.
    fn run(&self, processes: &ProcessGroup, window: &WindowCopy) -> Result<ProcessUsage> {
        let [from, to] = processes.pipe(
            self.command(&self.source, &window.copy_out),
            self.command(&self.warehouse, &window.copy_in),
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
        match self {
            Pipe::Days => NAME,
            Pipe::Bulk => BULK,
        }
    }

    fn title(&self) -> String {
        match self {
            Pipe::Days => "psql COPY | psql COPY, one day at a time, one table".into(),
            Pipe::Bulk => "psql COPY | psql COPY of the whole period, one table".into(),
        }
    }

    fn script(&self, sandbox: &Sandbox) -> Result<String> {
        let first = self.windows(sandbox)[0];
        let commands = WindowCopy::new(sandbox, first)?;
        let options = OPTIONS.join(" ");
        let line = format!(
            "psql '{}' {options} -c \"{}\" \\\n  | psql '{}' {options} -c \"{}\"\n",
            sandbox.source().endpoint.conninfo,
            commands.copy_out,
            sandbox.warehouse.conninfo,
            commands.copy_in
        );
        let (in_a_shell, then) = match self {
            Pipe::Days => (
                "In a shell, for the first day:",
                format!(
                    "… and the same for each of {} days, {}, one after another; then, in the warehouse:",
                    sandbox.window.len(),
                    sandbox.window
                ),
            ),
            Pipe::Bulk => ("In a shell:", "Then, in the warehouse:".to_owned()),
        };
        Ok([
            commented(
                "In the warehouse, not timed:",
                &script(&[sandbox.create_table()]),
            ),
            commented(in_a_shell, &line),
            commented(&then, &script(&self.after(sandbox))),
        ]
        .join("\n"))
    }

    fn left_out(&self, sandbox: &Sandbox) -> Option<&'static str> {
        match self {
            Pipe::Days => None,
            Pipe::Bulk => one_query_left_out(sandbox),
        }
    }

    fn prepare<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, ()> {
        Box::pin(async move { run_batch(sandbox, &[sandbox.create_table()]).await })
    }

    fn run<'a>(&'a self, sandbox: &'a Sandbox) -> Work<'a, ContestantUsage> {
        Box::pin(async move {
            let own = self.load(sandbox).await?;
            run_batch(sandbox, &self.after(sandbox)).await?;
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
