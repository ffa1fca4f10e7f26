//! `dayhaul demo`: the whole way from empty servers to the reader's query, on private servers that are removed afterwards.

use super::context::Context;
use crate::demo::stage::{self, Stage, StageServer, restart_without_environment};
use crate::demo::{self, FoodLog, FoodLogTotals, source_totals};
use crate::error::{Error, Kind, Result, exit};
use crate::pg::{self, Access, Password, Purpose, Session, Url};
use crate::report::numbers::count;
use crate::report::table::Sheet;
use crate::unit::{Day, Window};
use futures::future::LocalBoxFuture;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Names of the tenants, in the order they are used.
const TENANTS: [&str; 8] = [
    "acme", "bistro", "cantina", "diner", "eatery", "foodhall", "grill", "hotel",
];

/// A query that any reader may run on the public view.
const READERS_QUERY: &str = "\
SELECT schema_name AS tenant,
       count(DISTINCT (logged_time AT TIME ZONE 'UTC')::date) AS days,
       count(*) AS rows,
       sum(weight) AS weight
FROM public.foodlogstats
GROUP BY schema_name
ORDER BY schema_name";

const EXAMPLES: &str = "\
Two PostgreSQL servers are started in a temporary folder. Nothing else on this
machine is touched, and no configuration is read.

Examples:
  dayhaul demo
  dayhaul demo --days 366 --tenants 4
  dayhaul demo --keep                  leave the servers running to look around";

/// Runs the command of a command line with another configuration file.
type RunLine = for<'a> fn(&'a [OsString], &'a Context, &'a Path) -> LocalBoxFuture<'a, Result<u8>>;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Days per tenant, including today
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=3660))]
    days: u16,
    /// Rows of a typical day
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=5_000_000))]
    rows: u32,
    /// Number of tenants
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=TENANTS.len() as i64))]
    tenants: u8,
    /// Keep the servers running and their folder, to look around
    #[arg(long)]
    keep: bool,
    /// Folder to work in [default: the system's temporary folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub async fn run(args: Args, context: &Context, run_line: RunLine) -> Result<u8> {
    if context.json {
        return Err(Error::usage("`demo` has no JSON output")
            .with_hint("run `dayhaul demo` without `--json`"));
    }
    restart_without_environment()?;
    let cancelled = context.cancel();
    let started = Instant::now();
    let dir = args.dir.clone().unwrap_or_else(std::env::temp_dir);
    let stage = Stage::set_up(dir, demo::TEMPLATE).await?;
    // The servers end with this process whatever happens; only the folder must be removed.
    let shown = tokio::select! {
        biased;
        () = cancelled.cancelled() => Err(Error::new(Kind::Interrupted, "interrupted")),
        shown = show(&args, &stage, context, run_line) => shown,
    };
    match shown {
        Ok(()) if args.keep => leave_running(stage, context).await?,
        Ok(()) => {
            stage.tear_down().await;
            context.print(format!(
                "\nDone in {:.0} s; servers and files are removed. `dayhaul demo --keep` keeps them to look around.",
                started.elapsed().as_secs_f64()
            ));
        }
        Err(error) => {
            stage.tear_down().await;
            return Err(error);
        }
    }
    Ok(exit::OK)
}

/// Fills the tenants, runs the commands, and compares the result with the sources.
async fn show(args: &Args, stage: &Stage, context: &Context, run_line: RunLine) -> Result<()> {
    let today = Day::today();
    let days = Window::new(today.plus(1 - i32::from(args.days)), today.next());
    let tenants = &TENANTS[..usize::from(args.tenants)];
    context.print(format!(
        "Two private PostgreSQL {} servers: tenants on port {}, warehouse on port {}.",
        stage.version(),
        stage.port(StageServer::Tenants),
        stage.port(StageServer::Warehouse)
    ));
    let logs: Vec<FoodLog> = (1..)
        .take(tenants.len())
        .map(|seed| FoodLog {
            seed,
            days,
            rows: args.rows,
        })
        .collect();
    fill(stage, tenants, &logs, context).await?;
    load(stage, context, tenants, days, run_line).await?;
    compare(stage, context, tenants).await
}

/// Runs the commands that a user would run, from `init` to `backfill`.
async fn load(
    stage: &Stage,
    context: &Context,
    tenants: &[&str],
    days: Window,
    run_line: RunLine,
) -> Result<()> {
    let command = async |arguments: &[&str]| command(stage, context, run_line, arguments).await;
    let load = ["template", "load", "templates/foodlogstats.sql"];
    command(&["init"]).await?;
    command(&load).await?;
    for tenant in tenants {
        let url = stage.url(StageServer::Tenants, tenant);
        let add = [
            "tenant",
            "add",
            tenant,
            "--url",
            &url,
            "--template",
            "foodlogstats",
        ];
        command(&add).await?;
    }
    let (from, to) = (days.from.to_string(), days.to.plus(-1).to_string());
    command(&["backfill", "--from", &from, "--to", &to]).await
}

/// Compares what a reader of the warehouse sees with the tenants' own tables.
async fn compare(stage: &Stage, context: &Context, tenants: &[&str]) -> Result<()> {
    let warehouse = read_totals(stage).await?;
    let mut sources = Vec::new();
    for tenant in tenants {
        let session = connect(&stage.url(StageServer::Tenants, tenant)).await?;
        sources.push(((*tenant).to_owned(), source_totals(&session).await?));
    }
    context.print(format!("\nWhat a reader sees:\n\n{READERS_QUERY};\n"));
    context.print(table(&warehouse));
    if warehouse != sources {
        context.print(format!("At the sources:\n{}", table(&sources)));
        return Err(Error::new(
            Kind::Bug,
            "the warehouse has other rows than the tenants",
        ));
    }
    context.print("The totals of the tenants' own tables are equal, to the last digit.");
    Ok(())
}

async fn fill(stage: &Stage, tenants: &[&str], logs: &[FoodLog], context: &Context) -> Result<()> {
    let started = Instant::now();
    let server = connect(&stage.url(StageServer::Tenants, "postgres")).await?;
    for tenant in tenants {
        server.batch(&format!("CREATE DATABASE {tenant}")).await?;
    }
    connect(&stage.url(StageServer::Warehouse, "postgres"))
        .await?
        .batch("CREATE DATABASE warehouse")
        .await?;
    let work = tenants.iter().zip(logs).map(async |(tenant, log)| {
        let session = connect(&stage.url(StageServer::Tenants, tenant)).await?;
        log.create(&session).await
    });
    futures::future::try_join_all(work).await?;
    context.print(format!(
        "Food logs of {}: {} rows generated in {:.1} s.",
        tenants.join(", "),
        count(logs.iter().map(FoodLog::rows).sum()),
        started.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// Prints a command line and runs it, exactly as if it had been typed in the demo's folder.
async fn command(
    stage: &Stage,
    context: &Context,
    run_line: RunLine,
    arguments: &[&str],
) -> Result<()> {
    context.print(format!("\n$ dayhaul {}", arguments.join(" ")));
    let place = || format!("`dayhaul {}`", arguments.join(" "));
    let arguments = stage.in_the_folder(arguments);
    match run_line(&arguments, context, &stage.configuration()).await {
        Ok(exit::OK) => Ok(()),
        Ok(code) => Err(Error::new(Kind::Bug, format!("exit code {code}")).at(place())),
        Err(error) => Err(error.at(place())),
    }
}

/// The totals of each tenant in the public view, read as the reader role.
async fn read_totals(stage: &Stage) -> Result<Vec<(String, FoodLogTotals)>> {
    let session = connect(&stage.url(StageServer::Warehouse, "warehouse")).await?;
    let found = session
        .simple(&format!("SET ROLE {}; {READERS_QUERY}", stage::READER))
        .await?;
    Ok(found
        .rows
        .iter()
        .map(|row| {
            let tenant = row.first().cloned().flatten().unwrap_or_default();
            (tenant, demo::totals(row))
        })
        .collect())
}

fn table(totals: &[(String, FoodLogTotals)]) -> String {
    let mut sheet = Sheet::new(&["tenant", ">days", ">rows", ">weight"]);
    for (tenant, t) in totals {
        sheet.row([
            tenant.clone(),
            t.days.to_string(),
            t.rows.to_string(),
            t.weight.clone(),
        ]);
    }
    sheet.render()
}

/// Leaves everything running, and prints how to use and stop it.
async fn leave_running(stage: Stage, context: &Context) -> Result<()> {
    let reader = format!(
        "{}?options=-crole%3D{}",
        stage.url(StageServer::Warehouse, "warehouse"),
        stage::READER
    );
    let configuration = stage.configuration();
    let folder = stage.folder().to_owned();
    let ends = stage.leave_running().await?;
    context.print(format!(
        "\nThe servers keep running. Look around as the reader:\n  psql '{reader}'\nor use the catalog:\n  \
         dayhaul --config {} tenant list\nTo stop and remove everything:\n  {}\n  rm -r {}",
        configuration.display(),
        ends.join("\n  "),
        folder.display()
    ));
    Ok(())
}

/// A plain session: the tables are in `public`.
async fn connect(url: &str) -> Result<Session> {
    let access = Access::new(Url::parse(url)?, Password::default());
    pg::connect(&access, Purpose::Plain).await
}
