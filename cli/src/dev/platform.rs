//! All parts together: started in their order, watched, and ended together.

use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use collector::CompactionSettings;
use collector::pseudonym::PseudonymSecret;
use control_plane::publish::sign::Signer;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::client::{Api, Edge};
use crate::console;
use crate::demo::shop::{self, Shop};
use crate::demo::traffic::Traffic;
use crate::demo::visitor::fresh_number;
use crate::dev::description::{self, Description};
use crate::dev::parts::Parts;
use crate::dev::ready::wait_for;
use crate::dev::secrets::{self, Secrets};
use crate::dev::worker::{START_PATIENCE, WorkerProcess};

/// How long a part of this process may take to answer.
const PART_PATIENCE: Duration = Duration::from_secs(30);
/// How often the Worker and the collector look for a newer config.
const REFRESH_INTERVAL_MS: u64 = 1000;

/// What to run, and where.
#[derive(Debug, Clone)]
pub(crate) struct Platform {
    /// Folder of the repository: `wrangler.toml` and the built Worker.
    pub(crate) root: PathBuf,
    /// Folder of everything that survives a restart; an absolute path.
    pub(crate) state: PathBuf,
    /// Address of all parts.
    pub(crate) ip: IpAddr,
    /// Port of the control plane; 0: any free one. So for the others.
    pub(crate) control_plane_port: u16,
    /// Port of the Worker.
    pub(crate) edge_port: u16,
    /// Port of the collector.
    pub(crate) collector_port: u16,
    /// Time between two analyses.
    pub(crate) analysis_interval: Duration,
    /// Longest time until an event stands in a file.
    pub(crate) flush_interval: Duration,
    /// Visitors a second of the demo; `None`: no demo.
    pub(crate) demo_rate: Option<f64>,
}

impl Platform {
    /// Runs until cancelled, or until a part fails.
    pub(crate) async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let (sender, mut failures) = mpsc::unbounded_channel();
        // What sends ends first, so that what receives gets everything.
        let mut senders = Parts::new(sender.clone());
        let mut receivers = Parts::new(sender);
        let _alone = self.lock()?;
        let description = self.state.join(description::FILE);
        // It describes a running platform, and only this one.
        let _ = std::fs::remove_file(&description);
        let running = async {
            self.start(&mut senders, &mut receivers).await?;
            std::future::pending().await
        };
        let outcome = tokio::select! {
            outcome = running => outcome,
            Some(failure) = failures.recv() => Err(failure),
            () = shutdown.cancelled() => Ok(()),
        };
        let _ = std::fs::remove_file(&description);
        senders.end().await;
        receivers.end().await;
        outcome
    }

    /// Nobody else may run on the same state: its database and its log have one owner.
    fn lock(&self) -> anyhow::Result<File> {
        let path = self.state.join("lock");
        let file = File::create(&path).with_context(|| path.display().to_string())?;
        if file.try_lock().is_err() {
            bail!(
                "a platform runs on {} already; stop it, or choose another --state",
                self.state.display()
            );
        }
        Ok(file)
    }

    async fn start(&self, senders: &mut Parts, receivers: &mut Parts) -> anyhow::Result<()> {
        let began = Instant::now();
        let secrets = Secrets::load_or_create(&self.state.join("secrets.json"))?;
        let control_plane = self.listen("control plane", self.control_plane_port).await?;
        let collector = self.listen("collector", self.collector_port).await?;
        let edge = self.free_port("edge", self.edge_port).await?;
        let description = Description {
            control_plane: format!("http://{}", control_plane.local_addr()?),
            edge: format!("http://{edge}"),
            collector: format!("http://{}", collector.local_addr()?),
            project: "default".to_owned(),
            environment: "production".to_owned(),
            admin_token: secrets.bootstrap.admin_token.clone(),
            server_sdk_key: secrets.bootstrap.server_sdk_key.clone(),
            client_sdk_key: secrets.bootstrap.client_sdk_key.clone(),
        };

        self.start_control_plane(receivers, control_plane, &description, &secrets)?;
        self.start_collector(receivers, collector, &secrets)?;
        wait_for("control plane", &format!("{}/readyz", description.control_plane), PART_PATIENCE)
            .await?;
        wait_for("collector", &format!("{}/readyz", description.collector), PART_PATIENCE).await?;
        self.start_analysis(senders, &description, &secrets);
        self.start_worker(senders, edge, &description, &secrets).await?;
        let shop = match self.demo_rate {
            None => None,
            Some(rate) => Some(self.start_demo(senders, &description, rate).await?),
        };
        description.write(&self.state.join(description::FILE))?;
        self.say_ready(&description, shop.as_ref(), began.elapsed());
        Ok(())
    }

    fn start_control_plane(
        &self,
        receivers: &mut Parts,
        listener: TcpListener,
        description: &Description,
        secrets: &Secrets,
    ) -> anyhow::Result<()> {
        let settings = control_plane::Settings {
            listen: listener.local_addr()?,
            database_url: format!("sqlite:{}", self.state.join("control-plane.db").display()),
            store_url: self.store_url(),
            collector_url: description.collector.clone(),
            list_secret: Some(secrets::key(&secrets.list_secret)?),
            signing_key: Some(secrets::key(&secrets.signing_key)?),
            bootstrap: Some(secrets.bootstrap.clone()),
            ..control_plane::Settings::default()
        };
        receivers
            .start("control plane", |shutdown| control_plane::serve(listener, settings, shutdown));
        Ok(())
    }

    fn start_collector(
        &self,
        receivers: &mut Parts,
        listener: TcpListener,
        secrets: &Secrets,
    ) -> anyhow::Result<()> {
        let settings = collector::Settings {
            listen: listener.local_addr()?,
            store_url: self.store_url(),
            wal_dir: self.state.join("wal"),
            pseudonym_secret: Some(PseudonymSecret::new(secrets::key(&secrets.pseudonym_secret)?)),
            flush_interval: self.flush_interval,
            refresh_interval: Duration::from_millis(REFRESH_INTERVAL_MS),
            // Flushing every few seconds makes many small files: merge them soon.
            compaction: Some(CompactionSettings {
                interval: Duration::from_secs(20),
                grace: Duration::from_mins(2),
                ..CompactionSettings::default()
            }),
            ..collector::Settings::default()
        };
        receivers.start("collector", |shutdown| collector::serve(listener, settings, shutdown));
        Ok(())
    }

    fn start_analysis(&self, senders: &mut Parts, description: &Description, secrets: &Secrets) {
        let settings = analysis::Settings {
            store: self.store_url(),
            control_plane: Some(description.control_plane.clone()),
            token: Some(secrets.bootstrap.data_token.clone()),
            interval: self.analysis_interval,
            ..analysis::Settings::default()
        };
        senders.start("analysis", |shutdown| analysis::run(settings, shutdown));
    }

    fn store_url(&self) -> String {
        format!("file://{}", self.state.join("store").display())
    }

    async fn start_worker(
        &self,
        senders: &mut Parts,
        address: SocketAddr,
        description: &Description,
        secrets: &Secrets,
    ) -> anyhow::Result<()> {
        let signer = Signer::from_seed(&secrets::key(&secrets.signing_key)?);
        let worker = WorkerProcess {
            root: self.root.clone(),
            state: self.state.clone(),
            address,
            variables: vec![
                ("SORTITION_CONFIG_URL", format!("{}/objects", description.control_plane)),
                ("SORTITION_COLLECTOR_URL", description.collector.clone()),
                ("SORTITION_ENVIRONMENT", secrets.bootstrap.environment_id.clone()),
                ("SORTITION_REFRESH_INTERVAL_MS", REFRESH_INTERVAL_MS.to_string()),
                ("SORTITION_LIST_SECRET", secrets.list_secret.clone()),
                ("SORTITION_PUBLIC_KEYS", signer.public_key()),
            ],
        };
        let log = worker.log();
        senders.start("edge Worker", |shutdown| worker.supervise(shutdown));
        let readyz = format!("{}/readyz", description.edge);
        wait_for("edge Worker", &readyz, START_PATIENCE)
            .await
            .with_context(|| format!("the Worker's log ends with:\n{}", log.end()))?;
        senders.start("edge's visitor", |shutdown| ask_now_and_then(readyz, shutdown));
        Ok(())
    }

    async fn start_demo(
        &self,
        senders: &mut Parts,
        description: &Description,
        rate: f64,
    ) -> anyhow::Result<Shop> {
        let api = Api::new(
            &description.control_plane,
            &description.admin_token,
            shop::PROJECT,
            shop::ENVIRONMENT,
        )?;
        let shop = Shop::open(&api, &self.state.join(shop::NOTE)).await?;
        let edge = Edge::new(&description.edge, &shop.server_sdk_key)?;
        edge.wait_until_served(shop::EXPERIMENT, PART_PATIENCE).await?;
        senders.start("demo", move |shutdown| async move {
            Traffic { rate, first: fresh_number(), limit: None }.run(&edge, &shutdown).await;
            Ok(())
        });
        Ok(shop)
    }

    async fn listen(&self, part: &str, port: u16) -> anyhow::Result<TcpListener> {
        let address = SocketAddr::new(self.ip, port);
        TcpListener::bind(address).await.with_context(|| {
            format!("{part}: {address} is taken; stop what listens there, or choose another port")
        })
    }

    /// An address on which nobody listens, for a process that binds by itself.
    async fn free_port(&self, part: &str, port: u16) -> anyhow::Result<SocketAddr> {
        Ok(self.listen(part, port).await?.local_addr()?)
    }

    fn say_ready(&self, description: &Description, shop: Option<&Shop>, took: Duration) {
        let Description { control_plane, edge, collector, admin_token, .. } = description;
        let dev_json = self.state.join(description::FILE);
        console::line(&format!("\nSortition is ready, after {:.1} s.\n", took.as_secs_f64()));
        console::line(&format!("  dashboard and API   {control_plane}"));
        console::line(&format!("  edge Worker         {edge}"));
        console::line(&format!("  collector           {collector}"));
        console::line(&format!("  admin token         {admin_token}"));
        console::line(&format!("  keys and addresses  {}", dev_json.display()));
        if let Some(shop) = shop {
            console::line(&format!(
                "\n  Visitors go through the demo's experiment. Sign in with the admin token and open\n  \
                 {control_plane}/experiments/{}/results?project={}&environment={}",
                shop.experiment_id,
                shop::PROJECT,
                shop::ENVIRONMENT
            ));
        }
        console::line("\nCtrl-C stops everything; the next start goes on with the same state.");
    }
}

/// An edge looks for a newer config after an answer, and so never while nobody asks. Elsewhere somebody
/// always does; on one machine this is it, so that a change is served when its author tries it.
async fn ask_now_and_then(url: String, shutdown: CancellationToken) -> anyhow::Result<()> {
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(REFRESH_INTERVAL_MS)) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
        if let Err(error) = http.get(&url).send().await {
            tracing::info!(%error, "the edge does not answer");
        }
    }
}
