//! One scenario from beginning to end: entrants take turns, rows are checked, figures are kept.

use super::evidence::{Evidence, compare, truth};
use super::ground::Ground;
use super::lane::Lane;
use super::meter::{Meter, Try};
use super::result::{Scored, Standing, State};
use super::scenario::{Compare, Entrant, Proof, Role, Scenario};
use crate::error::{At, Error, Kind, Result};
use crate::pg::Session;
use crate::report::failure::why;
use std::collections::{BTreeMap, HashMap};

/// Hears how a contest goes.
pub trait Observer: Send + Sync {
    /// A sentence for people.
    fn heard(&self, text: &str);
}

/// A try that yields no figure.
enum Miss {
    /// It cannot take part here.
    LeftOut(String),
    /// The contestant could not do it.
    Failed(Error),
    /// Its rows are not those at the source.
    Differs(Error),
}

impl From<Error> for Miss {
    fn from(error: Error) -> Miss {
        Miss::Failed(error)
    }
}

/// Holds a scenario, `repeat` times over. Whatever goes wrong for a contestant, or for all, is part of the result.
///
/// # Errors
/// The work was interrupted, or the servers are gone.
pub async fn hold(
    scenario: &Scenario,
    ground: &Ground,
    repeat: u32,
    observer: &dyn Observer,
) -> Result<Scored> {
    let mut contest = Contest {
        scenario,
        ground,
        observer,
        watchers: ground.place.watch().await?,
        shared: None,
        truths: HashMap::new(),
        standings: scenario.entrants.iter().map(blank).collect(),
    };
    let error = match contest.all(repeat).await {
        Ok(()) => None,
        Err(error) if error.kind() == Kind::Interrupted => return Err(error),
        Err(error) => Some(why(&error)),
    };
    if let Some(lane) = contest.shared.take() {
        ground.clear(&lane).await?;
    }
    let mut scored = Scored {
        name: scenario.name.to_owned(),
        title: scenario.title.clone(),
        question: scenario.question.clone(),
        per_unit: scenario.compare == Compare::SecondsPerUnit,
        error,
        entrants: contest.standings,
    };
    let roles: Vec<Role> = scenario.entrants.iter().map(|e| e.role).collect();
    scored.compare(scenario.compare, scenario.also, &roles);
    Ok(scored)
}

struct Contest<'a> {
    scenario: &'a Scenario,
    ground: &'a Ground,
    observer: &'a dyn Observer,
    /// On the warehouse's server, and on the sources'.
    watchers: (Session, Session),
    shared: Option<Lane>,
    /// What outputs must equal, by entrants' shares or groups.
    truths: HashMap<String, Evidence>,
    standings: Vec<Standing>,
}

fn blank(entrant: &Entrant) -> Standing {
    Standing {
        contestant: entrant.contestant.name().to_owned(),
        title: entrant.title(),
        group: entrant.group.clone(),
        baseline: false,
        limit: false,
        state: State::Measured,
        error: None,
        units: entrant.units(),
        rows: None,
        digest: None,
        median: None,
        min: None,
        max: None,
        ratio: None,
        limit_ratio: None,
        also: BTreeMap::new(),
        script: String::new(),
        tries: Vec::new(),
    }
}

impl Contest<'_> {
    async fn all(&mut self, repeat: u32) -> Result<()> {
        if let Some(shared) = &self.scenario.shared {
            self.observer.heard(&format!(
                "{}: {} tenants × {} days are made",
                self.scenario.name,
                shared.tenants,
                shared.window.len()
            ));
            let lane = self.ground.lane(shared.tenants, shared.window).await?;
            let done = (shared.set_up)(&lane).await;
            self.shared = Some(lane);
            done?;
        }
        let entrants = self.scenario.entrants.len();
        for turn in 0..repeat as usize {
            for place in 0..entrants {
                // Each repetition begins with another entrant.
                let entrant = (turn + place) % entrants;
                if self.standings[entrant].state == State::Measured {
                    self.turn(entrant, turn, repeat).await?;
                }
            }
        }
        Ok(())
    }

    /// One try of one entrant; what it did wrong ends its contest, not the others'.
    async fn turn(&mut self, index: usize, turn: usize, repeat: u32) -> Result<()> {
        let entrant = &self.scenario.entrants[index];
        let own = match &self.shared {
            Some(_) => None,
            None => Some(self.ground.lane(entrant.tenants, entrant.window).await?),
        };
        let result = match own.as_ref().or(self.shared.as_ref()).cloned() {
            Some(lane) => self.attempt(index, &lane).await,
            None => return Ok(()),
        };
        if self.scenario.change.is_some() {
            self.ground.place.undo().await?;
        }
        if let Some(lane) = own {
            self.ground.clear(&lane).await?;
        }
        let (name, of) = (self.scenario.name, turn + 1);
        let standing = &mut self.standings[index];
        let title = match standing.group.as_str() {
            "" => standing.title.clone(),
            group => format!("{}, {group}", standing.title),
        };
        let ended = match result {
            Ok(one) => {
                let ended = format!("{:.3} s", one.seconds);
                standing.tries.push(one);
                ended
            }
            Err(Miss::Failed(error)) if error.kind() == Kind::Interrupted => return Err(error),
            Err(miss) => {
                let (state, why) = match miss {
                    Miss::LeftOut(why) => (State::LeftOut, why),
                    Miss::Failed(error) => (State::Failed, why(&error)),
                    Miss::Differs(error) => (State::Differs, why(&error)),
                };
                standing.state = state;
                standing.error = Some(why.clone());
                format!("no figure: {why}")
            }
        };
        self.observer
            .heard(&format!("{name} {of}/{repeat}: {title}: {ended}"));
        Ok(())
    }

    async fn attempt(&mut self, index: usize, lane: &Lane) -> Result<Try, Miss> {
        let entrant = &self.scenario.entrants[index];
        let contestant = &entrant.contestant;
        if let Some(why) = contestant.left_out(lane) {
            return Err(Miss::LeftOut(why.to_owned()));
        }
        if let Some(name) = contestant.extension()
            && !lane.has_extension(name).await?
        {
            return Err(Miss::LeftOut(format!(
                "the warehouse has no extension `{name}`, and a bench makes none there"
            )));
        }
        if self.standings[index].script.is_empty() {
            self.standings[index].script = contestant.script(lane)?;
        }
        contestant
            .prepare(lane)
            .await
            .at(|| "before the clock started".to_owned())?;
        if let Some(change) = self.scenario.change {
            self.ground.place.change(change).await?;
        }
        self.ground.rest(&self.watchers).await?;
        let (source_pid, warehouse_pid) = self.ground.place.postmasters();
        let meter = Meter {
            warehouse: &self.watchers.0,
            sources: &self.watchers.1,
            source_pid,
            warehouse_pid,
        };
        let mut measured = meter.measure(contestant.run(lane)).await?;
        let found = contestant.output(lane).await?;
        let truth = self.truth(entrant, lane, &found).await?;
        compare(&found, &truth).map_err(Miss::Differs)?;
        measured.rows = found.rows;
        measured.digest = found.digest;
        Ok(measured)
    }

    /// What the entrant's output must equal. Rows of a share are read at the sources once.
    async fn truth(
        &mut self,
        entrant: &Entrant,
        lane: &Lane,
        found: &Evidence,
    ) -> Result<Evidence> {
        let key = match entrant.evidence {
            Proof::Group => entrant.group.clone(),
            Proof::Sources => format!("{} {}", entrant.tenants, entrant.window),
        };
        if let Some(known) = self.truths.get(&key) {
            return Ok(known.clone());
        }
        let truth = match entrant.evidence {
            Proof::Group => found.clone(),
            Proof::Sources => truth(lane).await?,
        };
        self.truths.insert(key, truth.clone());
        Ok(truth)
    }
}
