//! `dayhaul bench`: is it really faster, here, with this data?

mod list;

use super::Context;
use super::demo::leave_the_environment_behind;
use super::signals::cancelled_by_signals;
use crate::bench::contestant::CONTESTANTS;
use crate::bench::ground::{Asked, Configured, Private, Task, Wish, client};
use crate::bench::machine::{Machine, Server};
use crate::bench::result::{Data, Report, Servers};
use crate::bench::scenario::{SCENARIOS, Scenario};
use crate::bench::{Ground, Observer, hold, show};
use crate::cluster::{Programs, ScratchFolder};
use crate::demo;
use crate::error::{Error, Kind, Result};
use crate::template::Template;
use crate::unit::{Day, SchemaName, TemplateName, TenantName, Window};
use clap::builder::PossibleValuesParser;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Past days that are hauled
    #[arg(long, value_name = "N", default_value_t = 366, conflicts_with = "tenant", value_parser = clap::value_parser!(u16).range(1..=3660))]
    days: u16,
    /// Rows of an ordinary day
    #[arg(long, value_name = "N", default_value_t = 4180, conflicts_with = "tenant", value_parser = clap::value_parser!(u32).range(10..=5_000_000))]
    rows_per_day: u32,
    /// Tenants of scenarios that have several
    #[arg(long, value_name = "N", default_value_t = 10, conflicts_with = "tenant", value_parser = clap::value_parser!(u16).range(1..=50))]
    tenants: u16,
    /// Only this scenario (repeatable) [default: all]
    #[arg(long = "scenario", value_name = "NAME", value_parser = PossibleValuesParser::new(SCENARIOS.map(|s| s.0)), hide_possible_values = true)]
    scenarios: Vec<String>,
    /// Only this contestant (repeatable) [default: all]
    #[arg(long = "contestant", value_name = "NAME", value_parser = PossibleValuesParser::new(CONTESTANTS.map(|c| c.0)), hide_possible_values = true)]
    contestants: Vec<String>,
    /// Show scenarios and contestants, and run nothing
    #[arg(long)]
    list: bool,
    /// Tries of each contestant, taken in turns
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeat: u32,
    /// Sessions for whoever uses several; dayhaul's `load.jobs`
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    jobs: u8,
    /// Round trip between the tenants' server and whoever reads it
    #[arg(long, value_name = "MS", conflicts_with = "tenant", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    latency: Option<u64>,
    /// Another setting of both servers (repeatable): `--setting work_mem=64MB`
    #[arg(long = "setting", value_name = "NAME=VALUE", conflicts_with = "tenant", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// Folder for bench.json, bench.md and bench.html
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Folder to work below [default: the system's folder for temporary files]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    configured: ConfiguredArgs,
}

/// In place of private servers.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "In the configured warehouse")]
struct ConfiguredArgs {
    /// Haul this tenant's days; its database is only read
    #[arg(long, value_name = "T", requires_all = ["template", "from", "to", "scratch_schema"])]
    tenant: Option<TenantName>,
    /// With this template
    #[arg(long, value_name = "X", requires = "tenant")]
    template: Option<TemplateName>,
    /// First UTC day, YYYY-MM-DD
    #[arg(long, value_name = "D", requires = "tenant")]
    from: Option<Day>,
    /// Last UTC day, inclusive, before today
    #[arg(long, value_name = "D", requires = "tenant")]
    to: Option<Day>,
    /// Write only into this schema of the warehouse (and S_wh, S_public), and drop it afterwards; it must not be there
    #[arg(long, value_name = "S", requires = "tenant")]
    scratch_schema: Option<SchemaName>,
}

/// The same, complete.
struct Elsewhere {
    tenant: TenantName,
    template: TemplateName,
    days: Window,
    scratch: SchemaName,
}

impl ConfiguredArgs {
    /// `None` for private servers.
    fn complete(&self) -> Result<Option<Elsewhere>> {
        let (Some(tenant), Some(template), Some(from), Some(to), Some(scratch)) = (
            self.tenant.clone(),
            self.template.clone(),
            self.from,
            self.to,
            self.scratch_schema.clone(),
        ) else {
            return Ok(None);
        };
        if to < from || to >= Day::today() {
            return Err(Error::usage(format!("{from} … {to} are no past days"))
                .with_hint("`--to` is the last day, not before `--from`, and before today"));
        }
        Ok(Some(Elsewhere {
            tenant,
            template,
            days: Window::new(from, to.next()),
            scratch,
        }))
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    let name_ok = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_.".contains(c))
    };
    match text.split_once('=') {
        Some((name, value)) if name_ok(name) => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// What is heard goes to standard error.
struct Notes<'a>(&'a Context);

impl Observer for Notes<'_> {
    fn heard(&self, text: &str) {
        self.0.note(text);
    }
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    if args.list {
        return list::run(context);
    }
    let configured = args.configured.complete()?;
    if configured.is_none() {
        leave_the_environment_behind()?;
    }
    args.check(configured.is_none())?;
    if let Some(folder) = &args.out {
        show::try_folder(folder)?;
    }
    let cancelled = cancelled_by_signals();
    let ground = match configured {
        None => private(&args).await?,
        Some(elsewhere) => self::configured(elsewhere, &args, context).await?,
    };
    // Servers of our own end with us whatever happens; folders and schemas need us to come by again.
    let held = tokio::select! {
        biased;
        () = cancelled.cancelled() => Err(Error::new(Kind::Interrupted, "interrupted")),
        held = contests(&args, &ground, context) => held,
    };
    let struck = ground.place.strike().await;
    // Joining can only fail by a panic in a drop; nothing is left to be done then.
    let _ = tokio::task::spawn_blocking(move || drop(ground)).await;
    struck?;
    let report = held?;
    context.print(show::summary(&report));
    context.print_json(&report);
    if let Some(folder) = &args.out {
        show::write(&report, folder)?;
        context.note(format!(
            "written: {}",
            folder.join("bench.{json,md,html}").display()
        ));
    }
    Ok(report.exit_code)
}

/// Two private servers, and what is hauled between them.
async fn private(args: &Args) -> Result<Ground> {
    let today = Day::today();
    let window = Window::new(today.plus(-i32::from(args.days)), today);
    let counts_statements = |name: &str| args.wants(name) && name.starts_with("growth");
    let place = Private::start(Wish {
        window,
        rows_per_day: args.rows_per_day,
        round_trip: args.latency.map(Duration::from_millis),
        settings: args.settings.clone(),
        count_statements: SCENARIOS.iter().any(|s| counts_statements(s.0)),
        dir: args.dir(),
    })
    .await?;
    let name = TemplateName::parse("foodlogstats")?;
    let task = Task {
        template: Arc::new(Template::parse(name, demo::TEMPLATE)?),
        window,
        rows_per_day: Some(args.rows_per_day.into()),
        tenants: args.tenants,
        jobs: args.jobs.into(),
        folder: place.folder().to_owned(),
        psql: place.psql(),
        program: own_program()?,
    };
    Ok(Ground::new(Box::new(place), task))
}

/// The configured warehouse and one of its tenants.
async fn configured(elsewhere: Elsewhere, args: &Args, context: &Context) -> Result<Ground> {
    let asked = Asked {
        settings: context.settings()?,
        file: context.configuration_file(),
        tenant: elsewhere.tenant,
        template: elsewhere.template,
        scratch: elsewhere.scratch,
        folder: ScratchFolder::create(&args.dir(), "dayhaul-bench")?,
    };
    let (place, template) = Configured::find(asked).await?;
    let task = Task {
        template,
        window: elsewhere.days,
        rows_per_day: None,
        tenants: 1,
        jobs: args.jobs.into(),
        folder: place.folder().to_owned(),
        psql: client(Programs::find().ok().as_ref()),
        program: own_program()?,
    };
    Ok(Ground::new(Box::new(place), task))
}

fn own_program() -> Result<PathBuf> {
    std::env::current_exe()
        .map_err(|e| Error::new(Kind::Io, "cannot find this program's own file").with_source(e))
}

impl Args {
    fn dir(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(std::env::temp_dir)
    }

    /// Scenarios that were asked for by name must be possible.
    fn check(&self, private: bool) -> Result<()> {
        let demanding = |name: &&String| {
            let mut all = SCENARIOS.iter();
            all.any(|(other, _, _, needs_private)| other == name && *needs_private)
        };
        match self.scenarios.iter().find(demanding) {
            Some(name) if !private => Err(Error::usage(format!(
                "scenario `{name}` needs sources that may be changed, or several tenants"
            ))
            .with_hint("leave `--tenant` out: private servers have both")),
            _ => Ok(()),
        }
    }

    fn wants(&self, scenario: &str) -> bool {
        self.scenarios.is_empty() || self.scenarios.iter().any(|name| name == scenario)
    }

    /// The scenarios that are asked for, each with the entrants that are asked for.
    fn chosen(&self, ground: &Ground) -> Result<Vec<Scenario>> {
        let wanted = |name: &str| {
            self.contestants.is_empty() || self.contestants.iter().any(|wanted| wanted == name)
        };
        let chosen: Vec<Scenario> = SCENARIOS
            .iter()
            .filter(|(name, _, _, demanding)| {
                self.wants(name) && (ground.place.is_ours() || !demanding)
            })
            .map(|(_, _, make, _)| make(ground))
            .map(|mut scenario| {
                scenario.entrants.retain(|e| wanted(e.contestant.name()));
                scenario
            })
            .filter(|scenario| !scenario.entrants.is_empty())
            .collect();
        if chosen.is_empty() {
            return Err(
                Error::usage("none of these contestants takes part in these scenarios")
                    .with_hint("see who takes part in what with `dayhaul bench --list`"),
            );
        }
        Ok(chosen)
    }
}

async fn contests(args: &Args, ground: &Ground, context: &Context) -> Result<Report> {
    let chosen = args.chosen(ground)?;
    let started = Instant::now();
    let mut report = report(args, ground).await?;
    if ground.place.is_ours() {
        context.note("the first tenant's rows are made up");
        ground.place.sources(1).await?;
    }
    for scenario in &chosen {
        let scored = hold(scenario, ground, args.repeat, &Notes(context)).await?;
        context.print(show::scenario(&scored));
        report.scenarios.push(scored);
    }
    report.seconds = started.elapsed().as_secs_f64();
    report.conclude();
    Ok(report)
}

/// A report without scenarios.
async fn report(args: &Args, ground: &Ground) -> Result<Report> {
    let (warehouse, sources) = ground.place.watch().await?;
    let template = &ground.template;
    Ok(Report {
        schema: "dayhaul.bench/1",
        outcome: "done",
        exit_code: 0,
        started_at: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        seconds: 0.0,
        place: ground.place.about(),
        machine: Machine::look(ground.cores),
        servers: Servers {
            sources: Server::ask(&sources).await?,
            warehouse: Server::ask(&warehouse).await?,
        },
        data: Data {
            template: template.name.to_string(),
            columns: template.columns.len(),
            indexes: template.indexes.len() + usize::from(!template.unique.is_empty()),
            from: ground.window.from.to_string(),
            to: ground.window.to.plus(-1).to_string(),
            days: ground.window.len(),
            rows_per_day: ground.rows_per_day,
            tenants: ground.tenants,
        },
        jobs: ground.jobs,
        repeat: args.repeat,
        latency_ms: args.latency,
        scenarios: Vec::new(),
    })
}
