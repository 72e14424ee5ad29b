//! The replay itself: define, start, evaluate, measure, complete, read the results.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rand::RngExt;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Api, Edge};
use crate::nsw::assign::Lot;
use crate::nsw::data::Person;
use crate::nsw::published::{EARNINGS, EMPLOYMENT};

/// How many events go in one request.
const BATCH: usize = 500;
/// How long a change may take to reach the edge.
const EDGE_PATIENCE: Duration = Duration::from_mins(1);

/// One pass of the experiment through the platform.
pub(crate) struct Replay<'a> {
    pub(crate) api: &'a Api,
    pub(crate) edge: &'a Edge,
    pub(crate) people: &'a [Person],
    /// How long to wait for the report.
    pub(crate) patience: Duration,
}

impl Replay<'_> {
    /// Runs it and returns the results as the API answers them.
    pub(crate) async fn run(&self, mut say: impl FnMut(&str)) -> anyhow::Result<Value> {
        // Part of the experiment's name and of every unit id, so that replays do not mix.
        let run: String = {
            let mut random = rand::rng();
            (0..8)
                .map(|_| char::from(b"abcdefghijklmnopqrstuvwxyz"[random.random_range(0..26)]))
                .collect()
        };
        let name = format!("nsw_replay_{run}");
        let lot = self.define(&name).await?;
        say(&format!("experiment {name} is running"));
        let id = lot.id;
        self.edge.wait_until_served(&name, EDGE_PATIENCE).await?;

        let units = self.choose_units(&lot.lot, &run)?;
        self.evaluate(&name, &units).await?;
        say(&format!(
            "{} people evaluated at the edge, each in the arm in which he was",
            units.len()
        ));
        self.measure(&units).await?;
        say("earnings and employment handed in");
        self.api.post(&format!("/experiments/{id}/complete"), &json!({})).await?;
        say("experiment completed; waiting for its report");
        self.wait_for_results(&id).await
    }

    async fn define(&self, name: &str) -> anyhow::Result<Running> {
        for metric in [
            json!({"name": EARNINGS, "kind": "mean", "event": EARNINGS, "direction": "increase"}),
            json!({"name": EMPLOYMENT, "kind": "proportion", "event": EMPLOYMENT, "direction": "increase"}),
        ] {
            self.api.ensure("/metrics", &metric).await?;
        }
        let created = self
            .api
            .post(
                "/experiments",
                &json!({
                    "name": name,
                    "hypothesis": "Supported work raises earnings",
                    "variants": [
                        {"name": "control", "weight": 58.43, "config": {"training": false}},
                        {"name": "treatment", "weight": 41.57, "config": {"training": true}},
                    ],
                    "primary_metric": EARNINGS,
                    "secondary_metrics": [EMPLOYMENT],
                    "min_detectable_effect": 0.4,
                    "significance_level": 0.05,
                    "power": 0.8,
                    "estimated_duration_days": 14,
                }),
            )
            .await?;
        let id = created["id"].as_str().context("experiment without id")?.to_owned();
        let warnings = [
            "underpowered",
            "no_baseline",
            "short_duration",
            "metric_not_flowing",
            "overlapping_audience",
        ];
        self.api
            .post(&format!("/experiments/{id}/start"), &json!({"acknowledge": warnings}))
            .await?;
        let started = self.api.get(&format!("/experiments/{id}")).await?;
        let mut holdouts = Vec::new();
        for holdout in started["covering_holdouts"].as_array().into_iter().flatten() {
            let name = holdout.as_str().context("a holdout without a name")?;
            holdouts.push(self.api.get(&format!("/holdouts/{name}")).await?);
        }
        Ok(Running { lot: Lot::from_experiment(&started, &holdouts)?, id })
    }

    fn choose_units(&self, lot: &Lot, run: &str) -> anyhow::Result<Vec<(String, &Person)>> {
        self.people
            .iter()
            .map(|person| {
                let id = lot.id_in(arm(person), &format!("{}-{run}", person.id))?;
                Ok((id, person))
            })
            .collect()
    }

    async fn evaluate(&self, name: &str, units: &[(String, &Person)]) -> anyhow::Result<()> {
        for (id, person) in units {
            let answer =
                self.edge.evaluate(&json!({"units": {"user_id": id}, "keys": [name]})).await?;
            let decision = &answer["decisions"][name];
            ensure!(
                decision["variant"] == arm(person) && decision["enrolled"] == true,
                "the edge decided {decision} for {id}, who was in {}",
                arm(person)
            );
        }
        Ok(())
    }

    async fn measure(&self, units: &[(String, &Person)]) -> anyhow::Result<()> {
        let mut events = Vec::new();
        for (id, person) in units {
            events.push(metric_event(id, EARNINGS, person.earnings_1978));
            if person.employed() {
                events.push(metric_event(id, EMPLOYMENT, 1.0));
            }
        }
        for batch in events.chunks(BATCH) {
            self.edge.send_events(batch).await?;
        }
        Ok(())
    }

    /// Waits until a report counts every exposure and every event and the API shows its p-values.
    async fn wait_for_results(&self, id: &str) -> anyhow::Result<Value> {
        let n_employed = self.people.iter().filter(|person| person.employed()).count();
        let n_treated = self.people.iter().filter(|person| person.treated).count();
        let deadline = Instant::now() + self.patience;
        loop {
            let results = self.api.get(&format!("/experiments/{id}/results")).await?;
            if results["exposures"]["treatment"] == n_treated
                && results["exposures"]["control"] == self.people.len() - n_treated
                && converted(&results) == Some(n_employed)
                && results["status"] == "ready"
            {
                return Ok(results);
            }
            if Instant::now() > deadline {
                bail!(
                    "no complete report after {:?}; the last results were {results}",
                    self.patience
                );
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

/// A started experiment.
struct Running {
    id: String,
    lot: Lot,
}

fn arm(person: &Person) -> &'static str {
    if person.treated { "treatment" } else { "control" }
}

fn metric_event(unit: &str, name: &str, value: f64) -> Value {
    json!({
        "event_id": Uuid::now_v7(),
        "type": "metric",
        "units": {"user_id": unit},
        "name": name,
        "value": value,
        "timestamp": jiff::Timestamp::now().to_string(),
    })
}

/// How many units the results count as employed.
fn converted(results: &Value) -> Option<usize> {
    let metrics = results["metrics"].as_array()?;
    let employment = metrics.iter().find(|metric| metric["metric"] == EMPLOYMENT)?;
    let mut units = 0.0;
    for variant in employment["variants"].as_array()? {
        units += variant["n"].as_f64()? * variant["value"].as_f64()?;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of at most 445"
    )]
    Some(units.round() as usize)
}
