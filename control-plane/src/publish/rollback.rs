//! Going back: the archived definitions of an older generation, published under a new one.

use std::time::Instant;

use analysis::plan::Plan;
use eval_core::blob;
use jiff::Timestamp;
use object_store::path::Path;

use super::claim::{self, Claim};
use super::make::{self, Made};
use super::{PublishError, Published, Publisher, announce};

impl Publisher {
    /// Publishes what `generation` held. It stays until the definitions change again: publishing
    /// definitions that are the same as before the rollback changes nothing.
    pub async fn roll_back(
        &self,
        environment_id: &str,
        generation: u64,
        author: &str,
    ) -> Result<Published, PublishError> {
        let _turn = self.turns.take(environment_id).await;
        let started = Instant::now();
        for _ in 0..super::ATTEMPTS {
            self.finish_pending(environment_id).await?;
            let made = self.remake(environment_id, generation).await?;
            if !self.record_pending(&made, author).await? {
                continue;
            }
            if claim::deliver(&self.store, &made.prepared).await? == Claim::Theirs {
                self.record_superseded(&made.prepared.manifest).await?;
                continue;
            }
            self.record_live(&made.prepared.manifest).await?;
            announce(&made.prepared.manifest, started);
            return Ok(Published { manifest: made.prepared.manifest, changed: true });
        }
        Err(PublishError::Contended)
    }

    /// The archived body and plan of a generation under the next one.
    async fn remake(&self, environment_id: &str, generation: u64) -> Result<Made, PublishError> {
        let unknown = || PublishError::UnknownGeneration(generation);
        let manifest = claim::manifest(&self.store, environment_id, generation).await?;
        let manifest = manifest.ok_or_else(unknown)?;
        let archived = self.store.read(&Path::from(manifest.object.as_str())).await?;
        let archived = archived
            .filter(|blob| blake3::hash(blob).to_hex().as_str() == manifest.blake3)
            .ok_or_else(unknown)?;
        let plan = manifest.plan.as_deref().map(Path::from).ok_or_else(unknown)?;
        let plan = self.store.read(&plan).await?.ok_or_else(unknown)?;
        let mut plan: Plan = serde_json::from_slice(&plan).map_err(anyhow::Error::from)?;

        let highest = claim::highest_generation(&self.store, environment_id).await?;
        let loaded = self.load(environment_id).await?;
        // What the definitions compile to now, so that publishing them unchanged does not undo this.
        // Definitions that do not compile cannot undo it either.
        let content = match self.make(&loaded, highest).await {
            Ok(now) => now.content,
            Err(PublishError::Compile(_)) => String::new(),
            Err(error) => return Err(error),
        };
        plan.generation = 1 + loaded.highest.max(highest);
        plan.created_at = Timestamp::now();
        let (header, body) = blob::verify(&archived).map_err(anyhow::Error::from)?;
        let made_at = plan.created_at.as_millisecond();
        let format = header.format_version;
        let blob = blob::frame(format, environment_id, plan.generation, made_at, body);
        let (_, config) = blob::decode(&archived).map_err(anyhow::Error::from)?;
        let form = make::client_form(&config, plan.generation, made_at);
        Ok(Made {
            prepared: make::prepare(blob, form, &plan, self.signer().await?),
            content,
            revision: loaded.snapshot.revision,
            created_at: plan.created_at,
            new_phases: Vec::new(),
            rollback_of: Some(generation),
        })
    }
}
