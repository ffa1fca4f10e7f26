//! The writing commands, with arguments that make sense.

use super::sources::{FIRST, LAST, TODAY};
use crate::support::random::Random;

/// A random writing command.
pub fn any(random: &mut Random) -> Vec<String> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let today = format!("--today {TODAY}");
    let all = format!("--from {FIRST} --to {LAST}");
    let some = [
        "--from 2023-12-20 --to 2024-01-05",
        "--from 2024-01-08 --to 2024-01-14",
        "--year 2023",
    ];
    let some = some[index(random, some.len())];
    let commands = [
        format!("sync {today}"),
        format!("sync {today} --lookback 12 --land"),
        format!("backfill {all} {today}"),
        format!("backfill {some} {today} --reload --land"),
        format!("backfill {some} {today} --to both"),
        format!("refresh {all} {today}"),
        format!("refresh {some} {today} --land"),
        format!("rebuild {some} {today}"),
        format!("rebuild --tenant alpha --from {FIRST} --to 2023-12-31 {today}"),
        format!("fold {today}"),
        "unfold --from 2024-01-03".to_owned(),
        "unfold --from 2023-12-28 --tenant beta".to_owned(),
        format!("land {some} {today}"),
        "snapshot".to_owned(),
        format!("verify --repair {some} {today}"),
        format!("restore --reload --tenant gamma --no-snapshot {some} {today}"),
    ];
    words(&commands[index(random, commands.len())])
}

pub fn index(random: &mut Random, len: usize) -> usize {
    usize::try_from(random.next() % len as u64).unwrap()
}
