//! CPU time of a PostgreSQL server: its postmaster, its running processes, and those that have exited.
//!
//! Linux reports it in `/proc/<pid>/stat` (proc(5)), in ticks of 10 ms: `utime` and `stime` of the process, `cutime` and
//! `cstime` of the children that it has waited for. The postmaster is the parent of every server process and waits for each.

/// One line of `/proc/<pid>/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// Ticks of the process itself.
    own: u64,
    /// Ticks of children that it has waited for.
    exited: u64,
}

/// User and system seconds so far of the server with this postmaster; `None` where the system does not report them.
pub fn server_cpu_seconds(postmaster: u32) -> Option<f64> {
    let main = stat(&postmaster.to_string())?;
    let running: u64 = std::fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter_map(|entry| stat(entry.file_name().to_str()?))
        .filter(|process| process.parent == postmaster)
        .map(|process| process.own + process.exited)
        .sum();
    let ticks = main.own + main.exited + running;
    // The ticks of any server are far below 2^53.
    #[allow(clippy::cast_precision_loss)]
    Some(ticks as f64 / ticks_per_second()?)
}

fn stat(pid: &str) -> Option<Stat> {
    if !pid.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The command name, in parentheses, may contain anything. After the last parenthesis comes field 3.
fn parse(line: &str) -> Option<Stat> {
    let (_, rest) = line.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |number: usize| -> Option<u64> { fields.get(number - 3)?.parse().ok() };
    Some(Stat {
        parent: u32::try_from(field(4)?).ok()?,
        own: field(14)? + field(15)?,
        exited: field(16)? + field(17)?,
    })
}

fn ticks_per_second() -> Option<f64> {
    let ticks = rustix::param::clock_ticks_per_second();
    // 100 or 1000.
    #[allow(clippy::cast_precision_loss)]
    (ticks > 0).then_some(ticks as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_shifts_nothing() {
        let line = "7 (postgres: a) b (c) S 3 7 7 0 -1 4194304 1 2 3 4 11 12 13 14 20 0 1 0 99 1 2";
        assert_eq!(
            parse(line),
            Some(Stat {
                parent: 3,
                own: 23,
                exited: 27
            })
        );
        assert_eq!(parse("7 (x) S"), None);
    }
}
