//! The cost of planning: the windows of a first backfill of 50 tenants × 366 days, without any server.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dayhaul::catalog::{Pair, Tenant};
use dayhaul::config::Load;
use dayhaul::demo;
use dayhaul::engine::run::dry_run::windows;
use dayhaul::engine::run::request::Request;
use dayhaul::pg::SearchPath;
use dayhaul::template::Template;
use dayhaul::unit::{Day, TemplateName, TenantName, Window};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

const TENANTS: usize = 50;
const DAYS: i32 = 366;
/// 4,180 rows of the food log.
const BYTES_PER_DAY: u64 = 1_090_000;

fn pairs() -> Vec<Pair> {
    let name = TemplateName::parse("foodlogstats").expect("a name");
    let template = Arc::new(Template::parse(name, demo::TEMPLATE).expect("a template"));
    (0..TENANTS)
        .map(|n| {
            let name = TenantName::parse(&format!("t{n:02}")).expect("a name");
            Pair {
                tenant: Tenant {
                    schema: name.default_schema().expect("a schema"),
                    name,
                    // Ten tenants share a server.
                    url: Some(format!("postgres://reader@db{}.example/t{n:02}", n / 10)),
                    password: None,
                    vars: BTreeMap::new(),
                    enabled: true,
                    source_schema: None,
                    search_path: SearchPath::Unknown,
                },
                template: Arc::clone(&template),
                enabled: true,
                first_day: None,
                fold_line: None,
                windows: None,
            }
        })
        .collect()
}

fn plan(c: &mut Criterion) {
    let today = Day::from_ymd(2025, 1, 1).expect("a day");
    let days = Window::new(today.plus(-DAYS), today);
    let (pairs, load) = (pairs(), Load::default());
    let ask = Request::Backfill {
        days,
        reload: false,
    };
    let mut group = c.benchmark_group("plan");
    group.throughput(Throughput::Elements((TENANTS * days.len()) as u64));
    group.bench_function("50 tenants × 366 days", |b| {
        b.iter(|| windows(black_box(&pairs), &ask, today, &load, BYTES_PER_DAY).expect("a plan"));
    });
    group.finish();
}

criterion_group!(benches, plan);
criterion_main!(benches);
