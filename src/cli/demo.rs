//! `dayhaul demo`: the whole way from empty servers to the reader's query, on private servers that are gone afterwards.

mod stage;

use super::Context;
use super::signals::cancelled_by_signals;
use crate::demo::{self, FoodLog, FoodLogTotals, source_totals};
use crate::error::{Error, Kind, Result, exit};
use crate::pg::{self, Access, Purpose, Session, Url};
use crate::report::table::Sheet;
use crate::unit::{Day, Window};
pub(super) use stage::leave_the_environment_behind;
use stage::{Side, Stage};
use std::path::PathBuf;
use std::time::Instant;

/// Names of the tenants, in the order they appear.
const TENANTS: [&str; 8] = [
    "acme", "bistro", "cantina", "diner", "eatery", "foodhall", "grill", "hotel",
];

/// What anyone may ask the public view.
const READERS_QUERY: &str = "\
SELECT schema_name AS tenant,
       count(DISTINCT (logged_time AT TIME ZONE 'UTC')::date) AS days,
       count(*) AS rows,
       sum(weight) AS weight
FROM public.foodlogstats
GROUP BY schema_name
ORDER BY schema_name";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Days per tenant, up to and with today
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=3660))]
    days: u16,
    /// Rows of an ordinary day
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=5_000_000))]
    rows: u32,
    /// Tenants
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=TENANTS.len() as i64))]
    tenants: u8,
    /// Leave the servers running and their folder in place, to look around
    #[arg(long)]
    keep: bool,
    /// Folder to work below [default: the system's folder for temporary files]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    if context.json {
        return Err(Error::usage(
            "`demo` shows how it is done; it has no `--json`",
        ));
    }
    leave_the_environment_behind()?;
    let cancelled = cancelled_by_signals();
    let started = Instant::now();
    let dir = args.dir.clone().unwrap_or_else(std::env::temp_dir);
    let stage = Stage::set_up(dir).await?;
    // The servers end with us whatever happens; only the folder needs us to come by again.
    let told = tokio::select! {
        biased;
        () = cancelled.cancelled() => Err(Error::new(Kind::Interrupted, "interrupted")),
        told = tell(&args, &stage, context) => told,
    };
    match told {
        Ok(()) if args.keep => say_goodbye(stage, context).await?,
        Ok(()) => {
            stage.strike().await;
            context.print(format!(
                "\nDone in {:.0} s; servers and files are gone. `dayhaul demo --keep` leaves them to look around.",
                started.elapsed().as_secs_f64()
            ));
        }
        Err(error) => {
            stage.strike().await;
            return Err(error);
        }
    }
    Ok(exit::OK)
}

/// The story: fill the tenants, run the commands, look at the result.
async fn tell(args: &Args, stage: &Stage, context: &Context) -> Result<()> {
    let today = Day::today();
    let days = Window::new(today.plus(1 - i32::from(args.days)), today.next());
    let tenants = &TENANTS[..usize::from(args.tenants)];
    context.print(format!(
        "Two private PostgreSQL {} servers: tenants on port {}, warehouse on port {}.",
        stage.version(),
        stage.port(Side::Tenants),
        stage.port(Side::Warehouse)
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

    let load = ["template", "load", "templates/foodlogstats.sql"];
    command(stage, context, &["init"]).await?;
    command(stage, context, &load).await?;
    for tenant in tenants {
        let url = stage.url(Side::Tenants, tenant);
        let add = [
            "tenant",
            "add",
            tenant,
            "--url",
            &url,
            "--template",
            "foodlogstats",
        ];
        command(stage, context, &add).await?;
    }
    let (from, to) = (days.from.to_string(), today.to_string());
    command(stage, context, &["backfill", "--from", &from, "--to", &to]).await?;

    let warehouse = read_totals(stage).await?;
    let mut sources = Vec::new();
    for tenant in tenants {
        let session = connect(&stage.url(Side::Tenants, tenant)).await?;
        sources.push(((*tenant).to_owned(), source_totals(&session).await?));
    }
    context.print(format!("\nThe reader's view of it:\n\n{READERS_QUERY};\n"));
    context.print(table(&warehouse));
    if warehouse != sources {
        context.print(format!("At the sources it is:\n{}", table(&sources)));
        return Err(Error::new(
            Kind::Bug,
            "the warehouse does not hold what the tenants hold",
        ));
    }
    context
        .print("The same totals, computed at the tenants' own tables: equal, to the last digit.");
    Ok(())
}

async fn fill(stage: &Stage, tenants: &[&str], logs: &[FoodLog], context: &Context) -> Result<()> {
    let started = Instant::now();
    let server = connect(&stage.url(Side::Tenants, "postgres")).await?;
    for tenant in tenants {
        server.batch(&format!("CREATE DATABASE {tenant}")).await?;
    }
    connect(&stage.url(Side::Warehouse, "postgres"))
        .await?
        .batch("CREATE DATABASE warehouse")
        .await?;
    let work = tenants.iter().zip(logs).map(async |(tenant, log)| {
        let session = connect(&stage.url(Side::Tenants, tenant)).await?;
        log.create(&session).await
    });
    futures::future::try_join_all(work).await?;
    context.print(format!(
        "Food logs of {}: {} rows made up in {:.1} s.",
        tenants.join(", "),
        logs.iter().map(FoodLog::rows).sum::<u64>(),
        started.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// Shows a command line and does what it says, exactly as if it had been typed in the demo's folder.
async fn command(stage: &Stage, context: &Context, arguments: &[&str]) -> Result<()> {
    context.print(format!("\n$ dayhaul {}", arguments.join(" ")));
    let place = || format!("`dayhaul {}`", arguments.join(" "));
    let arguments = stage.in_the_folder(arguments);
    match super::dispatch_line(&arguments, context, &stage.configuration()).await {
        Ok(exit::OK) => Ok(()),
        Ok(code) => Err(Error::new(Kind::Bug, format!("exit code {code}")).at(place())),
        Err(error) => Err(error.at(place())),
    }
}

/// Per tenant, what the public view adds up to, read as the reader role.
async fn read_totals(stage: &Stage) -> Result<Vec<(String, FoodLogTotals)>> {
    let session = connect(&stage.url(Side::Warehouse, "warehouse")).await?;
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

/// Leaves everything running and says how to look at it and how to end it.
async fn say_goodbye(stage: Stage, context: &Context) -> Result<()> {
    let reader = format!(
        "{}?options=-crole%3D{}",
        stage.url(Side::Warehouse, "warehouse"),
        stage::READER
    );
    let configuration = stage.configuration();
    let folder = stage.folder().to_owned();
    let ends = stage.leave_running().await?;
    context.print(format!(
        "\nThe servers go on. Look around as the reader:\n  psql '{reader}'\nor go on with the catalog:\n  \
         dayhaul --config {} tenant list\nand end it with:\n  {}\n  rm -r {}",
        configuration.display(),
        ends.join("\n  "),
        folder.display()
    ));
    Ok(())
}

/// A session without any settings of ours: the tables are in `public`.
async fn connect(url: &str) -> Result<Session> {
    let access = Access {
        url: Url::parse(url)?,
        password: None,
    };
    pg::connect(&access, Purpose::Plain).await
}
