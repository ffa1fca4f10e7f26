//! `psql COPY | psql COPY`, binary, one day at a time: what a shell script does.

use super::Contestant;
use super::statements::{at_once, commented, held, text};
use crate::bench::evidence::Evidence;
use crate::bench::ground::Work;
use crate::bench::lane::{Endpoint, Lane};
use crate::bench::meter::child::{Leash, leashed};
use crate::bench::meter::{Own, Used};
use crate::error::{At, Result};
use crate::template::copy_out_sql;
use crate::unit::{Day, Window};
use secrecy::ExposeSecret;
use std::path::Path;
use std::process::Command;

pub const NAME: &str = "psql";

const OPTIONS: [&str; 4] = ["-X", "-q", "-v", "ON_ERROR_STOP=1"];

/// Into one table without indexes, day after day, and then the indexes.
pub struct Pipe;

/// Two commands of a day.
struct Commands {
    out: String,
    r#in: String,
}

impl Pipe {
    fn commands(lane: &Lane, day: Day) -> Result<Commands> {
        let bound = lane.source().bound(&lane.template, Window::single(day))?;
        Ok(Commands {
            out: copy_out_sql(&lane.template, bound.trim(), None),
            r#in: format!("COPY {} FROM STDIN (FORMAT binary)", lane.relation("")),
        })
    }

    fn table(lane: &Lane) -> String {
        format!(
            "CREATE TABLE {} ({})",
            lane.relation(""),
            lane.column_list()
        )
    }

    async fn days(lane: &Lane) -> Result<Own> {
        let days: Vec<(Day, Commands)> = lane
            .window
            .days()
            .map(|day| Ok((day, Pipe::commands(lane, day)?)))
            .collect::<Result<_>>()?;
        let (psql, source) = (lane.psql.clone(), lane.source().endpoint.clone());
        let warehouse = lane.warehouse.clone();
        leashed(move |leash| {
            let mut own = Own::default();
            for (day, commands) in days {
                own.add(
                    pipe(leash, &psql, (&source, &warehouse), &commands).at(|| format!("{day}"))?,
                );
            }
            Ok(own)
        })
        .await
    }
}

/// One day's `psql … | psql …`.
fn pipe(
    leash: &Leash,
    psql: &Path,
    (source, warehouse): (&Endpoint, &Endpoint),
    commands: &Commands,
) -> Result<Own> {
    let command = |endpoint: &Endpoint, sql: &str| {
        let mut command = Command::new(psql);
        command
            .arg(&endpoint.conninfo)
            .args(OPTIONS)
            .args(["-c", sql]);
        if let Some(password) = &endpoint.password {
            command.env("PGPASSWORD", password.expose_secret());
        }
        command
    };
    let [from, to] = leash.pipe(
        command(source, &commands.out),
        command(warehouse, &commands.r#in),
    )?;
    let mut own = from.ok("psql at the source")?.own;
    own.add(to.ok("psql at the warehouse")?.own);
    Ok(own)
}

impl Contestant for Pipe {
    fn name(&self) -> &str {
        NAME
    }

    fn title(&self) -> String {
        "psql COPY | psql COPY, one day at a time, one table".into()
    }

    fn script(&self, lane: &Lane) -> Result<String> {
        let commands = Pipe::commands(lane, lane.window.from)?;
        let options = OPTIONS.join(" ");
        let line = format!(
            "psql '{}' {options} -c \"{}\" \\\n  | psql '{}' {options} -c \"{}\"\n",
            lane.source().endpoint.conninfo,
            commands.out,
            lane.warehouse.conninfo,
            commands.r#in
        );
        Ok([
            commented("In the warehouse, not timed:", &text(&[Pipe::table(lane)])),
            commented("In a shell, for the first day:", &line),
            commented(
                &format!(
                    "… and so for each of {} days, {}, one after the other; then, in the warehouse:",
                    lane.window.len(),
                    lane.window
                ),
                &text(&lane.indexes(&lane.relation(""))),
            ),
        ]
        .join("\n"))
    }

    fn prepare<'a>(&'a self, lane: &'a Lane) -> Work<'a, ()> {
        Box::pin(async move { at_once(lane, &[Pipe::table(lane)]).await })
    }

    fn run<'a>(&'a self, lane: &'a Lane) -> Work<'a, Used> {
        Box::pin(async move {
            let own = Pipe::days(lane).await?;
            at_once(lane, &lane.indexes(&lane.relation(""))).await?;
            Ok(own.into())
        })
    }

    fn output<'a>(&'a self, lane: &'a Lane) -> Work<'a, Evidence> {
        Box::pin(held(lane, [(lane.relation(""), lane.window)]))
    }
}
