//! `dayhaul bench`: measures Dayhaul against other ways to copy days, here, with this data.

mod list;

use super::context::Context;
use crate::bench::contestant::choices::CONTESTANTS;
use crate::bench::environment::{
    Amounts, ConfiguredSpec, ConfiguredWarehouse, PrivateServers, PrivateServersSpec, TenantData,
    Workload, psql_program,
};
use crate::bench::machine::{Machine, ServerInfo};
use crate::bench::result::{BenchReport, Dataset, ServerPair};
use crate::bench::scenario::Scenario;
use crate::bench::scenario::choices::{SCENARIOS, ScenarioChoice};
use crate::bench::{BenchObserver, Environment, run_scenario, show};
use crate::cluster::{Programs, ScratchFolder};
use crate::demo::stage::restart_without_environment;
use crate::error::{Error, Kind, Result};
use crate::unit::{Day, SchemaName, TemplateName, TenantName, Window};
use clap::builder::PossibleValuesParser;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

const EXAMPLES: &str = "\
Private servers are started in a temporary folder, unless `--tenant` is given.

Examples:
  dayhaul bench --list
  dayhaul bench --days 60 --scenario backfill --repeat 5
  dayhaul bench --tenant acme --template flights --from 2024-01-01 \\
    --to 2024-01-31 --scratch-schema bench --out results";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Past days to load [default: 366, in `fleet` 1096]
    #[arg(long, value_name = "N", conflicts_with = "tenant", value_parser = clap::value_parser!(u16).range(1..=3660))]
    days: Option<u16>,
    /// Rows of a typical day [default: 4180, in `fleet` 20]
    #[arg(long, value_name = "N", conflicts_with = "tenant", value_parser = clap::value_parser!(u32).range(10..=5_000_000))]
    rows_per_day: Option<u32>,
    /// Number of tenants, in scenarios with several [default: 10, in `fleet` 100]
    #[arg(long, value_name = "N", conflicts_with = "tenant", value_parser = clap::value_parser!(u16).range(1..=1000))]
    tenants: Option<u16>,
    /// Only this scenario (repeatable) [default: all but `fleet`]
    #[arg(long = "scenario", value_name = "NAME", value_parser = PossibleValuesParser::new(SCENARIOS.map(|s| s.name)), hide_possible_values = true)]
    scenarios: Vec<String>,
    /// Only this contestant (repeatable) [default: all]
    #[arg(long = "contestant", value_name = "NAME", value_parser = PossibleValuesParser::new(CONTESTANTS.map(|c| c.0)), hide_possible_values = true)]
    contestants: Vec<String>,
    /// List scenarios and contestants, and run nothing
    #[arg(long)]
    list: bool,
    /// Runs of each contestant, taken in turns
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeat: u32,
    /// Sessions of contestants that use several; Dayhaul's `load.jobs`
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    jobs: u8,
    /// Round-trip time between the tenants' server and its clients
    #[arg(long, value_name = "MS", conflicts_with = "tenant", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    latency: Option<u64>,
    /// An additional setting of both servers (repeatable), such as work_mem=64MB
    #[arg(long = "setting", value_name = "NAME=VALUE", conflicts_with = "tenant", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// Folder for bench.json, bench.md and bench.html
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Folder to work in [default: the system's temporary folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    configured: ConfiguredArgs,
}

/// Options to use the configured warehouse in place of private servers.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "In the configured warehouse")]
struct ConfiguredArgs {
    /// Load this tenant's days; its database is only read
    #[arg(long, value_name = "T", requires_all = ["template", "from", "to", "scratch_schema"])]
    tenant: Option<TenantName>,
    /// The template to load
    #[arg(long, value_name = "X", requires = "tenant")]
    template: Option<TemplateName>,
    /// First UTC day, YYYY-MM-DD
    #[arg(long, value_name = "D", requires = "tenant")]
    from: Option<Day>,
    /// Last UTC day, inclusive, before today
    #[arg(long, value_name = "D", requires = "tenant")]
    to: Option<Day>,
    /// Write only into this schema of the warehouse (and S_wh, S_public), and drop it afterwards; it must not exist
    #[arg(long, value_name = "S", requires = "tenant")]
    scratch_schema: Option<SchemaName>,
}

/// The same options, complete.
struct ConfiguredBench {
    tenant: TenantName,
    template: TemplateName,
    days: Window,
    scratch: SchemaName,
}

impl ConfiguredArgs {
    /// `None` for private servers.
    fn complete(&self) -> Result<Option<ConfiguredBench>> {
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
            return Err(Error::usage(format!("{from} … {to} are not past days"))
                .with_hint("`--to` is the last day: not before `--from`, and before today"));
        }
        Ok(Some(ConfiguredBench {
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
        _ => Err("use NAME=VALUE".to_owned()),
    }
}

/// Prints progress as notes.
struct Notes<'a>(&'a Context);

impl BenchObserver for Notes<'_> {
    fn message(&self, text: &str) {
        self.0.note(text);
    }
}

pub async fn run(args: Args, context: &Context) -> Result<u8> {
    if args.list {
        return list::run(context);
    }
    let configured = args.configured.complete()?;
    if configured.is_none() {
        restart_without_environment()?;
    }
    args.check(configured.is_none())?;
    if let Some(folder) = &args.out {
        show::prepare_folder(folder)?;
    }
    let cancelled = context.cancel();
    let environment = match configured {
        None => private(&args).await?,
        Some(elsewhere) => self::configured(elsewhere, &args, context).await?,
    };
    // Private servers stop with this process in any case; folders and schemas must be removed here.
    let held = tokio::select! {
        biased;
        () = cancelled.cancelled() => Err(Error::new(Kind::Interrupted, "interrupted")),
        held = contests(&args, &environment, context) => held,
    };
    let cleaned = environment.servers.clean_up().await;
    // Joining can only fail by a panic in a drop; nothing is left to be done then.
    let _ = tokio::task::spawn_blocking(move || drop(environment)).await;
    cleaned?;
    let report = held?;
    context.print(show::summary(&report));
    context.print_json(&report);
    if let Some(folder) = &args.out {
        show::write(&report, folder)?;
        context.note(format!(
            "wrote {}",
            folder.join("bench.{json,md,html}").display()
        ));
    }
    Ok(report.exit_code)
}

/// Two private servers, and what is loaded from one into the other.
async fn private(args: &Args) -> Result<Environment> {
    let data = args.data();
    let amounts = args.amounts();
    let window = data.window(amounts.days, Day::today());
    let servers = PrivateServers::start(PrivateServersSpec {
        data,
        window,
        rows_per_day: amounts.rows_per_day,
        round_trip: args.latency.map(Duration::from_millis),
        settings: args.settings.clone(),
        count_statements: SCENARIOS.iter().any(|s| args.wants(s) && s.counts_clients),
        dir: args.dir(),
    })
    .await?;
    let workload = Workload {
        template: Arc::new(data.template()?),
        window,
        rows_per_day: Some(amounts.rows_per_day.into()),
        tenants: amounts.tenants,
        jobs: args.jobs.into(),
        folder: servers.folder().to_owned(),
        psql: servers.psql(),
        program: own_program()?,
    };
    Ok(Environment::new(Box::new(servers), workload))
}

/// The configured warehouse and one of its tenants.
async fn configured(
    elsewhere: ConfiguredBench,
    args: &Args,
    context: &Context,
) -> Result<Environment> {
    let spec = ConfiguredSpec {
        settings: context.settings()?,
        file: context.configuration_file(),
        tenant: elsewhere.tenant,
        template: elsewhere.template,
        scratch: elsewhere.scratch,
        folder: ScratchFolder::create(&args.dir(), "dayhaul-bench")?,
    };
    let (servers, template) = ConfiguredWarehouse::find(spec).await?;
    let workload = Workload {
        template,
        window: elsewhere.days,
        rows_per_day: None,
        tenants: 1,
        jobs: args.jobs.into(),
        folder: servers.folder().to_owned(),
        psql: psql_program(Programs::find().ok().as_ref()),
        program: own_program()?,
    };
    Ok(Environment::new(Box::new(servers), workload))
}

fn own_program() -> Result<PathBuf> {
    std::env::current_exe()
        .map_err(|e| Error::new(Kind::Io, "failed to find this program's file").with_source(e))
}

impl Args {
    fn dir(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(std::env::temp_dir)
    }

    /// Refuses scenarios that were requested by name and are not possible.
    fn check(&self, private: bool) -> Result<()> {
        let demanding = |name: &&String| {
            let mut all = SCENARIOS.iter();
            all.any(|s| s.name == name.as_str() && s.needs_private_servers)
        };
        match self.scenarios.iter().find(demanding) {
            Some(name) if !private => Err(Error::usage(format!(
                "scenario `{name}` changes its sources or needs several tenants"
            ))
            .with_hint("leave out `--tenant` to use private servers")),
            _ => self.check_data(),
        }
    }

    /// Refuses scenarios that need other rows than the first one.
    fn check_data(&self) -> Result<()> {
        let other = |s: &&ScenarioChoice| {
            self.scenarios.iter().any(|n| n == s.name) && s.data != self.data()
        };
        match SCENARIOS.iter().find(other) {
            Some(other) => Err(Error::usage(format!(
                "scenario `{}` has tenants of its own and cannot be run with the others",
                other.name
            ))
            .with_hint(format!(
                "run it alone: dayhaul bench --scenario {}",
                other.name
            ))),
            None => Ok(()),
        }
    }

    fn wants(&self, scenario: &ScenarioChoice) -> bool {
        if self.scenarios.is_empty() {
            return scenario.data == self.data();
        }
        self.scenarios.iter().any(|name| name == scenario.name)
    }

    /// What the tenants of private servers have.
    fn data(&self) -> TenantData {
        let all_are = |data| {
            let mut chosen = SCENARIOS
                .iter()
                .filter(|s| self.scenarios.iter().any(|n| n == s.name));
            !self.scenarios.is_empty() && chosen.all(|s| s.data == data)
        };
        if all_are(TenantData::Events) {
            TenantData::Events
        } else {
            TenantData::FoodLog
        }
    }

    /// As requested, otherwise those that belong to the data.
    fn amounts(&self) -> Amounts {
        let usual = self.data().amounts();
        Amounts {
            tenants: self.tenants.unwrap_or(usual.tenants),
            days: self.days.unwrap_or(usual.days),
            rows_per_day: self.rows_per_day.unwrap_or(usual.rows_per_day),
        }
    }

    /// The requested scenarios, each with the requested contestants.
    fn chosen(&self, environment: &Environment) -> Result<Vec<Scenario>> {
        let wanted = |name: &str| {
            self.contestants.is_empty() || self.contestants.iter().any(|wanted| wanted == name)
        };
        let chosen: Vec<Scenario> = SCENARIOS
            .iter()
            .filter(|s| {
                self.wants(s) && (environment.servers.is_private() || !s.needs_private_servers)
            })
            .map(|s| (s.build)(environment))
            .map(|mut scenario| {
                scenario.entrants.retain(|e| wanted(e.contestant.name()));
                scenario
            })
            .filter(|scenario| !scenario.entrants.is_empty())
            .collect();
        if chosen.is_empty() {
            return Err(
                Error::usage("none of these contestants takes part in these scenarios")
                    .with_hint("list both with `dayhaul bench --list`"),
            );
        }
        Ok(chosen)
    }
}

async fn contests(
    args: &Args,
    environment: &Environment,
    context: &Context,
) -> Result<BenchReport> {
    let chosen = args.chosen(environment)?;
    let started = Instant::now();
    let mut report = report(args, environment).await?;
    if environment.servers.is_private() {
        context.note("generating the first tenant's rows");
        environment.servers.sources(1).await?;
    }
    for scenario in &chosen {
        let scored = run_scenario(scenario, environment, args.repeat, &Notes(context)).await?;
        context.print(show::scenario(&scored));
        report.scenarios.push(scored);
    }
    report.seconds = started.elapsed().as_secs_f64();
    report.conclude();
    Ok(report)
}

/// A report without scenarios.
async fn report(args: &Args, environment: &Environment) -> Result<BenchReport> {
    let monitors = environment.servers.monitor().await?;
    let workload = &environment.workload;
    let template = &workload.template;
    Ok(BenchReport {
        schema: "dayhaul.bench/1",
        outcome: "done",
        exit_code: 0,
        started_at: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        seconds: 0.0,
        place: environment.servers.describe(),
        machine: Machine::detect(environment.cores),
        servers: ServerPair {
            sources: ServerInfo::read(&monitors.sources).await?,
            warehouse: ServerInfo::read(&monitors.warehouse).await?,
        },
        data: Dataset {
            template: template.name.to_string(),
            columns: template.columns.len(),
            indexes: template.indexes.len() + usize::from(!template.unique.is_empty()),
            from: workload.window.from.to_string(),
            to: workload.window.to.plus(-1).to_string(),
            days: workload.window.len(),
            rows_per_day: workload.rows_per_day,
            tenants: workload.tenants,
        },
        jobs: workload.jobs,
        repeat: args.repeat,
        latency_ms: args.latency,
        scenarios: Vec::new(),
    })
}
