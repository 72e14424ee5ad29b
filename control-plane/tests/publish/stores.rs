//! The stores that the tests run on, and what must hold in every one of them at any time.

use std::sync::Arc;

use control_plane::publish::claim;
use control_plane::publish::manifest::Manifest;
use control_plane::publish::upload::ConfigStore;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;

use crate::s3::S3Server;

/// An empty store and what keeps it alive.
pub struct Fixture {
    pub objects: Arc<dyn ObjectStore>,
    _alive: Box<dyn std::any::Any + Send + Sync>,
}

impl Fixture {
    pub fn store(&self) -> ConfigStore {
        ConfigStore::new(self.objects.clone())
    }
}

/// A local folder.
pub fn local() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let objects = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
    Fixture { objects, _alive: Box::new(folder) }
}

/// A bucket of an S3 server that checks signatures.
pub async fn s3() -> Fixture {
    let server = S3Server::start().await;
    Fixture { objects: Arc::new(server.client()), _alive: Box::new(server) }
}

/// Every claimed generation has its blob, and the pointer names an existing manifest and a blob with
/// the right hash; answers what it names.
pub async fn assert_pointer_is_whole(store: &ConfigStore, environment: &str) -> Option<Manifest> {
    let pointed = claim::pointer(store, environment).await.unwrap()?;
    let highest = claim::highest_generation(store, environment).await.unwrap();
    if let Some(claimed) = claim::manifest(store, environment, highest).await.unwrap() {
        let blob = store.read(&Path::from(claimed.object)).await.unwrap();
        assert!(blob.is_some(), "generation {highest} was claimed before its blob was stored");
    }
    let manifest = claim::manifest(store, environment, pointed.generation).await.unwrap();
    assert_eq!(manifest.as_ref(), Some(&pointed), "the pointer is a copy of its manifest");
    let blob = store.read(&Path::from(pointed.object.as_str())).await.unwrap();
    let blob = blob.expect("the blob that the pointer names exists");
    assert_eq!(blake3::hash(&blob).to_hex().as_str(), pointed.blake3);
    assert_eq!(blob.len() as u64, pointed.size);
    let plan = pointed.plan.as_deref().expect("every manifest names a plan");
    assert!(store.read(&Path::from(plan)).await.unwrap().is_some(), "the plan exists");
    let named = pointed.client_form.as_ref().expect("every manifest names a client form");
    let form = store.read(&Path::from(named.object.as_str())).await.unwrap();
    let form = form.expect("the client form that the pointer names exists");
    assert_eq!(blake3::hash(&form).to_hex().as_str(), named.blake3);
    assert_eq!(form.len() as u64, named.size);
    Some(pointed)
}
