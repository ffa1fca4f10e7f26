//! Faults of twenty kinds at random moments of every writing command, while the sources change and a reader looks on.
//!
//! Each round changes the sources, runs one command, breaks something in the middle of it, and mends it. Then a good run must
//! bring every day to what its source holds and leave nothing behind. `scripts/campaign MINUTES [SEED]` runs it for longer
//! than a test of the suite; the seed it prints replays the same choices.

mod command;
mod fault;
mod interrupt;
mod reader;
mod sources;
mod stage;

use crate::support::random::Random;
use stage::Stage;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const ROUNDS: u32 = 5;

/// When the campaign ends; `None` after a few rounds.
fn end() -> Option<Instant> {
    const MINUTES: &str = "DAYHAUL_CAMPAIGN_MINUTES";
    let text = std::env::var(MINUTES).ok()?;
    let minutes: u64 = text
        .parse()
        .unwrap_or_else(|e| panic!("{MINUTES}={text}: {e}"));
    Some(Instant::now() + Duration::from_secs(60 * minutes))
}

#[test]
fn after_faults_at_random_moments_a_good_run_makes_every_day_equal_to_its_source() {
    let end = end();
    let mut random = Random::new();
    let mut stage = Stage::set(&mut random);
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let mut round = 0;
    while end.map_or(round < ROUNDS, |end| Instant::now() < end) {
        round += 1;
        let fault = stage.round(round, &mut random);
        *counts.entry(fault).or_default() += 1;
    }
    stage.polls_were_made();
    println!("{round} rounds");
    for (fault, count) in counts {
        println!("{count:5}  {fault}");
    }
}
