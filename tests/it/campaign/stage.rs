//! Two servers, the network before them, three tenants with two templates, and a round of the campaign.

use super::command;
use super::fault::{FAULTS, Fault, SIGTERM};
use super::reader::Reader;
use super::sources::{self, EVENT, FIRST, LAST, TODAY, VISIT};
use crate::support::killer::{ONLY_IN_THE_CATALOG, ONLY_IN_THE_DATABASE, UNFINISHED_INDEXES};
use crate::support::random::Random;
use crate::support::server::{self, Database};
use crate::support::switch::{State, Switch};
use crate::support::world::{Output, Running, World};
use dayhaul::cluster::{Cluster, Programs, THROW_AWAY};
use rustix::process::Signal;
use std::time::{Duration, Instant};

const TENANTS: [&str; 3] = ["alpha", "beta", "gamma"];
/// The longest that a command may take beside a fault.
const LONGEST: Duration = Duration::from_secs(120);
/// When a fault strikes, from the start of the command.
const MOMENTS: Duration = Duration::from_millis(1800);

pub struct Stage {
    reader: Option<Reader>,
    pub world: World,
    pub source: Cluster,
    pub warehouse: Cluster,
    pub to_source: Switch,
    pub to_warehouse: Switch,
    _folder: tempfile::TempDir,
}

impl Stage {
    pub fn set(random: &mut Random) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let programs = Programs::find().unwrap();
        let start = || Cluster::start(&programs, folder.path(), &THROW_AWAY).unwrap();
        let (source, warehouse) = (start(), start());
        let mut world = World::new("campaign", &[]).with_warehouse(&warehouse);
        let to_source = Switch::before(source.port());
        let to_warehouse = Switch::before(warehouse.port());
        let lake = world.folder().join("lake");
        let toml = format!(
            "[warehouse]\nurl = \"postgres://postgres@127.0.0.1:{}/postgres\"\nowner_role = \"{}\"\nreader_role = \"{}\"\n\
             [load]\njobs = 6\nper_server = 6\nwindow_bytes = \"64KiB\"\nbarrier_timeout = \"2s\"\n[landing]\nurl = \"file://{}\"\n",
            to_warehouse.port(),
            world.owner,
            world.reader,
            lake.display()
        );
        std::fs::create_dir(&lake).unwrap();
        world.write("dayhaul.toml", &toml);
        world.write("event.sql", EVENT);
        world.write("visit.sql", VISIT);
        for tenant in TENANTS {
            let database = Database::created_in(&source, tenant);
            sources::create(&database);
            sources::change(&database, random);
            world.tenants.push(database);
        }
        let mut stage = Stage {
            reader: None,
            world,
            source,
            warehouse,
            to_source,
            to_warehouse,
            _folder: folder,
        };
        stage.prepare();
        let (url, role) = (stage.world.warehouse.url(), stage.world.reader.clone());
        stage.reader = Some(Reader::start(url, role));
        stage
    }

    /// An empty warehouse that knows templates and tenants.
    pub fn prepare(&self) {
        self.world.dayhaul(&["init"]).ok();
        for template in ["event.sql", "visit.sql"] {
            self.world.dayhaul(&["template", "load", template]).ok();
        }
        for tenant in TENANTS {
            let port = self.to_source.port();
            let url = format!("postgres://postgres@127.0.0.1:{port}/{tenant}");
            let templates = ["--template", "event", "--template", "visit"];
            let add = ["tenant", "add", tenant, "--url", &url, "--from", FIRST];
            self.world.dayhaul(&[&add[..], &templates].concat()).ok();
        }
    }

    /// Nothing of ours is left in the warehouse, as before `init`.
    pub fn empty(&self) {
        self.reader().excuse(true);
        let drop = "DROP SCHEMA IF EXISTS _wh, alpha, beta, gamma CASCADE; DROP VIEW IF EXISTS public.event, public.visit";
        // The reader locks views before their tables, and the server may end either of the two.
        while let Err(e) = server::rows(&self.world.warehouse.url(), drop) {
            let deadlock = e.code().is_some_and(|code| code.code() == "40P01");
            assert!(deadlock, "{drop}: {e:?}");
        }
    }

    pub fn source_url(&self) -> String {
        self.source.url("postgres")
    }

    pub fn warehouse_url(&self) -> String {
        self.warehouse.url("postgres")
    }

    pub fn tenant(&self, random: &mut Random) -> &Database {
        &self.world.tenants[command::index(random, TENANTS.len())]
    }

    /// Runs a command and interrupts it before a message to the warehouse; whether it sent as many.
    #[track_caller]
    pub fn interrupted_before(&self, message: usize, args: &[&str]) -> bool {
        self.to_warehouse.hold_at(message);
        let mut run = self.world.start(args);
        let begun = Instant::now();
        while !self.to_warehouse.is_held() && !run.is_over() {
            assert!(begun.elapsed() < LONGEST, "it hangs: {args:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
        let held = self.to_warehouse.is_held();
        run.signal(Signal::TERM);
        // The statement waits while the program notices.
        std::thread::sleep(Duration::from_millis(100));
        self.to_warehouse.hold_at(usize::MAX);
        self.to_warehouse.set(State::Open);
        let output = ended(run);
        if held {
            judge(
                &output,
                &args.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>(),
                &SIGTERM,
            );
        }
        held
    }

    fn reader(&self) -> &Reader {
        self.reader.as_ref().expect("a reader")
    }

    /// One round; the name of its fault.
    pub fn round(&mut self, round: u32, random: &mut Random) -> &'static str {
        for (tenant, source) in TENANTS.iter().zip(&self.world.tenants) {
            for change in sources::change(source, random) {
                println!("round {round}: {tenant}: {change}");
            }
        }
        let args = command::any(random);
        let fault = &FAULTS[command::index(random, FAULTS.len())];
        let moment = random.part_of(MOMENTS);
        println!(
            "round {round}: dayhaul {}; {} after {moment:?}",
            args.join(" "),
            fault.name
        );
        self.reader().excuse(fault.hurts_readers);
        let output = self.struck(&args, fault, moment, random);
        judge(&output, &args, fault);
        self.good_run();
        self.reader().excuse(false);
        self.every_day_equals_its_source();
        self.nothing_is_stray();
        assert_eq!(self.reader().wrong(), Vec::<String>::new(), "the reader");
        fault.name
    }

    /// The command, in the middle of which the fault strikes and is mended.
    fn struck(
        &mut self,
        args: &[String],
        fault: &Fault,
        moment: Duration,
        random: &mut Random,
    ) -> Output {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let run = self.world.start(&args);
        std::thread::sleep(moment);
        (fault.strike)(self, &run, random);
        for switch in [&self.to_source, &self.to_warehouse] {
            switch.set(State::Open);
        }
        ended(run)
    }

    pub fn good_run(&self) {
        for command in ["backfill", "refresh"] {
            let args = [
                command, "--from", FIRST, "--to", LAST, "--today", TODAY, "--wait",
            ];
            self.world.dayhaul(&args).ok();
        }
        self.world.dayhaul(&["fold", "--today", TODAY]).ok();
    }

    #[track_caller]
    pub fn every_day_equals_its_source(&self) {
        let end = format!("timestamptz '{LAST} 00:00+00' + interval '1 day'");
        let rows = |columns: &str, relation: &str, when: &str| {
            format!(
                "SET timezone = 'UTC'; SELECT count(*), md5(string_agg(r, '|' ORDER BY r)) \
                 FROM (SELECT concat_ws(',', {columns}) AS r FROM {relation} WHERE {when}) AS x"
            )
        };
        for (tenant, source) in TENANTS.iter().zip(&self.world.tenants) {
            for (template, columns, when) in [
                (
                    "event",
                    "id, at, note, amount::numeric(12,2)",
                    format!("at >= '{FIRST} 00:00+00' AND at < {end}"),
                ),
                (
                    "visit",
                    "place, number, day, seen",
                    format!("day BETWEEN '{FIRST}' AND '{LAST}'"),
                ),
            ] {
                let there = source.rows(&rows(columns, template, &when));
                let view = format!("{tenant}.{template}");
                let here = self.world.warehouse.rows(&rows(columns, &view, &when));
                assert_eq!(here, there, "{view}");
                let public = format!("public.{template}");
                let of_tenant = format!("schema_name = '{tenant}' AND {when}");
                let here = self
                    .world
                    .warehouse
                    .rows(&rows(columns, &public, &of_tenant));
                assert_eq!(here, there, "{public} of {tenant}");
            }
        }
    }

    #[track_caller]
    fn nothing_is_stray(&self) {
        self.the_catalog_agrees();
        let failed = "SELECT tenant, template, day, error FROM _wh.unit WHERE state <> 'loaded'";
        let failed = self.world.warehouse.rows(failed);
        assert!(failed.is_empty(), "days that are not loaded: {failed:?}");
    }

    /// The tables and views that are there are those that the catalog lists.
    #[track_caller]
    pub fn the_catalog_agrees(&self) {
        let warehouse = &self.world.warehouse;
        let none = |what: &str, sql: &str| {
            let found = warehouse.rows(sql);
            assert!(found.is_empty(), "{what}: {found:?}");
        };
        none(
            "relations that the catalog does not know",
            ONLY_IN_THE_DATABASE,
        );
        none("relations that only the catalog knows", ONLY_IN_THE_CATALOG);
        none("unfinished indexes", UNFINISHED_INDEXES);
    }

    pub fn polls_were_made(&mut self) {
        let reader = self.reader.take().expect("a reader");
        println!("{} polls of the reader", reader.polls());
        assert!(reader.polls() > 0);
    }
}

/// What it left, in time.
#[track_caller]
fn ended(mut run: Running) -> Output {
    let begun = Instant::now();
    while !run.is_over() {
        if begun.elapsed() > LONGEST {
            run.signal(Signal::KILL);
            panic!("it hangs: {:?}", run.output());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    run.output()
}

/// Whatever breaks, the program ends with a code of its own and says so in words.
#[track_caller]
fn judge(output: &Output, args: &[String], fault: &Fault) {
    let said = format!("{}\n{}", output.stdout, output.stderr);
    for bad in [
        "panicked",
        "bug in dayhaul",
        "current transaction is aborted",
    ] {
        assert!(!said.contains(bad), "{args:?}: {said}");
    }
    // Of itself a command fails only where it looks for differences, or for files that are not there yet.
    let finds = ["verify", "restore", "unfold", "land", "snapshot"].contains(&args[0].as_str());
    let expected: &[i32] = match fault.name {
        "kill -9" if finds => &[-1, 0, 1, 2],
        "kill -9" => &[-1, 0, 1],
        "two signals" if finds => &[-1, 130, 0, 1, 2],
        "two signals" => &[-1, 130, 0, 1],
        _ if fault.is_signal && !finds => &[0, 130],
        _ if fault.is_signal => &[0, 1, 2, 130],
        _ if finds => &[0, 1, 2, 3, 4],
        _ => &[0, 1, 3, 4],
    };
    assert!(
        expected.contains(&output.code),
        "{args:?}: exit code {}: {said}",
        output.code
    );
}
