//! The object store of the comparison: in memory, and every read is remembered, so that the other build reads the same.

use std::collections::BTreeMap;

use edge_worker::archive::{Loaded, Wanted};
use edge_worker::config::pointer_key;
use edge_worker::environments::{Environment, Next};
use edge_worker::trust::PublicKeys;

use crate::{client_form, source};

/// When the fixture's generations are said to have been made: 2026-11-20T10:30:00Z.
const CREATED_AT_MS: i64 = 1_795_170_600_000;

/// A key and what lay under it.
type Read = (String, Option<Vec<u8>>);

#[derive(Default)]
pub(crate) struct Store {
    objects: BTreeMap<String, Vec<u8>>,
    reads: Vec<Read>,
}

impl Store {
    /// Publishes a generation of the fixture, perhaps with a bit flipped in its blob and none of its client form.
    pub(crate) fn publish(&mut self, generation: u64, is_damaged: bool) -> anyhow::Result<()> {
        let config = source::source(generation);
        let (pointer, object) = source::pointer(generation);
        let form = client_form::encode(&config, generation, CREATED_AT_MS)?;
        let mut blob = source::encode(&config, generation, CREATED_AT_MS)?;
        if is_damaged {
            let middle = blob.len() / 2;
            blob[middle] ^= 0x10;
        } else {
            self.objects.insert(object.replace(".bin", ".client.bin"), form);
        }
        self.objects.insert(object, blob);
        let manifest = format!("configs/{}/manifests/{generation:020}.json", source::ENVIRONMENT);
        self.objects.insert(manifest, pointer.clone().into_bytes());
        self.objects.insert(pointer_key(source::ENVIRONMENT), pointer.into_bytes());
        Ok(())
    }

    fn read(&mut self, key: &str) -> Option<Vec<u8>> {
        let found = self.objects.get(key).cloned();
        self.reads.push((key.to_owned(), found.clone()));
        found
    }

    /// What was read since the last call.
    pub(crate) fn take_reads(&mut self) -> Vec<Read> {
        std::mem::take(&mut self.reads)
    }

    pub(crate) fn load(&mut self, environment: &Environment, now_ms: i64) {
        let pointer = self.read(&pointer_key(environment.id()));
        let keys = &PublicKeys::EVERYONE;
        let next = environment.receive_pointer(pointer.as_deref(), keys, now_ms);
        let Next::Fetch(candidate) = next else { return };
        if let Some(blob) = self.read(&candidate.pointer.object) {
            environment.offer(&candidate, blob, true, now_ms);
        }
    }

    pub(crate) fn load_client_form(&mut self, environment: &Environment, now_ms: i64) {
        let named = environment.client_form_candidate(&PublicKeys::EVERYONE);
        let Some((held, Ok(candidate))) = named else { return };
        let form = self.read(&candidate.pointer.object);
        let taken =
            form.map(|form| environment.offer_client_form(&held, &candidate, form, true, now_ms));
        if !matches!(taken, Some(Ok(()))) {
            environment.fail_client_form(now_ms);
        }
    }

    pub(crate) fn load_archived(&mut self, wanted: &Wanted) -> Loaded {
        let Some(manifest) = self.read(&wanted.manifest_key()) else { return Loaded::Missing };
        match wanted.object(&manifest, &PublicKeys::EVERYONE) {
            Ok(candidate) => {
                let object = self.read(&candidate.pointer.object);
                Loaded::from_object(wanted, &candidate, object, true)
            }
            Err(error) => Loaded::Unreadable(error),
        }
    }
}
